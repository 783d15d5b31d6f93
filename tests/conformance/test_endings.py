"""How an invocation ends when it neither returns nor waits: divergence, swallowed signals, release, stop, bad data."""

# ruff: noqa: BLE001, SIM105 - handlers that catch too much are what is tested

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.sdk import (
    CallbackConfig,
    DurableContext,
    DurableHandler,
    Duration,
    ExtendedTypeSerDes,
    InvocationError,
    JsonSerDes,
    RetryPresets,
    StepConfig,
    StepContext,
    SuspendExecution,
    registry,
)
from durable_engine.sdk.execution import durable_execution
from tests.conformance.driver import Driver
from tests.conformance.scenarios import line_of

Function = Callable[[Any, DurableContext], Any]


def handler_of(function: Function, **options: Any) -> DurableHandler:
    with registry.isolated():
        made = durable_execution(name="test-handler", **options)(function)
    assert isinstance(made, DurableHandler)
    return made


def run(runner: Driver, function: Function, input: str = "{}", **options: Any) -> None:
    runner.start(handler_of(function, **options), input)
    runner.drive()


def error_of(runner: Driver) -> dict[str, Any]:
    error = json.loads(runner.events[-1].error or "null")
    assert isinstance(error, dict), runner.events[-1]
    return error


def nothing(step: StepContext) -> None:
    return None


# Divergence. Each pair: what ran until its first wait, and what a later deploy makes of it.


def one_step_and_a_wait(context: DurableContext) -> None:
    context.step(nothing, "charge")
    context.wait(Duration(60), "pause")


def renamed(context: DurableContext) -> None:
    context.step(nothing, "refund")


def another_type(context: DurableContext) -> None:
    context.wait(Duration(1), "charge")


def another_subtype(context: DurableContext) -> None:
    context.run_in_child_context(lambda child: child.wait(Duration(60)), "charge")


def another_parent(context: DurableContext) -> None:
    context.run_in_child_context(lambda child: child.step(nothing, "charge"), "charge")


def ends_early(context: DurableContext) -> None:
    context.step(nothing, "charge")


def fails_early(context: DurableContext) -> None:
    raise NameError("a slip of today's deploy")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (renamed, ["name", "'charge'", "'refund'"]),
        (another_type, ["type", "'STEP'", "'WAIT'"]),
        (another_subtype, ["subtype", "'Step'", "'RunInChildContext'"]),
        (another_parent, ["type", "'STEP'", "'CONTEXT'"]),
        (ends_early, ["ended before it reached operation 2 'pause' (wait)"]),
        (fails_early, ["ended before it reached operation 1 'charge' (step)"]),
    ],
)
def test_code_that_no_longer_matches_the_history_pauses_with_a_diff(
    runner: Driver, changed: Callable[[DurableContext], None], words: list[str]
) -> None:
    deployed = [one_step_and_a_wait, changed]

    def handler(event: Any, context: DurableContext) -> Any:
        return deployed.pop(0)(context)

    run(runner, handler)

    assert runner.status == "PAUSED"
    kind, reason = runner.pause
    assert kind == "divergence"
    assert "no longer matches the history" in reason
    for word in words:
        assert word in reason
    assert line_of(runner.events[-1]) == "Inv"


def test_divergence_is_not_caught_by_a_handler_that_catches_exceptions(runner: Driver) -> None:
    runs = 0

    def handler(event: Any, context: DurableContext) -> Any:
        nonlocal runs
        runs += 1
        try:
            context.step(nothing, "charge" if runs == 1 else "refund")
            context.wait(Duration(1))
        except Exception:
            return "compensated"

    run(runner, handler)

    assert (runner.status, runner.pause[0]) == ("PAUSED", "divergence")


def test_a_child_body_that_ends_before_its_recorded_operations_diverges(runner: Driver) -> None:
    runs = 0

    def body(child: DurableContext) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            child.step(nothing, "inner")
            child.wait(Duration(1), "inner wait")

    run(runner, lambda event, context: context.run_in_child_context(body, "kid"))

    assert (runner.status, runner.pause[0]) == ("PAUSED", "divergence")
    assert "operation 1 'kid' (context) ended before it reached operation 1-1 'inner' (step)" in runner.pause[1]


