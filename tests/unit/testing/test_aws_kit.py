"""Tests written against the testing package of AWS run with their imports unchanged."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import pytest

from durable_engine import (
    CallbackConfig,
    DurableContext,
    Duration,
    StepContext,
    durable_execution,
    durable_with_child_context,
)
from durable_engine.sdk import registry
from durable_engine.sdk.types import InvocationStatus, OperationStatus, OperationType
from durable_engine.testing import aws
from durable_engine.testing.aws import DurableChildContextTestRunner, DurableFunctionTestRunner
from tests.unit.test_aws_alias import installed, unloaded  # noqa: F401 - fixtures

TEST = textwrap.dedent(
    """
    import json

    from aws_durable_execution_sdk_python import DurableContext, durable_execution, durable_step
    from aws_durable_execution_sdk_python.config import Duration
    from aws_durable_execution_sdk_python.execution import InvocationStatus
    from aws_durable_execution_sdk_python_testing import DurableFunctionTestResult, DurableFunctionTestRunner
    from aws_durable_execution_sdk_python_testing.runner import StepOperation

    @durable_step
    def add(step, left, right):
        return left + right

    @durable_execution
    def handler(event, context: DurableContext):
        context.wait(Duration.from_hours(1), name="pause")
        return context.step(add(event["left"], 2))

    def test_handler():
        with DurableFunctionTestRunner(handler=handler, poll_interval=0.1) as runner:
            result: DurableFunctionTestResult = runner.run(input='{"left": 1}', timeout=60)
        assert result.status is InvocationStatus.SUCCEEDED
        assert json.loads(result.result) == 3
        step: StepOperation = result.get_step("add")
        assert step.result == "3" and step.attempt == 1
    """
)


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    with registry.isolated():
        yield


@pytest.mark.usefixtures("installed")
def test_a_test_written_for_aws_passes() -> None:
    module = ModuleType("test_orders")
    exec(compile(TEST, "test_orders.py", "exec"), vars(module))

    module.test_handler()


def test_operations_have_their_own_classes_times_and_children() -> None:
    def body(child: DurableContext) -> None:
        child.step(lambda step: 1, "inner")
        child.wait(Duration(60), "pause")

    def handler(event: Any, context: DurableContext) -> Any:
        context.run_in_child_context(body, "outer")
        return context.create_callback("answer", CallbackConfig(timeout=Duration(5))).result()

    with DurableFunctionTestRunner(durable_execution(handler)) as runner:
        arn = runner.run_async()
        callback_id = runner.wait_for_callback(arn, "answer")
        runner.send_callback_success(callback_id, b'"yes"')
        result = runner.wait_for_result(arn)

    outer, answer = result.operations
    assert isinstance(outer, aws.ContextOperation)
    assert [each.name for each in outer.child_operations] == ["inner", "pause"]
    assert outer.get_step("inner") == result.get_step("inner")
    pause = result.get_wait("pause")
    assert pause.start_timestamp is not None
    assert pause.end_timestamp == pause.scheduled_end_timestamp
    assert (pause.scheduled_end_timestamp - pause.start_timestamp).total_seconds() == 60  # type: ignore[operator]
    assert isinstance(answer, aws.CallbackOperation)
    assert (answer.callback_id, answer.result) == (callback_id, '"yes"')
    assert (outer.operation_type, outer.status) == (OperationType.CONTEXT, OperationStatus.SUCCEEDED)
    assert [each.name for each in result.get_all_operations()] == ["outer", "inner", "pause", "answer"]
    for missing in (result.get_invoke, result.get_execution, outer.get_callback):
        with pytest.raises(aws.DurableFunctionsTestError, match="is named 'none'"):
            missing("none")


def test_times_out_by_the_virtual_clock_and_says_so() -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.wait(Duration.from_hours(1))

    result = DurableFunctionTestRunner(durable_execution(handler)).run("{}", 60)

    assert result.status is InvocationStatus.TIMED_OUT


def packed(item: str, step: StepContext) -> str:
    return item


def test_a_child_context_function_is_run_alone() -> None:
    @durable_with_child_context
    def pack_all(context: DurableContext, items: list[str], *, mark: str) -> list[str]:
        return [context.step(partial(packed, item + mark), name=f"pack {item}") for item in items]

    with DurableChildContextTestRunner(pack_all, ["a", "b"], mark="!") as runner:
        result = runner.run()

    assert json.loads(result.result or "") == ["a!", "b!"]
    assert [each.name for each in result.operations] == ["pack a", "pack b"]
    assert registry.all_handlers() == []


@pytest.mark.parametrize("name", ["DurableFunctionCloudTestRunner", "WebRunner", "WebRunnerConfig"])
def test_what_has_no_counterpart_says_what_to_use_instead(name: str) -> None:
    with pytest.raises(NotImplementedError, match=rf"{name} is not part of Perdure: .*docs/service-api\.md"):
        getattr(aws, name)("function")
