"""Stand-ins of the testing kit: records stay what they would be, only what a body would reach is replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from durable_engine.sdk import DurableContext, Duration, StepError, registry
from durable_engine.sdk.exceptions import CallbackExternalError, InvokeError
from durable_engine.sdk.execution import durable_execution
from durable_engine.sdk.types import ErrorObject
from durable_engine.testing.plugin import MakeRunner
from durable_engine.testing.results import DurableFunctionsTestError

charged: list[int] = []


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    charged.clear()
    with registry.isolated():
        yield


def order(event: Any, context: DurableContext) -> Any:
    """Three steps, two days for an answer, and a function of somebody else."""
    context.step(lambda step: charged.append(event["amount"]), "charge")
    answer = context.wait_for_callback(lambda callback_id, _: charged.append(0), "approval")
    label = context.invoke("print-label", {"order": 7})
    sent = context.run_in_child_context(lambda child: child.step(lambda step: "real", "ship"), "delivery")
    return [answer, label, sent]


def test_a_handler_runs_over_stand_ins_and_none_of_its_bodies(durable_runner: MakeRunner) -> None:
    runner = durable_runner(durable_execution(order))
    charge = runner.mock_step("charge", result={"receipt": 1})
    runner.mock_step("approval submitter")
    runner.mock_step("ship", result="tomorrow")
    runner.mock_callback("approval", result="yes")
    label = runner.mock_invoke("print-label", side_effect=lambda payload: f"label {payload['order']}")

    result = runner.run('{"amount": 5}')

    assert json.loads(result.result or "") == ["yes", "label 7", "tomorrow"]
    assert (charged, charge.calls, label.calls) == ([], 1, 1)
    assert result.get_step("charge").status == "SUCCEEDED"
    assert result.get_context("delivery").status == "SUCCEEDED"


def test_errors_of_stand_ins_come_out_as_those_of_the_real_ones(durable_runner: MakeRunner) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        seen = []
        for call in (
            lambda: context.step(lambda step: 1, "charge"),
            lambda: context.create_callback("answer").result(),
            lambda: context.invoke("print-label", {}),
        ):
            try:
                call()
            except (StepError, CallbackExternalError, InvokeError) as error:
                seen.append(type(error).__name__)
        return seen

    runner = durable_runner(durable_execution(handler))
    charge = runner.mock_step("charge", error=TimeoutError("bank"))
    runner.mock_callback("answer", error=ErrorObject("no", "Refused"))
    runner.mock_invoke("print-label", error=ValueError("no paper"))

    assert json.loads(runner.run().result or "") == ["StepError", "CallbackExternalError", "InvokeError"]
    assert charge.calls == 6, "the default strategy makes six attempts"


def test_a_list_of_side_effects_is_taken_attempt_by_attempt(durable_runner: MakeRunner) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        return [context.step(lambda step: "real", "charge"), context.step(lambda step: "real", "charge")]

    runner = durable_runner(durable_execution(handler))
    runner.mock_step("charge", side_effect=[TimeoutError("once"), "second", "third"])

    result = runner.run()

    assert json.loads(result.result or "") == ["second", "third"]
    assert result.get_step("charge").attempt == 2


def test_a_crash_after_a_named_operation_does_not_run_it_again(durable_runner: MakeRunner) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        context.step(lambda step: charged.append(1), "charge")
        context.wait(Duration.from_days(2))
        context.step(lambda step: charged.append(2), "ship")

    made = durable_execution(handler)
    runner = durable_runner(made)
    runner.crash_after("charge")
    assert runner.run().status == "SUCCEEDED"
    assert charged == [1, 2]

    charged.clear()
    runner = durable_runner(made)
    runner.crash_before("ship")
    assert runner.run().status == "SUCCEEDED"
    assert charged == [1, 2, 2], "an at-least-once body whose outcome was not recorded runs again"


def test_what_is_missing_is_told_with_what_there_is(durable_runner: MakeRunner) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        context.step(lambda step: 1, "charge")
        context.wait(Duration(1), "pause")

    result = durable_runner(durable_execution(handler)).run()

    assert result.get_wait("pause").status == "SUCCEEDED"
    with pytest.raises(DurableFunctionsTestError, match=r"no step is named 'ship'; there are 'charge'"):
        result.get_step("ship")
    with pytest.raises(DurableFunctionsTestError, match="no callback is named 'ship'; there are none"):
        result.get_callback("ship")
