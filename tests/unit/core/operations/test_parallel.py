from __future__ import annotations

import contextlib
import json
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from durable_engine.core import replay
from durable_engine.sdk import (
    CompletionConfig,
    DurableContext,
    Duration,
    InvalidStateError,
    MapConfig,
    ParallelBranch,
    ParallelConfig,
    StepContext,
    ValidationError,
    durable_execution,
    durable_parallel_branch,
    registry,
)
from durable_engine.sdk.exceptions import OrphanedChildException
from durable_engine.testing.clock import VirtualClock
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.memory_store import MemoryStore
from tests.unit.core.conftest import Run

# A test that waits for another thread fails after this, instead of hanging.
SECONDS = 40


def one(step: StepContext) -> int:
    return 1


def error_of(execution: MemoryExecution) -> dict[str, Any]:
    error = json.loads(execution.events[-1].error or "null")
    assert isinstance(error, dict), (execution.status, execution.pause_reason)
    return error


def result_of(execution: MemoryExecution) -> Any:
    assert execution.status == "SUCCEEDED", (execution.status, execution.pause_reason, execution.events[-1])
    return json.loads(execution.events[-1].payload or "null")


def test_branches_are_numbered_from_one_below_the_batch_and_named_after_themselves(run: Run) -> None:
    @durable_parallel_branch(name="prepared")
    def prepared(context: DurableContext, value: int) -> int:
        return context.step(lambda step: value)

    def handler(event: Any, context: DurableContext) -> Any:
        context.step(one)
        branches: list[Any] = [lambda inner: inner.step(one), ParallelBranch(lambda inner: 2, "named"), prepared(3)]
        return context.parallel(branches, "batch").get_results()

    execution = run(handler)

    started = [event for event in execution.events if event.event_type == "ContextStarted"]
    assert [(event.operation_id, event.parent_id, event.name) for event in started] == [
        ("2", None, "batch"),
        ("2-1", "2", "parallel-branch-0"),
        ("2-2", "2", "named"),
        ("2-3", "2", "prepared"),
    ]
    assert {event.operation_id for event in execution.events if event.event_type == "StepStarted"} == {
        "1",
        "2-1-1",
        "2-3-1",
    }
    assert result_of(execution) == [1, 2, 3]


def test_branches_run_at_the_same_time_and_see_the_context_variables_of_the_caller(run: Run) -> None:
    tenant: ContextVar[str] = ContextVar("tenant")
    together = threading.Barrier(3)

    def body(context: DurableContext) -> str:
        together.wait(SECONDS)
        seen = tenant.get()
        tenant.set("changed in the branch")
        return seen

    def handler(event: Any, context: DurableContext) -> Any:
        tenant.set("acme")
        return [context.parallel([body] * 3).get_results(), tenant.get()]

    assert result_of(run(handler)) == [["acme"] * 3, "acme"]


def test_no_more_branches_than_max_concurrency_are_under_way_the_waiting_ones_included(run: Run) -> None:
    def body(context: DurableContext) -> None:
        context.wait(Duration(1))

    def handler(event: Any, context: DurableContext) -> Any:
        return context.parallel([body] * 5, config=ParallelConfig(max_concurrency=2)).success_count

    execution = run(handler)

    under_way = 0
    for event in execution.events:
        if event.subtype == "ParallelBranch":
            under_way += 1 if event.event_type == "ContextStarted" else -1
            assert under_way <= 2
    assert result_of(execution) == 5


@pytest.mark.parametrize("level", ["outer", "sibling"])
def test_the_context_of_another_function_is_refused_inside_a_branch(run: Run, level: str) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        others: dict[str, DurableContext] = {"outer": context}
        ready = threading.Event()
        done = threading.Event()

        def sibling(inner: DurableContext) -> None:
            others["sibling"] = inner
            ready.set()
            assert done.wait(SECONDS)

        def intruder(inner: DurableContext) -> None:
            assert ready.wait(SECONDS)
            try:
                with pytest.raises(InvalidStateError, match="Call it on the context that the branch was given"):
                    others[level].step(one)
            finally:
                done.set()

        context.parallel([sibling, intruder]).throw_if_error()

    execution = run(handler)

    assert execution.status == "SUCCEEDED", error_of(execution)
    assert not any(event.event_type == "StepStarted" for event in execution.events)


def test_a_branch_that_was_left_behind_records_nothing_more_and_nobody_waits_for_it(run: Run) -> None:
    left: list[str] = []
    go = threading.Event()
    over = threading.Event()

    def slow(context: DurableContext) -> None:
        try:
            context.step(lambda step: go.wait(SECONDS), "slow")
            left.append("went on")
        except OrphanedChildException:
            left.append("orphaned")
            try:
                context.step(one, "again")
            except OrphanedChildException:
                left.append("orphaned again")
                raise
        finally:
            over.set()

    def handler(event: Any, context: DurableContext) -> Any:
        config = ParallelConfig(completion_config=CompletionConfig.first_successful())
        batch = context.parallel([slow, lambda inner: "first"], "race", config)
        go.set()
        assert over.wait(SECONDS)
        context.step(one, "after")
        return [batch.completion_reason, [item.status for item in batch.all], batch.get_results()]

    execution = run(handler)

    assert result_of(execution) == ["MIN_SUCCESSFUL_REACHED", ["STARTED", "SUCCEEDED"], [None, "first"]]
    assert left == ["orphaned", "orphaned again"]
    names = [event.name for event in execution.events if event.event_type == "StepSucceeded"]
    assert names == ["after"]


