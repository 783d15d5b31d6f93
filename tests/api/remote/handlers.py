"""Handlers written against the AWS SDK, which is not modified. They run in a process of their own, without Perdure."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy

Event = dict[str, Any]


def note(event: Event, line: str) -> None:
    """Write into the ledger that a body ran, and in which process."""
    with Path(event["ledger"]).open("a") as ledger:
        ledger.write(f"{line} pid={os.getpid()}\n")


def flaky(event: Event, step: StepContext) -> str:
    """Fail at the first attempt."""
    note(event, f"flaky {step.attempt}")
    if step.attempt == 1:
        raise ConnectionError("not yet")
    return f"attempt {step.attempt}"


@durable_execution
def tour(event: Event, context: DurableContext) -> dict[str, Any]:
    """Steps, a wait, a retry, a map, a callback, and a step that holds until the test lets it go on."""

    def first(step: StepContext) -> str:
        note(event, "first")
        return "one"

    def held(step: StepContext) -> str:
        note(event, "held")
        barrier = Path(event["ledger"]).parent / "go"
        deadline = time.monotonic() + 30
        while event.get("hold") and not barrier.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return "let go"

    def square(child: DurableContext, item: int, index: int, items: Any) -> int:
        return child.step(lambda step: item * item, name="square")

    one = context.step(first, name="first")
    context.wait(Duration.from_seconds(1), name="pause")
    retry = create_retry_strategy(RetryStrategyConfig(max_attempts=3, initial_delay=Duration.from_seconds(1)))
    again = context.step(lambda step: flaky(event, step), name="flaky", config=StepConfig(retry_strategy=retry))
    squares: list[int] = context.map([1, 2, 3], square, name="squares").get_results()
    callback = context.create_callback(name="approval", config=CallbackConfig(timeout=Duration.from_minutes(5)))
    middle = context.step(held, name="held")
    approval = callback.result()
    return {"one": one, "again": again, "squares": squares, "middle": middle, "approval": approval}


@durable_execution
def calls_greet(event: Event, context: DurableContext) -> Any:
    """Invoke a function that Perdure's own worker runs."""
    return context.invoke("greet:1", {"name": event["name"]}, name="ask for a greeting")


@durable_execution
def fails(event: Event, context: DurableContext) -> None:
    """Fail."""
    raise ValueError(event["message"])


@durable_execution
def large(event: Event, context: DurableContext) -> str:
    """Return more than an answer of Lambda may hold."""
    return "x" * int(event["size"])


@durable_execution
def many(event: Event, context: DurableContext) -> int:
    """More operations than the first page of a state holds, then a wait that makes it be read again."""
    steps, text = int(event["steps"]), "x" * event["bytes"]
    for number in range(steps):
        context.step(lambda step: text, name=f"step {number}")
    context.wait(Duration.from_seconds(1))
    return steps


def raw(event: Event, context: Any) -> Any:
    """Answer what the test tells it to, without an SDK."""
    payload = event["InitialExecutionState"]["Operations"][0]["ExecutionDetails"]["InputPayload"]
    return json.loads(payload)["answer"]
