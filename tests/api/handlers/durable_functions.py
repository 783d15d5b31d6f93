"""What clients of the API start in the tests."""

from __future__ import annotations

from typing import Any

from durable_engine import CallbackConfig, DurableContext, Duration, RetryPresets, StepConfig, durable_execution

Event = dict[str, Any]


@durable_execution(name="greet", execution_timeout=Duration.from_minutes(5))
def greet(event: Event, context: DurableContext) -> dict[str, Any]:
    """Greets in a step."""
    return {"greeting": context.step(lambda _: f"Hello {event.get('name', 'you')}", name="greet")}


@durable_execution(name="greet", version=2)
def greet_briefly(event: Event, context: DurableContext) -> str:
    """Greets in another way."""
    return f"Hi {event.get('name', 'you')}"


@durable_execution(name="fail")
def fail(event: Event, context: DurableContext) -> None:
    """Fails at its first attempt."""

    def body(step: object) -> None:
        raise ValueError(event["message"])

    context.step(body, name="fail", config=StepConfig(retry_strategy=RetryPresets.none()))


@durable_execution(name="ask")
def ask(event: Event, context: DurableContext) -> str | None:
    """Waits for an answer from outside."""
    callback = context.create_callback(
        name="answer",
        config=CallbackConfig(
            timeout=Duration.from_seconds(event.get("timeout", 0)),
            heartbeat_timeout=Duration.from_seconds(event.get("heartbeat_timeout", 0)),
        ),
    )
    answer: str | None = callback.result()
    return answer


@durable_execution(name="sleep")
def sleep(event: Event, context: DurableContext) -> str:
    """Waits for an hour."""
    context.wait(Duration.from_hours(1), name="night")
    return "awake"