def test_a_completed_large_context_that_asks_for_a_new_operation_diverges(runner: Driver) -> None:
    runs = 0

    def body(child: DurableContext) -> str:
        nonlocal runs
        runs += 1
        if runs == 2:
            child.step(nothing, "new")
        return "x" * 300_000

    def handler(event: Any, context: DurableContext) -> Any:
        context.run_in_child_context(body, "large")
        context.wait(Duration(1))

    run(runner, handler)

    assert (runner.status, runner.pause[0]) == ("PAUSED", "divergence")
    assert "the context 1 is complete" in runner.pause[1]


# Swallowed signals


def swallows_and_returns(event: Any, context: DurableContext) -> Any:
    try:
        context.wait(Duration(60), "cool-down")
    except BaseException:
        return "done already"


def swallows_and_raises(event: Any, context: DurableContext) -> Any:
    try:
        context.wait(Duration(60), "cool-down")
    finally:
        raise RuntimeError("from finally")


def swallows_in_a_child(event: Any, context: DurableContext) -> Any:
    def body(child: DurableContext) -> Any:
        try:
            child.wait(Duration(60), "cool-down")
        except BaseException:
            return "done already"

    try:
        return context.run_in_child_context(body)
    except BaseException:
        return "swallowed twice"


@pytest.mark.parametrize("function", [swallows_and_returns, swallows_and_raises, swallows_in_a_child])
def test_a_handler_that_swallows_suspension_is_paused_and_told_where(runner: Driver, function: Function) -> None:
    run(runner, function)

    assert runner.status == "PAUSED"
    kind, reason = runner.pause
    assert kind == "suspension"
    assert "'cool-down' (wait)" in reason
    assert "except BaseException" in reason
    assert "catch Exception" in reason
    assert "ContextSucceeded" not in [event.event_type for event in runner.events]


def test_a_swallowed_suspension_is_raised_again_by_the_next_operation(runner: Driver) -> None:
    passed: list[str] = []

    def handler(event: Any, context: DurableContext) -> Any:
        try:
            context.wait(Duration(60), "cool-down")
        except BaseException:
            passed.append("swallowed")
        return context.step(lambda step: "after", "after")

    run(runner, handler)

    assert runner.status == "SUCCEEDED"
    assert passed == ["swallowed"]
    lines = [line_of(event) for event in runner.events]
    assert lines.index("WaitSucceeded Wait cool-down") < lines.index("StepStarted Step after")


