"""How an invocation ends when it neither returns nor waits: divergence, swallowed signals, release, stop."""

# ruff: noqa: BLE001, SIM105 - handlers that catch too much are what is tested

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.sdk import (
    ChildConfig,
    DurableContext,
    Duration,
    InvocationError,
    StepContext,
    SuspendExecution,
)
from tests.conformance.driver import Driver
from tests.conformance.handlers import Function, error_of, nothing, run
from tests.conformance.scenarios import line_of

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


@pytest.mark.parametrize(
    ("first", "second", "field"),
    [
        (ChildConfig[None](sub_type="Batch"), ChildConfig[None](sub_type="Group"), "! subtype"),
        (ChildConfig[None](is_virtual=True), ChildConfig[None](), "! parent"),
        (ChildConfig[None](), ChildConfig[None](is_virtual=True), "! type"),
    ],
    ids=["subtype", "parent", "virtual"],
)
def test_a_child_context_of_another_kind_diverges(
    runner: Driver, first: ChildConfig[None], second: ChildConfig[None], field: str
) -> None:
    configs = [first, second]

    def body(child: DurableContext) -> None:
        child.step(nothing, "inner")
        child.wait(Duration(1))

    run(runner, lambda event, context: context.run_in_child_context(body, "kid", configs.pop(0)))

    assert (runner.status, runner.pause[0]) == ("PAUSED", "divergence")
    assert field in runner.pause[1]


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
