"""Steps: names, retries, filters, semantics, errors that are caught and errors that are not."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, StepError, durable_execution, durable_step
from aws_durable_execution_sdk_python.config import Duration, JitterStrategy, StepConfig, StepSemantics
from aws_durable_execution_sdk_python.retries import (
    LinearRetryStrategyConfig,
    RetryDecision,
    RetryPresets,
    RetryStrategyConfig,
    create_linear_retry_strategy,
    create_retry_strategy,
)


class OutOfStock(Exception):
    """Not a built-in, so it cannot be rebuilt from its name."""


@durable_step
def greet(step: StepContext, name: str) -> str:
    return f"hi {name}"


def refuse(step: StepContext) -> str:
    raise OutOfStock(f"no screws at attempt {step.attempt}")


@durable_execution
def named_steps(event: Any, context: DurableContext) -> Any:
    greeting = context.step(greet(event["name"]))
    shout = context.step(lambda step: greeting.upper(), name="shout")
    nothing = context.step(lambda step: None)
    again = context.step(greet("again"), name="shout")
    return [greeting, shout, nothing, again]


@durable_execution
def step_retried(event: Any, context: DurableContext) -> Any:
    def flaky(step: StepContext) -> str:
        if step.attempt < 4:
            raise ConnectionError(f"attempt {step.attempt}")
        return f"attempt {step.attempt}"

    plain = RetryStrategyConfig(
        max_attempts=4, initial_delay=Duration.from_seconds(2), jitter_strategy=JitterStrategy.NONE
    )
    first = context.step(flaky, name="doubling", config=StepConfig(retry_strategy=create_retry_strategy(plain)))
    second = context.step(flaky, name="fixed", config=StepConfig(retry_strategy=RetryPresets.fixed()))
    growing = LinearRetryStrategyConfig(jitter_strategy=JitterStrategy.NONE, increment=Duration.from_seconds(3))
    third = context.step(flaky, name="growing", config=StepConfig(retry_strategy=create_linear_retry_strategy(growing)))
    return [first, second, third]


@durable_execution
def step_of_own_strategy(event: Any, context: DurableContext) -> Any:
    def strategy(error: Exception, attempts_made: int) -> RetryDecision:
        if isinstance(error, OutOfStock) and attempts_made < 3:
            return RetryDecision.retry(Duration.from_minutes(attempts_made))
        return RetryDecision.no_retry()

    try:
        context.step(refuse, name="buy", config=StepConfig(retry_strategy=strategy))
    except StepError as error:
        return [type(error).__name__, error.error_type.rpartition(".")[2], error.message]


@durable_execution
def step_filtered(event: Any, context: DurableContext) -> Any:
    filters = [
        RetryStrategyConfig(max_attempts=2, retryable_error_types=[ConnectionError]),
        RetryStrategyConfig(max_attempts=2, retryable_errors=["no bolts"]),
        RetryStrategyConfig(max_attempts=2, retryable_errors=[]),
        RetryStrategyConfig(max_attempts=2, retryable_errors=["no screws"], jitter_strategy=JitterStrategy.NONE),
    ]
    messages = []
    for each in filters:
        try:
            context.step(refuse, name="buy", config=StepConfig(retry_strategy=create_retry_strategy(each)))
        except StepError as error:
            messages.append(error.message)
    return messages


@durable_execution
def step_at_most_once(event: Any, context: DurableContext) -> Any:
    config = StepConfig(RetryPresets.none(), StepSemantics.AT_MOST_ONCE_PER_RETRY)
    paid = context.step(lambda step: {"paid": step.attempt}, name="pay", config=config)
    context.step(refuse, name="deliver", config=config)
    return paid


@durable_execution
def handler_fails(event: Any, context: DurableContext) -> Any:
    context.step(greet("bob"))
    raise OutOfStock("nothing left")