def test_a_handler_that_raises_the_suspend_signal_itself_fails(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        raise SuspendExecution

    run(runner, handler)

    assert runner.status == "FAILED"
    assert "raised SuspendExecution itself" in error_of(runner)["ErrorMessage"]


# Release, stop, invocations that are abandoned


def test_a_stopping_process_hands_over_before_new_work_and_the_next_one_goes_on(runner: Driver) -> None:
    ran: list[str] = []

    def first(step: StepContext) -> None:
        ran.append("first")
        runner.ask_to_release()

    def handler(event: Any, context: DurableContext) -> Any:
        context.step(first, "first")
        context.step(lambda step: ran.append("second"), "second")

    run(runner, handler)

    assert runner.status == "SUCCEEDED"
    assert ran == ["first", "second"]
    assert [line_of(event) for event in runner.events] == [
        "ExecutionStarted",
        "StepStarted Step first",
        "StepSucceeded Step first",
        "Inv",
        "StepStarted Step second",
        "StepSucceeded Step second",
        "Inv",
        "ExecutionSucceeded",
    ]
    assert all(event.error is None for event in runner.events)


def test_an_execution_stopped_under_a_running_step_gets_no_event_of_it(runner: Driver) -> None:
    caught: list[str] = []

    def handler(event: Any, context: DurableContext) -> Any:
        try:
            context.step(lambda step: runner.stop(), "stopper")
        except Exception as error:
            caught.append(repr(error))
        return "finished anyway"

    run(runner, handler)

    assert runner.status == "STOPPED"
    assert line_of(runner.events[-1]) == "ExecutionStopped"
    assert "StepSucceeded" not in [event.event_type for event in runner.events]
    assert caught == []


def test_a_handler_that_swallows_even_the_lost_lease_changes_nothing(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        try:
            context.step(lambda step: runner.stop(), "stopper")
        except BaseException:
            pass
        return "finished anyway"

    run(runner, handler)

    assert runner.status == "STOPPED"
    assert line_of(runner.events[-1]) == "ExecutionStopped"


def test_an_invocation_error_of_the_handler_counts_as_a_crash_and_it_is_run_again(runner: Driver) -> None:
    runs = 0

    def handler(event: Any, context: DurableContext) -> Any:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise InvocationError("not now")
        return runs

    run(runner, handler)

    assert (runner.status, runs) == ("SUCCEEDED", 2)
    assert runner.events[1].error is not None


# Bad data


def test_an_undecodable_result_in_the_history_pauses_and_names_the_event(runner: Driver) -> None:
    runs = 0

    def handler(event: Any, context: DurableContext) -> Any:
        nonlocal runs
        runs += 1
        serdes = ExtendedTypeSerDes() if runs > 1 else _NotJson()
        context.step(lambda step: "value", "note", StepConfig(serdes=serdes))
        context.wait(Duration(1))

    run(runner, handler)

    assert (runner.status, runner.pause[0]) == ("PAUSED", "undecodable")
    assert "Event 3, the outcome of operation 1 'note' (step)" in runner.pause[1]
    assert "not JSON" in runner.pause[1]


class _NotJson(JsonSerDes):
    def serialize(self, value: Any, serdes_context: Any) -> str:
        return f"<{value}>"

    def deserialize(self, data: str, serdes_context: Any) -> Any:
        return data


def test_a_callback_result_that_its_serdes_cannot_read_pauses(runner: Driver) -> None:
    run(
        runner,
        lambda event, context: context.create_callback("answer", CallbackConfig(serdes=JsonSerDes())).result(),
    )
    runner.complete_callback("answer", result="{broken")
    runner.drive()

    assert (runner.status, runner.pause[0]) == ("PAUSED", "undecodable")
    assert "'answer' (callback)" in runner.pause[1]


def test_input_that_is_not_json_pauses(runner: Driver) -> None:
    run(runner, lambda event, context: event, input="{broken")

    assert (runner.status, runner.pause[0]) == ("PAUSED", "undecodable")
    assert "Event 1" in runner.pause[1]


def test_an_unserialisable_step_result_fails_the_step_without_a_retry(runner: Driver) -> None:
    run(runner, lambda event, context: context.step(lambda step: object(), "odd", StepConfig(RetryPresets.fixed())))

    failed = next(event for event in runner.events if event.event_type == "StepFailed")
    recorded = json.loads(failed.error or "")
    assert (recorded["ErrorType"], failed.details) == ("SerDesError", None)
    assert "the result of operation 1 'odd' (step) cannot be stored" in recorded["ErrorMessage"]
    assert "builtins.object" in recorded["ErrorMessage"]
    assert error_of(runner)["ErrorType"] == "StepError"


def test_a_step_result_above_the_limit_fails_the_step_and_says_how_to_go_on(runner: Driver) -> None:
    run(runner, lambda event, context: context.step(lambda step: "x" * 262_144, "big"))

    failed = next(event for event in runner.events if event.event_type == "StepFailed")
    recorded = json.loads(failed.error or "")
    assert (recorded["ErrorType"], failed.details) == ("PayloadTooLargeError", None)
    for part in ("'big'", "262,146 bytes", "262,144", "Store the data elsewhere"):
        assert part in recorded["ErrorMessage"]


def test_a_step_result_of_exactly_the_limit_is_kept(runner: Driver) -> None:
    run(runner, lambda event, context: len(context.step(lambda step: "x" * 262_142, "big")))

    assert runner.events[-1].payload == "262142"


@pytest.mark.parametrize(
    ("result", "error_type", "part"),
    [
        ({"when": {1, 2}}, "SerDesError", "set is not JSON serializable"),
        (float("nan"), "SerDesError", "JSON"),
        ("x" * 6_291_456, "PayloadTooLargeError", "6,291,458 bytes"),
    ],
)
def test_a_result_that_cannot_be_stored_fails_the_execution(
    runner: Driver, result: Any, error_type: str, part: str
) -> None:
    run(runner, lambda event, context: result)

    assert runner.status == "FAILED"
    assert error_of(runner)["ErrorType"] == error_type
    assert part in error_of(runner)["ErrorMessage"]
    assert "'test-handler'" in error_of(runner)["ErrorMessage"]


def test_nul_characters_in_errors_and_results_are_stored(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        kept = context.step(lambda step: "a\x00b", "nul")
        raise RuntimeError(kept)

    run(runner, handler)

    assert error_of(runner)["ErrorMessage"] == "a\N{REPLACEMENT CHARACTER}b"
