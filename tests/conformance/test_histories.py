"""Every worked sequence: the first run, its replay, and a crash right before and after each of its events."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest

from durable_engine.core.ports import (
    Batch,
    Guard,
    InvocationStore,
    NewChild,
    NewEvent,
    News,
    NewTimer,
    Outcome,
    RecordedEvent,
    Snapshot,
    Target,
)
from durable_engine.core.replay import run_invocation
from durable_engine.sdk.registry import DurableHandler
from tests.conformance.batch_scenarios import BATCH_SCENARIOS, lane_of, lanes_of
from tests.conformance.driver import Driver, MemoryDriver
from tests.conformance.scenarios import LEDGER, SCENARIOS, Scenario, line_of


def run(runner: Driver, scenario: Scenario) -> None:
    LEDGER.start(runner)
    runner.start(scenario.handler, scenario.input)
    runner.drive()
    if scenario.outside is not None:
        scenario.outside(runner)
        runner.drive()


def check_outcome(runner: Driver, scenario: Scenario) -> None:
    last = runner.events[-1]
    assert runner.status == scenario.status
    assert last.payload == scenario.payload
    assert (json.loads(last.error)["ErrorType"] if last.error else None) == scenario.error_type


class FinishedStore:
    """A history that is only read: whoever writes anything but the end into it did not replay."""

    def __init__(self, handler: DurableHandler, events: Sequence[RecordedEvent]) -> None:
        self.snapshot = Snapshot("x", handler.name, handler.version, "x", events, frozenset(), 1)
        self.outcome: Outcome | None = None

    def load(self) -> Snapshot:
        return self.snapshot

    poll_seconds = 1.0

    def defer(
        self,
        event: NewEvent,
        timer: NewTimer | None = None,
        child: NewChild | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        raise AssertionError(f"replay recorded {event}")

    def checkpoint(self, batch: Batch, *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        raise AssertionError(f"replay recorded {batch}")

    def refresh(self) -> News:
        raise AssertionError("replay waited")

    def suspend(self, batch: Batch) -> Snapshot | None:
        raise AssertionError("replay suspended")

    def close(self, batch: Batch, outcome: Outcome) -> None:
        assert not batch.events
        self.outcome = outcome

    def pause(self, batch: Batch, kind: str, reason: str) -> None:
        raise AssertionError(reason)

    def release(self, batch: Batch) -> None:
        raise AssertionError("replay released")

    def should_release(self) -> bool:
        raise AssertionError("replay came to new work")

    def callback_id(self, operation_id: str) -> str:
        return "id"

    def transact(self, body: Callable[[], Batch], *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        raise AssertionError("replay began a transaction")

    def find_function(self, name: str, version: int | None) -> Target:
        raise AssertionError(f"replay looked for {name}")

    def new_execution_id(self) -> str:
        raise AssertionError("replay starts no execution")


# What differs from run to run, and from store to store.
OF_ONE_RUN = {"request_id", "started_at", "execution_id"}
EXECUTION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def facts_by_lane(events: Sequence[RecordedEvent]) -> dict[str, list[Any]]:
    """Return all that a history holds, without ids of executions, times and stacks, by lane."""
    lanes: dict[str, list[Any]] = {}
    for event in events:
        error = event.error and {**json.loads(EXECUTION_ID.sub("an id", event.error)), "StackTrace": None}
        details = {key: value for key, value in (event.details or {}).items() if key not in OF_ONE_RUN}
        facts = event._replace(event_id=0, event_type=str(event.event_type), error=None, details=None)
        lanes.setdefault(lane_of(line_of(event)), []).append([*facts, error, details])
    return lanes


@pytest.mark.parametrize("scenario", [*SCENARIOS, *BATCH_SCENARIOS], ids=str)
def test_first_run_leaves_exactly_the_worked_sequence(runner: Driver, scenario: Scenario) -> None:
    """And the same history to the last fact as in memory."""
    run(runner, scenario)
    in_memory = MemoryDriver()
    run(in_memory, scenario)

    assert lanes_of([line_of(event) for event in runner.events]) == lanes_of(scenario.expected)
    assert [event.event_id for event in runner.events] == list(range(1, len(scenario.expected) + 1))
    check_outcome(runner, scenario)
    assert facts_by_lane(runner.events) == facts_by_lane(in_memory.events)


@pytest.mark.parametrize("scenario", [*SCENARIOS, *BATCH_SCENARIOS], ids=str)
def test_replay_of_a_whole_history_gives_the_same_outcome_and_runs_no_body(runner: Driver, scenario: Scenario) -> None:
    run(runner, scenario)
    ran = list(LEDGER.runs)
    finished = FinishedStore(scenario.handler, runner.events[:-2])
    store: InvocationStore = finished

    result = run_invocation(scenario.handler, store, clock=time.monotonic, random=lambda: 0.5)

    assert result.ended == "closed"
    assert finished.outcome is not None
    assert finished.outcome.payload == runner.events[-1].payload
    assert finished.outcome.error_type == (scenario.error_type or "")
    assert ran == LEDGER.runs


DEFERRED = ("StepStarted", "ContextStarted")


def crash_points() -> Iterator[Any]:
    """Every place where a crash differs from one at another place: around each statement, and inside each body.

    Quick: a deferred start shares the statement of its outcome, the start of a wait or of an invoke and the last
    InvocationCompleted that of the event after them. Slow: the start is durable and the process dies before the outcome
    is.
    """
    for scenario in (each for each in SCENARIOS if each.crashes):
        kinds = [line.split()[0] for line in scenario.expected]
        for event_id, (kind, following) in enumerate(pairwise([*kinds, "end"]), start=1):
            shares_statement = (
                (kind in DEFERRED and scenario.handler.name != "at-most-once")
                or kind == "WaitStarted"
                or (kind == "ChainedInvokeStarted" and following == "Inv")
                or (kind == "Inv" and following.startswith("Execution"))
            )
            if not shares_statement:
                yield pytest.param(scenario, event_id, True, False, id=f"{scenario}-before-{event_id}")
                yield pytest.param(scenario, event_id, False, False, id=f"{scenario}-after-{event_id}")
            if kind in DEFERRED:
                yield pytest.param(scenario, event_id + 1, True, True, id=f"{scenario}-inside-{event_id}")


@pytest.mark.parametrize(("scenario", "event_id", "before", "flushes_starts"), list(crash_points()))
def test_crash_around_any_event_changes_nothing_for_the_outcome(
    runner: Driver, scenario: Scenario, event_id: int, before: bool, flushes_starts: bool
) -> None:
    check_crash(runner, scenario, event_id, before, flushes_starts)


@pytest.mark.parametrize("flushes_starts", [False, True])
@pytest.mark.parametrize("scenario", BATCH_SCENARIOS, ids=str)
def test_crash_around_any_event_of_concurrent_branches_changes_nothing_for_the_outcome(
    runner: Driver, scenario: Scenario, flushes_starts: bool
) -> None:
    for event_id in range(2, len(scenario.expected) + 1):
        check_crash(runner, scenario, event_id, not flushes_starts, flushes_starts)


def check_crash(runner: Driver, scenario: Scenario, event_id: int, before: bool, flushes_starts: bool) -> None:
    runner.flushes_starts = flushes_starts
    LEDGER.start(runner)
    runner.start(scenario.handler, scenario.input)
    runner.crash_at(event_id, before=before)
    runner.drive()
    if scenario.outside is not None:
        scenario.outside(runner)
        runner.drive()

    check_outcome(runner, scenario)
    assert [event.event_id for event in runner.events] == list(range(1, len(runner.events) + 1))
    if before:  # after it, the execution may be closed or suspended: then nobody notices the death
        assert any(event.error for event in runner.events if event.event_type == "InvocationCompleted")
    durable_starts = flushes_starts or scenario.handler.name == "at-most-once" or scenario in BATCH_SCENARIOS
    if not scenario.stable and durable_starts:
        return  # an interrupted attempt counts, so there may be one more: see test_interruptions
    without_invocations = [line for line in map(line_of, runner.events) if line != "Inv"]
    assert lanes_of(without_invocations) == lanes_of([line for line in scenario.expected if line != "Inv"])
