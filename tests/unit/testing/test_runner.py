from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from durable_engine.sdk import CallbackConfig, DurableContext, Duration, StepContext, registry
from durable_engine.sdk.execution import durable_execution
from durable_engine.sdk.types import ErrorObject
from durable_engine.testing.memory_execution import NotPossible
from durable_engine.testing.results import DurableFunctionsTestError
from durable_engine.testing.runner import DurableFunctionTestRunner


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    with registry.isolated():
        yield


def ask(event: Any, context: DurableContext) -> Any:
    context.step(lambda step: "prepared", "prepare")
    context.wait(Duration.from_days(1), "cool-down")
    return context.create_callback("answer", CallbackConfig(Duration(60), Duration(20))).result()


def test_a_run_ends_at_once_however_long_it_waits() -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        context.wait(Duration.from_days(300))
        return event

    with DurableFunctionTestRunner(durable_execution(handler)) as runner:
        result = runner.run('{"a": 1}')

        assert (result.status, result.result, result.error) == ("SUCCEEDED", '{"a": 1}', None)
        assert runner.clock.now == 300 * 86400


@pytest.mark.parametrize(("text", "event"), [(None, {}), ("plain text", "plain text"), ("[1]", [1])])
def test_input_is_json_or_taken_as_text(text: str | None, event: Any) -> None:
    runner = DurableFunctionTestRunner(durable_execution(name="echo")(lambda event, context: event))

    assert json.loads(runner.run(text).result or "") == event


def test_operations_are_found_by_name() -> None:
    def fail(step: StepContext) -> None:
        raise ValueError("boom")

    def handler(event: Any, context: DurableContext) -> Any:
        context.run_in_child_context(lambda child: child.step(lambda step: 1, "inner"), "kid")
        context.step(fail, "hopeless")

    result = DurableFunctionTestRunner(durable_execution(handler)).run()

    assert [operation.name for operation in result.operations] == ["kid", "hopeless"]
    inner, hopeless = result.get_operation_by_name("inner"), result.get_operation_by_name("hopeless")
    assert (inner.operation_type, inner.status, inner.result) == ("STEP", "SUCCEEDED", "1")
    assert (hopeless.status, hopeless.attempt) == ("FAILED", 6)
    assert hopeless.error is not None
    assert hopeless.error.type == "ValueError"
    assert result.error is not None
    assert result.error.type == "StepError"
    with pytest.raises(DurableFunctionsTestError, match="no operation is named 'missing'; there are 'kid', 'inner'"):
        result.get_operation_by_name("missing")


def test_a_callback_is_answered_by_its_id() -> None:
    runner = DurableFunctionTestRunner(durable_execution(ask))
    arn = runner.run_async()
    with pytest.raises(DurableFunctionsTestError, match="the execution is SUSPENDED; callbacks: answer"):
        runner.wait_for_result(arn)

    runner.send_callback_success(runner.wait_for_callback(arn, "answer"), b"yes")

    assert runner.wait_for_result(arn).result == '"yes"'
    with pytest.raises(DurableFunctionsTestError, match="no callback answer is open"):
        runner.wait_for_callback(arn, "answer")


def test_a_callback_may_fail_and_only_once() -> None:
    runner = DurableFunctionTestRunner(durable_execution(ask))
    arn = runner.run_async()
    callback_id = runner.wait_for_callback(arn)

    runner.send_callback_failure(callback_id, ErrorObject("not today", "NoMood"))

    assert runner.wait_for_result(arn).error is not None
    with pytest.raises(NotPossible, match="FAILED"):
        runner.send_callback_success(callback_id)


def test_heartbeats_keep_a_callback_open_until_its_timeout() -> None:
    runner = DurableFunctionTestRunner(durable_execution(ask))
    arn = runner.run_async()
    callback_id = runner.wait_for_callback(arn)
    for _ in range(5):
        runner.advance(11)
        runner.send_callback_heartbeat(callback_id)
    assert not runner.execution(arn).is_closed

    runner.advance(5)

    error = runner.wait_for_result(arn).events[-3].error or ""
    assert json.loads(error)["ErrorType"] == "Callback.Timeout"


def test_without_heartbeats_a_callback_times_out() -> None:
    runner = DurableFunctionTestRunner(durable_execution(ask))
    arn = runner.run_async()

    runner.advance(20)

    error = runner.wait_for_result(arn).events[-3].error or ""
    assert json.loads(error)["ErrorType"] == "Callback.Heartbeat"


def test_without_skipping_time_a_wait_ends_when_the_clock_says_so() -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.wait(Duration(10))

    runner = DurableFunctionTestRunner(durable_execution(handler), skip_time=False)
    arn = runner.run_async()

    runner.advance(9)
    assert runner.execution(arn).status == "SUSPENDED"
    runner.advance(1)
    assert runner.wait_for_result(arn).status == "SUCCEEDED"


def test_the_execution_timeout_ends_it() -> None:
    runner = DurableFunctionTestRunner(durable_execution(execution_timeout=Duration.from_days(1.0001))(ask))
    arn = runner.run_async()

    runner.advance(10)

    assert runner.wait_for_result(arn).status == "TIMED_OUT"
    assert runner.execution(arn).callbacks["3"].status == "CANCELLED"


def test_a_crash_runs_what_was_not_recorded_again_and_nothing_else() -> None:
    ran: list[str] = []

    def handler(event: Any, context: DurableContext) -> Any:
        context.step(lambda step: ran.append("first"))
        context.step(lambda step: ran.append("second"))

    made = durable_execution(handler)
    for crash, expected in [("crash_after", ["first", "second"]), ("crash_before", ["first", "second", "second"])]:
        ran.clear()
        runner = DurableFunctionTestRunner(made)
        getattr(runner, crash)(5)

        assert runner.run().status == "SUCCEEDED"
        assert ran == expected


def test_what_an_operator_can_do_a_test_can() -> None:
    """Pause, answer meanwhile, resume; then fork from the answer on, and give another one."""

    def handler(event: Any, context: DurableContext) -> Any:
        return [context.step(lambda step: "prepared", "prepare"), context.create_callback("answer").result()]

    runner = DurableFunctionTestRunner(durable_execution(handler))
    arn = runner.run_async()
    runner.pause(arn, "let me look")
    runner.send_callback_success(runner.wait_for_callback(arn, "answer"), "yes")
    with pytest.raises(DurableFunctionsTestError, match="PAUSED: let me look"):
        runner.wait_for_result(arn)
    runner.resume(arn)
    fork = runner.fork(arn, "2")
    runner.send_callback_success(runner.wait_for_callback(fork, "answer"), "no")

    assert runner.wait_for_result(arn).result == '["prepared", "yes"]'
    assert runner.wait_for_result(fork).result == '["prepared", "no"]'
