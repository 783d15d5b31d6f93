"""Branches that meet what happens while others run: due times, answers, stops, changed code."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.sdk import (
    CompletionConfig,
    DurableContext,
    Duration,
    InvocationError,
    JsonSerDes,
    MapConfig,
    NestingType,
    ParallelBranch,
    ParallelConfig,
    RetryPresets,
    StepConfig,
    StepContext,
)
from durable_engine.services.exceptions import CallbackClosed
from durable_engine.testing.memory_execution import NotPossible
from tests.conformance.driver import Driver
from tests.conformance.handlers import error_of, nothing, run
from tests.conformance.scenarios import line_of

# What a body that runs until another branch has come somewhere allows for it.
SECONDS = 40

Body = Callable[[DurableContext], Any]


def until(runner: Driver, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, [line_of(event) for event in runner.events]
        runner.let_time_pass()


def run_parallel(runner: Driver, functions: list[Body], config: ParallelConfig | None = None) -> None:
    run(runner, lambda event, context: context.parallel(functions, "batch", config).throw_if_error())


def invocations(runner: Driver) -> int:
    return [event.event_type for event in runner.events].count("InvocationCompleted")


# In this process, while a sibling runs


@pytest.mark.parametrize("nesting", list(NestingType))
def test_a_wait_that_is_over_while_a_sibling_runs_goes_on_at_once(runner: Driver, nesting: NestingType) -> None:
    went_on = threading.Event()

    def waiting(context: DurableContext) -> None:
        context.wait(Duration(0.1), "short")
        context.step(lambda step: went_on.set(), "after")

    def running(context: DurableContext) -> None:
        context.step(lambda step: until(runner, went_on.is_set), "long")

    run_parallel(runner, [waiting, running], config=ParallelConfig(nesting_type=nesting))

    assert runner.status == "SUCCEEDED"
    assert invocations(runner) == 1


def test_a_retry_that_is_due_while_a_sibling_runs_is_made_at_once(runner: Driver) -> None:
    attempts: list[int] = []

    def flaky(step: StepContext) -> None:
        attempts.append(step.attempt)
        if step.attempt < 3:
            raise ValueError("not yet")

    def running(context: DurableContext) -> None:
        context.step(lambda step: until(runner, lambda: len(attempts) == 3), "long")

    def retrying(context: DurableContext) -> None:
        context.step(flaky, "flaky", StepConfig(RetryPresets.fixed(Duration(0.05))))

    run_parallel(runner, [retrying, running])

    assert runner.status == "SUCCEEDED"
    assert attempts == [1, 2, 3]
    assert invocations(runner) == 1


def test_an_answer_that_comes_while_a_sibling_runs_is_taken_at_once(runner: Driver) -> None:
    answers: list[str] = []

    def asking(context: DurableContext) -> None:
        answers.append(context.create_callback("answer").result())

    def answering(step: StepContext) -> None:
        until(runner, lambda: any(event.event_type == "CallbackStarted" for event in runner.events))
        runner.complete_callback("answer", result="yes")
        until(runner, lambda: bool(answers))

    def running(context: DurableContext) -> None:
        context.step(answering, "long")

    run_parallel(runner, [asking, running])

    assert runner.status == "SUCCEEDED"
    assert answers == ["yes"]
    assert invocations(runner) == 1


def test_a_branch_inside_a_branch_goes_on_while_another_one_of_the_outer_batch_runs(runner: Driver) -> None:
    went_on = threading.Semaphore(0)

    def inmost(context: DurableContext) -> None:
        context.wait(Duration(0.1))
        went_on.release()

    def outer(context: DurableContext) -> None:
        context.parallel([inmost, inmost], "inner")

    def both(step: StepContext) -> None:
        for _ in range(2):
            until(runner, lambda: went_on.acquire(blocking=False))

    def running(context: DurableContext) -> None:
        context.step(both, "long")

    run_parallel(runner, [outer, running])

    assert runner.status == "SUCCEEDED"
    assert invocations(runner) == 1


def test_a_branch_may_ask_for_a_callback_that_was_opened_around_it(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        opened = context.create_callback("answer")
        return context.parallel([lambda inner: opened.result(), lambda inner: inner.step(lambda step: 2)]).get_results()

    run(runner, handler)
    assert runner.status == "SUSPENDED"
    runner.complete_callback("answer", result="yes")
    runner.drive()

    assert runner.events[-1].payload == '["yes", 2]'


# Ends of the invocation


def test_what_runs_when_the_process_is_asked_to_stop_is_recorded_and_nothing_new_begins(runner: Driver) -> None:
    ran: list[str] = []
    both = threading.Barrier(2)

    def branch(lane: str) -> Body:
        def first(step: StepContext) -> None:
            ran.append(f"{lane}1")
            if ran.count(f"{lane}1") == 1:
                both.wait(SECONDS)
                runner.ask_to_release()
                both.wait(SECONDS)

        def body(context: DurableContext) -> None:
            context.step(first, f"{lane}1")
            context.step(lambda step: ran.append(f"{lane}2"), f"{lane}2")

        return body

    run_parallel(runner, [branch("a"), branch("b")])

    assert runner.status == "SUCCEEDED"
    assert sorted(ran) == ["a1", "a2", "b1", "b2"]
    lines = [line_of(event) for event in runner.events]
    handed_over = lines.index("Inv")
    assert {"StepSucceeded Step a1", "StepSucceeded Step b1"} <= set(lines[:handed_over])
    assert {"StepStarted Step a2", "StepStarted Step b2"} <= set(lines[handed_over:])


def test_an_execution_that_is_stopped_takes_nothing_more_from_any_branch(runner: Driver) -> None:
    stopped = threading.Event()

    def stop(step: StepContext) -> None:
        runner.stop()
        stopped.set()

    def stopping(context: DurableContext) -> None:
        context.step(stop, "stopping")

    def running(context: DurableContext) -> None:
        context.step(lambda step: stopped.wait(SECONDS), "running")
        context.step(nothing, "never")

    run_parallel(runner, [stopping, running])

    assert runner.status == "STOPPED"
    assert line_of(runner.events[-1]) == "ExecutionStopped"
    assert not any(event.event_type == "StepSucceeded" for event in runner.events)


def test_an_error_that_asks_for_another_invocation_is_no_outcome_of_its_branch(runner: Driver) -> None:
    runs: list[int] = []

    def away(context: DurableContext) -> str:
        runs.append(1)
        if len(runs) == 1:
            raise InvocationError("the storage is away for a moment")
        return "there again"

    def handler(event: Any, context: DurableContext) -> Any:
        return context.parallel([away, lambda inner: inner.step(lambda step: 1)]).get_results()

    run(runner, handler)

    assert runner.events[-1].payload == '["there again", 1]'
    assert invocations(runner) == 2


# Left behind


def test_nothing_of_a_branch_that_was_left_behind_stands_after_its_batch(runner: Driver) -> None:
    """Both branches write all the time; whatever of the slow one comes too late must not be recorded at all."""
    left = threading.Event()

    def writing(context: DurableContext) -> None:
        try:
            for number in range(10_000):
                context.step(nothing, f"step-{number}")
        finally:
            left.set()

    def handler(event: Any, context: DurableContext) -> Any:
        config = ParallelConfig(completion_config=CompletionConfig.first_successful())
        batch = context.parallel([writing, lambda inner: inner.step(nothing, "quick")], "race", config)
        assert left.wait(SECONDS)
        context.step(nothing, "after")
        return [item.status for item in batch.all]

    run(runner, handler)

    assert runner.events[-1].payload == '["STARTED", "SUCCEEDED"]'
    lines = [(event.operation_id or "", event.event_type) for event in runner.events]
    completed = lines.index(("1", "ContextSucceeded"))
    assert not [line for line in lines[completed:] if line[0].startswith("1-")]


def test_a_batch_that_is_complete_never_starts_a_branch_again(runner: Driver) -> None:
    ran: list[int] = []

    def item(context: DurableContext, value: int, index: int, values: Any) -> int:
        ran.append(value)
        if value == 2:
            context.wait(Duration(1000), "long")
        return value

    def handler(event: Any, context: DurableContext) -> Any:
        config = MapConfig(max_concurrency=2, completion_config=CompletionConfig(min_successful=2))
        batch = context.map([2, 0, 1, 3], item, "items", config)
        context.wait(Duration(1), "short")
        return [[part.status for part in batch.all], batch.get_results(), batch.completion_reason]

    run(runner, handler)

    assert runner.events[-1].payload is not None
    assert '"MIN_SUCCESSFUL_REACHED"' in runner.events[-1].payload
    assert ran == [2, 0, 1]


# Changed code


def pausing(name: str) -> ParallelBranch[None]:
    def body(context: DurableContext) -> None:
        context.step(nothing, "work")
        context.wait(Duration(60), "pause")

    return ParallelBranch(body, name)


def parallel_of(*names: str, config: ParallelConfig | None = None) -> Body:
    return lambda context: context.parallel([pausing(name) for name in names], "batch", config)


def renamed_inside(context: DurableContext) -> None:
    def body(inner: DurableContext) -> None:
        inner.step(nothing, "other work")

    context.parallel([pausing("a"), ParallelBranch(body, "b")], "batch")


def ends_early(context: DurableContext) -> None:
    def body(inner: DurableContext) -> None:
        inner.step(nothing, "work")

    context.parallel([pausing("a"), ParallelBranch(body, "b")], "batch")


def as_child(context: DurableContext) -> None:
    context.run_in_child_context(lambda child: child.wait(Duration(1)), "batch")


def as_map(context: DurableContext) -> None:
    config = MapConfig(item_namer=lambda item, index: item)
    context.map(["a", "b"], lambda inner, item, index, items: None, "batch", config)


FLAT = ParallelConfig(nesting_type=NestingType.FLAT)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (parallel_of("a"), ["! branches", "recorded 2", "handler 1"]),
        (parallel_of("a", "b", "c"), ["! branches", "recorded 2", "handler 3"]),
        (parallel_of("a", "c"), ["operation 1-2", "! name", "'b'", "'c'"]),
        (parallel_of("b", "a"), ["operation 1-1", "! name", "'a'", "'b'"]),
        (parallel_of("a", "b", config=FLAT), ["! nesting", "'NESTED'", "'FLAT'"]),
        (as_child, ["! subtype", "'Parallel'", "'RunInChildContext'"]),
        (as_map, ["! subtype", "'Parallel'", "'Map'"]),
        (renamed_inside, ["operation 1-2-1", "! name", "'work'", "'other work'"]),
        (ends_early, ["branch 1-2 'b' ended before it reached operation 1-2-2 'pause'"]),
    ],
    ids=["fewer", "more", "renamed", "swapped", "flat", "child", "map", "renamed inside", "ends early"],
)
def test_changed_branches_pause_with_a_diff(runner: Driver, changed: Body, words: list[str]) -> None:
    deployed = [parallel_of("a", "b"), changed]

    run(runner, lambda event, context: deployed.pop(0)(context))

    kind, reason = runner.pause
    assert (runner.status, kind) == ("PAUSED", "divergence")
    for word in words:
        assert word in reason


@pytest.mark.parametrize("was_flat", [False, True])
def test_a_complete_batch_whose_branches_are_not_those_of_the_history_pauses(runner: Driver, was_flat: bool) -> None:
    config = FLAT if was_flat else None
    counts = [2, 3]

    def handler(event: Any, context: DurableContext) -> None:
        context.parallel([lambda inner: inner.step(nothing)] * counts.pop(0), "batch", config)
        context.wait(Duration(1))

    run(runner, handler)

    assert (runner.status, runner.pause[0]) == ("PAUSED", "divergence")
    assert "! branches" in runner.pause[1]


def test_a_result_that_cannot_be_stored_fails_the_batch(runner: Driver) -> None:
    config = ParallelConfig(serdes=JsonSerDes())  # it knows no BatchResult

    run_parallel(runner, [lambda inner: 1], config)

    assert error_of(runner)["ErrorType"] == "SerDesError"
    assert "the result of operation 1 'batch'" in error_of(runner)["ErrorMessage"]


def test_what_a_branch_that_was_left_behind_waits_for_wakes_nobody_any_more(runner: Driver) -> None:
    """Its wait would wake the execution for nothing, and its callback be answered without effect."""

    def waiting(context: DurableContext) -> None:
        context.wait(Duration(60), "long")

    def asking(context: DurableContext) -> None:
        context.create_callback("late").result()

    def handler(event: Any, context: DurableContext) -> Any:
        config = ParallelConfig(completion_config=CompletionConfig.first_successful())
        slow = [waiting, asking, lambda inner: inner.wait(Duration(1), "short")]
        batch = context.parallel(slow, "race", config)
        context.create_callback("go on").result()
        return [item.status for item in batch.all]

    run(runner, handler)

    assert runner.status == "SUSPENDED"
    assert invocations(runner) == 2, "the long wait is not over, and never will be"
    with pytest.raises((NotPossible, CallbackClosed)):
        runner.complete_callback("late", result="too late")
    runner.complete_callback("go on", result="yes")
    runner.drive()
    assert runner.events[-1].payload == '["STARTED", "STARTED", "SUCCEEDED"]'
