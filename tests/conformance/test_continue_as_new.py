"""Executions that continue as new: one ends and the next begins, exactly once, with name, tags and parent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from durable_engine.sdk import (
    DurableContext,
    Duration,
    InvalidStateError,
    StepContext,
    durable_execution,
    registry,
)
from tests.conformance.driver import Driver
from tests.conformance.handlers import error_of, handler_of, run
from tests.conformance.scenarios import line_of

RAN: list[int] = []


def counting(event: Any, context: DurableContext) -> str:
    """Three rounds, of a step and a wait each."""

    def body(step: StepContext) -> None:
        RAN.append(event["round"])

    context.tag(round=event["round"])
    context.step(body, "work")
    if event["round"] == 3:
        return "done"
    context.wait(Duration(60), "pause")
    return context.continue_as_new({"round": event["round"] + 1})


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    """The handler above as a function that others may invoke."""
    RAN.clear()
    with registry.isolated():
        durable_execution(name="counting")(counting)
        yield


def lines(runner: Driver) -> list[str]:
    return [line_of(event) for event in runner.events]


def test_each_round_is_an_execution_of_its_own_and_the_last_one_has_the_result(runner: Driver) -> None:
    run(runner, counting, '{"round": 1}')

    for number in (1, 2):
        assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", "null")
        assert runner.tags == {"round": str(number)}
        assert lines(runner) == [
            "ExecutionStarted",
            "StepStarted Step work",
            "StepSucceeded Step work",
            "WaitStarted Wait pause",
            "Inv",
            "WaitSucceeded Wait pause",
            "Inv",
            "ExecutionSucceeded",
        ]
        runner.follow()
    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '"done"')
    assert runner.tags == {"round": "3"}
    assert RAN == [1, 2, 3]


@pytest.mark.parametrize("event_id", [3, 5, 7, 8])
@pytest.mark.parametrize("before", [True, False])
def test_a_crash_around_any_statement_begins_each_round_once(runner: Driver, event_id: int, before: bool) -> None:
    runner.start(handler_of(counting), '{"round": 1}')
    runner.crash_at(event_id, before=before)
    runner.drive()

    runner.follow()
    runner.follow()
    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '"done"')
    assert sorted(set(RAN)) == [1, 2, 3]
    assert len(RAN) == (4 if event_id == 3 and before else 3)


def test_whoever_invoked_the_first_one_hears_of_the_last(runner: Driver) -> None:
    def invoking(event: Any, context: DurableContext) -> Any:
        return context.invoke("counting", {"round": 1}, "count")

    run(runner, invoking)

    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '"done"')
    outcomes = [line for line in lines(runner) if line.startswith("ChainedInvoke")]
    assert outcomes == ["ChainedInvokeStarted ChainedInvoke count", "ChainedInvokeSucceeded ChainedInvoke count"]


@pytest.mark.parametrize("place", ["child", "branch"])
def test_only_the_handlers_own_context_can(runner: Driver, place: str) -> None:
    def inner(context: DurableContext) -> None:
        with pytest.raises(InvalidStateError, match="call it on the context that the handler was given"):
            context.continue_as_new()

    def handler(event: Any, context: DurableContext) -> str:
        if place == "child":
            context.run_in_child_context(inner)
        else:
            context.parallel([inner]).throw_if_error()
        return "refused"

    run(runner, handler)

    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '"refused"')


def test_an_input_that_the_handler_would_refuse_ends_this_execution_and_begins_none(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.continue_as_new({"round": "two"})

    runner.start(handler_of(handler, input={"type": "object", "properties": {"round": {"type": "integer"}}}))
    runner.drive()

    assert (runner.status, error_of(runner)["ErrorType"]) == ("FAILED", "ValidationError")


def test_an_input_that_is_no_json_ends_this_execution_and_begins_none(runner: Driver) -> None:
    run(runner, lambda event, context: context.continue_as_new(object()))

    assert (runner.status, error_of(runner)["ErrorType"]) == ("FAILED", "SerDesError")
    assert "the input of continue_as_new" in error_of(runner)["ErrorMessage"]


def test_a_handler_that_swallows_the_signal_is_paused(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        try:
            context.continue_as_new()
        except BaseException:  # noqa: BLE001
            return "swallowed"

    run(runner, handler)

    assert runner.status == "PAUSED"
    assert "continue_as_new" in runner.pause[1]


def test_operations_that_are_recorded_behind_it_are_a_divergence(runner: Driver) -> None:
    passes = []

    def handler(event: Any, context: DurableContext) -> str:
        passes.append("pass")
        if len(passes) == 2:
            context.continue_as_new()
        context.step(lambda step: None, "first")
        context.wait(Duration(1))
        return "never"

    run(runner, handler)

    assert (runner.status, runner.pause[0]) == ("PAUSED", "divergence")
    assert "'first'" in runner.pause[1]


def test_json_of_the_next_input_is_what_the_next_round_reads(runner: Driver) -> None:
    seen: list[Any] = []

    def handler(event: Any, context: DurableContext) -> None:
        seen.append(event)
        if len(seen) == 1:
            context.continue_as_new({"rows": (1, 2), "text": "é"})

    run(runner, handler)

    assert seen[1] == {"rows": [1, 2], "text": "é"}
    runner.follow()
    assert json.loads(runner.events[0].payload or "") == seen[1]