def test_branches_inside_a_branch_that_was_left_behind_are_left_behind_too(run: Run) -> None:
    running = threading.Event()
    go = threading.Event()
    left = threading.Event()

    def inmost(context: DurableContext) -> None:
        running.set()
        go.wait(SECONDS)
        try:
            context.step(one, "never")
        except OrphanedChildException:
            left.set()
            raise

    def nesting(context: DurableContext) -> None:
        context.parallel([inmost, inmost], "inner")

    def handler(event: Any, context: DurableContext) -> Any:
        config = ParallelConfig(completion_config=CompletionConfig.first_successful())
        context.parallel([nesting, lambda inner: running.wait(SECONDS)], "outer", config)
        go.set()
        assert left.wait(SECONDS)

    execution = run(handler)

    assert execution.status == "SUCCEEDED"
    assert "never" not in [event.name for event in execution.events]


def test_a_wait_that_falls_due_while_a_sibling_runs_goes_on_in_the_same_invocation(run: Run) -> None:
    waited = threading.Event()

    def waiting(context: DurableContext) -> None:
        context.wait(Duration(5))
        waited.set()

    def running(context: DurableContext) -> None:
        context.step(passing_time, "long")

    def passing_time(step: StepContext) -> None:
        clock = execution_clock[0]
        while not waited.wait(0.01):
            clock.advance(1)

    execution_clock: list[Any] = []

    def handler(event: Any, context: Any) -> None:
        execution_clock.append(context.invocation.clock)
        context.parallel([waiting, running])

    execution = run(handler)

    assert execution.status == "SUCCEEDED"
    assert [event.event_type for event in execution.events].count("InvocationCompleted") == 1


def test_a_branch_that_swallows_its_suspension_pauses_the_execution(run: Run) -> None:
    def swallowing(context: DurableContext) -> int:
        with contextlib.suppress(BaseException):
            context.wait(Duration(1), "pause")
        return 1

    execution = run(lambda event, context: context.parallel([swallowing, lambda inner: 2]).get_results())

    assert (execution.status, execution.pause_kind) == ("PAUSED", "suspension")
    assert "operation 1-1-1 'pause'" in execution.pause_reason


def test_a_branch_that_raises_what_is_no_exception_ends_the_invocation(run: Run) -> None:
    def dying(context: DurableContext) -> None:
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        run(lambda event, context: context.parallel([dying, lambda inner: 2]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda context: context.parallel("ab"), "functions must be a list or a tuple"),
        (lambda context: context.parallel([1]), r"functions\[0\] must be a function"),
        (lambda context: context.parallel([], config=MapConfig()), "config must be a ParallelConfig"),
        (
            lambda context: context.parallel([ParallelBranch(lambda inner: 1, name="é")]),
            "name: 'é' must be 1 to 256 printable ASCII",
        ),
        (
            lambda context: context.parallel(
                [lambda inner: 1], config=ParallelConfig(completion_config=CompletionConfig(min_successful=2))
            ),
            "min_successful is 2, and there are only 1 branches",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_recorded(run: Run, call: Any, message: str) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        with pytest.raises(ValidationError, match=message):
            call(context)

    assert len(run(handler).events) == 3


@pytest.mark.parametrize("runs_on", [False, True])
def test_a_body_that_outlives_its_invocation_is_reported_to_the_process(
    monkeypatch: pytest.MonkeyPatch, runs_on: bool
) -> None:
    monkeypatch.setattr(replay, "LEFT_BEHIND_SECONDS", 0.05 if runs_on else SECONDS)
    go = threading.Event()

    def handler(event: Any, context: DurableContext) -> None:
        config = ParallelConfig(completion_config=CompletionConfig.first_successful())
        context.parallel([lambda inner: go.wait(SECONDS), lambda inner: 1], config=config)
        if not runs_on:
            go.set()

    with registry.isolated():
        made = durable_execution(name="left-behind")(handler)
    execution = MemoryExecution(made, "{}", VirtualClock())

    result = replay.run_invocation(made, MemoryStore(execution), clock=VirtualClock(), random=lambda: 0.5)
    go.set()

    assert result == replay.InvocationResult("closed", tainted=runs_on)


def test_each_thread_that_ran_bodies_is_told_to_clean_up_before_it_ends() -> None:
    ran: set[int] = set()
    ended: set[int] = set()

    def handler(event: Any, context: DurableContext) -> None:
        context.parallel([lambda inner: ran.add(threading.get_ident())] * 5)

    with registry.isolated():
        made = durable_execution(name="clean-up")(handler)
    execution = MemoryExecution(made, "{}", VirtualClock())

    replay.run_invocation(
        made,
        MemoryStore(execution),
        clock=VirtualClock(),
        random=lambda: 0.5,
        on_thread_end=lambda: ended.add(threading.get_ident()),
    )

    assert ran
    assert ran <= ended
