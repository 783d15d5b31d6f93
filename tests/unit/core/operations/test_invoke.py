from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from durable_engine.sdk import (
    DurableContext,
    Duration,
    InvokeConfig,
    InvokeError,
    JsonSerDes,
    PassThroughSerDes,
    SerDesError,
    ValidationError,
    registry,
)
from durable_engine.sdk.execution import durable_execution
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.runner import DurableFunctionTestRunner
from tests.unit.core.conftest import Run


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    """Two versions of a function to invoke."""
    with registry.isolated():

        @durable_execution(name="echo", version=1)
        def old(event: Any, context: DurableContext) -> Any:
            return ["old", event]

        @durable_execution(name="echo", version=2)
        def new(event: Any, context: DurableContext) -> Any:
            return ["new", event, context.execution_context.tenant_id]

        yield


def result_of(execution: MemoryExecution) -> Any:
    assert execution.status == "SUCCEEDED", execution.events[-1]
    return json.loads(execution.events[-1].payload or "null")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("echo", "new"),
        ("echo:1", "old"),
        ("echo:$LATEST", "new"),
        ("echo:live", "new"),
        ("arn:aws:lambda:us-east-1:123456789012:function:echo", "new"),
        ("arn:aws-cn:lambda:cn-north-1:999999999999:function:echo:1", "old"),
        ("123456789012:function:echo:1", "old"),
    ],
)
def test_a_function_is_found_by_every_form_of_its_name(run: Run, name: str, answer: str) -> None:
    assert result_of(run(lambda event, context: context.invoke(name, 5)))[:2] == [answer, 5]


def test_a_handler_itself_names_its_version(run: Run) -> None:
    old = registry.get("echo", 1)
    assert old is not None

    assert result_of(run(lambda event, context: context.invoke(old, 5))) == ["old", 5]


@pytest.mark.parametrize("name", ["", "two words", "echo:", "echo:0", "arn:aws:s3:::bucket", None, 7])
def test_what_cannot_be_a_name_is_refused_before_anything_is_recorded(run: Run, name: Any) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        with pytest.raises(ValidationError, match="function_name"):
            context.invoke(name)
        return "refused"

    execution = run(handler)

    assert result_of(execution) == "refused"
    assert len(execution.events) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ehco", "There is no function 'ehco'. Did you mean 'echo'? Known: echo."),
        ("echo:3", "There is no version 3 of function 'echo'. Known versions: 1, 2."),
    ],
)
def test_an_unknown_function_fails_the_operation_for_good(run: Run, name: str, message: str) -> None:
    seen = []

    def handler(event: Any, context: DurableContext) -> None:
        with pytest.raises(InvokeError) as raised:
            context.invoke(name, name="call")
        seen.append((raised.value.error_type, str(raised.value)))
        # Known by the time of the replay, and yet replay sees what the first run saw.
        durable_execution(name="ehco", version=3)(lambda event, context: None)
        durable_execution(name="echo", version=3)(lambda event, context: None)
        context.wait(Duration(1))

    run(handler)

    assert seen == [("FunctionNotFound", message)] * 2


def test_the_tenant_is_handed_on(run: Run) -> None:
    execution = run(lambda event, context: context.invoke("echo", 1, config=InvokeConfig(tenant_id="acme")))

    assert result_of(execution) == ["new", 1, "acme"]
    assert (execution.events[1].details or {})["tenant_id"] == "acme"


@pytest.mark.parametrize("tenant_id", ["", "x" * 257, "a\nb", 5])
def test_a_tenant_that_cannot_be_one_is_refused(tenant_id: Any) -> None:
    with pytest.raises(ValidationError, match="tenant_id"):
        InvokeConfig(tenant_id=tenant_id)


class Shouting(JsonSerDes):
    """Marks what went through it."""

    def serialize(self, value: Any, serdes_context: Any) -> str:
        return super().serialize(f"{value}!", serdes_context)

    def deserialize(self, data: str, serdes_context: Any) -> Any:
        return f"{super().deserialize(data, serdes_context)}?"


def test_payload_and_result_go_through_their_serdes(run: Run) -> None:
    config = InvokeConfig(serdes_payload=Shouting(), serdes_result=Shouting())

    assert result_of(run(lambda event, context: context.invoke("echo:1", "hey", config=config))) == "['old', 'hey!']?"


def test_a_payload_that_no_handler_could_read_is_refused(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        with pytest.raises(SerDesError, match="must be JSON"):
            context.invoke("echo", "no JSON", config=InvokeConfig(serdes_payload=PassThroughSerDes()))
        with pytest.raises(SerDesError, match="the payload of operation 2 'bad'"):
            context.invoke("echo", object(), name="bad")
        return "refused"

    assert result_of(run(handler)) == "refused"


def test_another_function_at_the_same_place_is_a_divergence(run: Run) -> None:
    names = iter(["echo", "other"])

    def handler(event: Any, context: DurableContext) -> Any:
        return context.invoke(next(names), 1)

    execution = run(handler)

    assert (execution.status, execution.pause_kind) == ("PAUSED", "divergence")
    assert "! function recorded 'echo'" in execution.pause_reason
    assert "handler 'other'" in execution.pause_reason


def test_the_invoked_execution_goes_on_when_the_other_one_is_stopped() -> None:
    @durable_execution(name="asks")
    def asks(event: Any, context: DurableContext) -> Any:
        return context.create_callback("answer").result()

    @durable_execution(name="invokes")
    def invokes(event: Any, context: DurableContext) -> Any:
        return context.invoke("asks")

    runner = DurableFunctionTestRunner(invokes)
    arn = runner.run_async()
    parent = runner.execution(arn)
    parent.stop()
    events = list(parent.events)
    runner.send_callback_success(runner.wait_for_callback(arn), "yes")

    assert runner.wait_for_result(parent.children[0].id).result == '"yes"'
    assert parent.events == events


def test_the_kit_finds_handlers_under_the_names_it_was_given(run: Run) -> None:
    @durable_execution(name="invokes")
    def invokes(event: Any, context: DurableContext) -> Any:
        return context.invoke("stand-in:7", 3)

    runner = DurableFunctionTestRunner(invokes)
    old = registry.get("echo", 1)
    assert old is not None
    runner.register_durable_function("stand-in", old)

    assert runner.run().result == '["old", 3]'
