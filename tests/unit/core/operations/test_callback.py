from __future__ import annotations

from typing import Any

import pytest

from durable_engine.sdk import CallbackConfig, CallbackExternalError, DurableContext, Duration, JsonSerDes, StepContext
from durable_engine.sdk.execution import durable_execution
from durable_engine.sdk.registry import DurableHandler, isolated
from durable_engine.sdk.types import ErrorObject
from durable_engine.testing.runner import DurableFunctionTestRunner
from tests.unit.core.conftest import Run


def runner_of(function: Any) -> DurableFunctionTestRunner:
    with isolated():
        handler = durable_execution(name="test-handler")(function)
    assert isinstance(handler, DurableHandler)
    return DurableFunctionTestRunner(handler)


def test_the_id_is_the_same_on_every_replay_and_differs_between_callbacks() -> None:
    seen: list[tuple[str, str]] = []

    def handler(event: Any, context: DurableContext) -> Any:
        first, second = context.create_callback("a"), context.create_callback("b")
        seen.append((first.callback_id, second.callback_id))
        return first.result(), second.result()

    runner = runner_of(handler)
    arn = runner.run_async()
    runner.send_callback_success(seen[0][0], "one")
    runner.send_callback_success(seen[0][1], "two")

    assert runner.wait_for_result(arn).result == '["one", "two"]'
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert len(set(seen[0])) == 2


def test_the_code_between_creating_a_callback_and_asking_for_its_result_may_record_steps() -> None:
    sent: list[str] = []

    def handler(event: Any, context: DurableContext) -> Any:
        callback = context.create_callback("answer", CallbackConfig(serdes=JsonSerDes()))

        def send(step: StepContext) -> None:
            sent.append(callback.callback_id)

        context.step(send, "send")
        return callback.result()

    runner = runner_of(handler)
    arn = runner.run_async()
    runner.send_callback_success(sent[0], '{"approved": true}')

    assert runner.wait_for_result(arn).result == '{"approved": true}'
    assert len(sent) == 1


def test_a_failure_is_raised_only_where_the_result_is_asked_for() -> None:
    def handler(event: Any, context: DurableContext) -> str:
        callback = context.create_callback("answer")
        context.wait(Duration(1))
        with pytest.raises(CallbackExternalError, match="no stock"):
            callback.result()
        return "handled"

    runner = runner_of(handler)
    arn = runner.run_async()
    runner.send_callback_failure(runner.wait_for_callback(arn, "answer"), ErrorObject("no stock", "Warehouse"))

    assert runner.wait_for_result(arn).result == '"handled"'


def test_limits_are_recorded_only_when_given(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.create_callback("open-ended")
        context.create_callback("limited", CallbackConfig(timeout=Duration(60), heartbeat_timeout=Duration(5)))

    execution = run(handler)

    started = [event.details for event in execution.events if event.event_type == "CallbackStarted"]
    assert started == [None, {"timeout_seconds": 60, "heartbeat_timeout_seconds": 5}]
