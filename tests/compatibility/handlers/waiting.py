"""Waits, polls, callbacks."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import (
    CallbackError,
    CallbackExternalError,
    CallbackSubmitterError,
    CallbackTimeoutError,
    DurableContext,
    WaitForConditionError,
    durable_execution,
    durable_wait_for_callback,
)
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, JitterStrategy, WaitForCallbackConfig
from aws_durable_execution_sdk_python.retries import RetryPresets
from aws_durable_execution_sdk_python.serdes import JsonSerDes
from aws_durable_execution_sdk_python.types import WaitForCallbackContext, WaitForConditionCheckContext
from aws_durable_execution_sdk_python.waits import (
    WaitForConditionConfig,
    WaitForConditionDecision,
    WaitStrategyConfig,
    create_wait_strategy,
)


@durable_execution
def waits(event: Any, context: DurableContext) -> Any:
    context.wait(Duration.from_seconds(5), name="short")
    between = context.step(lambda step: "between", name="between")
    context.wait(Duration.from_hours(1.5))
    context.wait(Duration.from_days(2), name="long")
    return between


def look(state: dict[str, Any], check: WaitForConditionCheckContext) -> dict[str, Any]:
    return {"seen": [*state["seen"], check.attempt]}


@durable_execution
def polls(event: Any, context: DurableContext) -> Any:
    strategy: WaitStrategyConfig[Any] = WaitStrategyConfig(
        should_continue_polling=lambda state: len(state["seen"]) < 3,
        initial_delay=Duration.from_seconds(2),
        jitter_strategy=JitterStrategy.NONE,
    )
    ready = context.wait_for_condition(
        look, WaitForConditionConfig(create_wait_strategy(strategy), {"seen": []}), name="ready"
    )

    def decide(state: int, attempt: int) -> WaitForConditionDecision:
        if state >= 2:
            return WaitForConditionDecision.stop_polling()
        return WaitForConditionDecision.continue_waiting(Duration.from_minutes(attempt))

    counted = context.wait_for_condition(lambda state, check: state + 1, WaitForConditionConfig(decide, 0))
    return [ready, counted]


@durable_execution
def polls_in_vain(event: Any, context: DurableContext) -> Any:
    strategy: WaitStrategyConfig[Any] = WaitStrategyConfig(
        should_continue_polling=lambda state: True, max_attempts=2, jitter_strategy=JitterStrategy.NONE
    )
    config: WaitForConditionConfig[Any] = WaitForConditionConfig(create_wait_strategy(strategy), {"seen": []})
    caught = []
    try:
        context.wait_for_condition(look, config, name="never")
    except WaitForConditionError as error:
        caught.append(type(error).__name__)

    def broken(state: Any, check: WaitForConditionCheckContext) -> Any:
        raise LookupError("nothing to look at")

    try:
        context.wait_for_condition(broken, config, name="broken")
    except WaitForConditionError as error:
        caught.append(f"{error.error_type.rpartition('.')[2]}: {error.message}")
    return caught


@durable_execution
def callback_answered(event: Any, context: DurableContext) -> Any:
    raw = context.create_callback(name="raw", config=CallbackConfig(timeout=Duration.from_hours(1)))
    parsed = context.create_callback(name="parsed", config=CallbackConfig(serdes=JsonSerDes()))
    empty = context.create_callback(name="empty")
    context.step(lambda step: "sent", name="send")
    return [raw.result(), parsed.result(), empty.result()]


@durable_execution
def callback_refused(event: Any, context: DurableContext) -> Any:
    opened = context.create_callback(name="answer")
    try:
        opened.result()
    except CallbackExternalError as error:
        caught = [error.message, error.data, isinstance(error, CallbackError)]
    context.step(lambda step: caught, name="note")
    return opened.result()


@durable_execution
def callback_late(event: Any, context: DurableContext) -> Any:
    opened = context.create_callback(name="answer", config=CallbackConfig(timeout=Duration.from_seconds(1)))
    try:
        opened.result()
    except CallbackTimeoutError as error:
        return isinstance(error, CallbackError)


@durable_execution
def callback_silent(event: Any, context: DurableContext) -> Any:
    config = CallbackConfig(timeout=Duration.from_minutes(9), heartbeat_timeout=Duration.from_seconds(1))
    return context.create_callback(name="answer", config=config).result()


@durable_wait_for_callback
def ask(callback_id: str, submit: WaitForCallbackContext, who: str) -> None:
    assert callback_id
    assert who == "ana"


@durable_execution
def approval(event: Any, context: DurableContext) -> Any:
    first = context.wait_for_callback(ask("ana"))
    second = context.wait_for_callback(
        lambda callback_id, submit: None,
        name="again",
        config=WaitForCallbackConfig(timeout=Duration.from_minutes(10)),
    )
    return [first, second]


@durable_execution
def approval_refused(event: Any, context: DurableContext) -> Any:
    try:
        context.wait_for_callback(ask("ana"), name="ask")
    except CallbackExternalError as error:
        caught = [type(error).__name__, error.message]

    def away(callback_id: str, submit: WaitForCallbackContext) -> None:
        raise ConnectionError("mail server away")

    try:
        config = WaitForCallbackConfig(retry_strategy=RetryPresets.none())
        context.wait_for_callback(away, name="mail", config=config)
    except CallbackSubmitterError as error:
        caught += [type(error).__name__, error.message]
    return caught
