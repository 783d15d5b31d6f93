"""What the store promises several branches of one invocation, on a real Postgres."""

import time
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from django.utils import timezone

from durable_engine.core.ports import Batch, EventType, LeaseLost, NewCallback, NewEvent, NewTimer
from durable_engine.models import Callback, Execution, Timer
from durable_engine.sdk.exceptions import OrphanedChildException
from tests.integration.storage.conftest import event_types
from tests.integration.storage.test_checkpoints import Take, complete_from_outside, present, step, waiting


def test_a_refresh_records_what_was_deferred_fires_what_is_due_and_brings_what_came_in(
    execution: Execution, take: Take
) -> None:
    invocation = take(execution)
    event = waiting("1", 0.001).events[0]
    invocation.defer(event, NewTimer("1", "wait", 0.001))
    invocation.checkpoint(waiting("2", 60))
    complete_from_outside(execution)
    fired: list[str] = []
    deadline = time.monotonic() + 40
    while "WaitSucceeded" not in fired:
        assert time.monotonic() < deadline
        news = invocation.refresh()
        fired += [each.event_type for each in news.events]

    assert sorted(fired) == ["CallbackSucceeded", "WaitSucceeded"]
    assert news.pending_timers == {"2"}
    assert 50 < present(news.next_due) <= 60
    assert invocation.refresh().events == []
    assert invocation.suspend(Batch()) is None, "all that came in had been handed over"


def test_a_wait_that_was_deferred_for_a_while_ends_when_it_would_have_anyway(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    Execution.objects.filter(pk=execution.pk).update(last_event_at=timezone.now() - timedelta(seconds=30))
    event = replace(waiting("1", 60).events[0], occurred=time.monotonic() - 20)
    invocation.defer(event, NewTimer("1", "wait", 60))

    assert invocation.suspend(Batch()) is None

    timer = Timer.objects.get(execution=execution)
    started = execution.events.get(event_type="WaitStarted")
    assert timer.due_at == started.event_at + timedelta(seconds=60)
    assert 39 < present(invocation.wake_in) <= 41
    execution.refresh_from_db()
    assert timer.due_at <= present(execution.wake_at)


def test_a_refresh_finds_out_that_the_execution_is_somebody_elses(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    Execution.objects.filter(pk=execution.pk).update(fence=execution.fence + 2)

    with pytest.raises(LeaseLost):
        invocation.refresh()


def test_branches_may_bring_whole_and_broken_numbers_of_seconds_at_once(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    opened = [
        NewEvent(EventType.CALLBACK_STARTED, time.monotonic(), str(number), None, "Callback") for number in range(2, 5)
    ]
    callbacks = [NewCallback(str(number), None, None, timeout) for number, timeout in ((2, 60), (3, 0.5), (4, None))]
    wait = waiting("1", 60)
    invocation.defer(wait.events[0], wait.timers[0])
    short = waiting("5", 0.25)

    invocation.checkpoint(Batch([*opened, *short.events], short.timers, callbacks))

    assert list(Callback.objects.order_by("operation_id").values_list("timeout_seconds", flat=True)) == [60, 0.5, None]
    assert Timer.objects.count() == 2


def test_what_a_guard_refuses_is_not_recorded(execution: Execution, take: Take) -> None:
    invocation = take(execution)

    def refuse() -> None:
        raise OrphanedChildException

    with pytest.raises(OrphanedChildException):
        invocation.checkpoint(Batch([step(EventType.STEP_SUCCEEDED)]), guard=refuse)
    with pytest.raises(OrphanedChildException):
        invocation.defer(step(EventType.STEP_STARTED), guard=refuse)

    invocation.checkpoint(Batch([step(EventType.STEP_STARTED, "2")]))
    assert event_types(execution) == ["ExecutionStarted", "StepStarted"]


def test_deferred_events_that_cannot_be_recorded_fail_the_next_call(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    invocation.defer(step(EventType.STEP_SUCCEEDED, payload="\x00"))  # no text that Postgres can keep
    assert not invocation.flush_deferred(time.monotonic() + 1)

    with pytest.raises(psycopg.Error):
        invocation.checkpoint(Batch([step(EventType.STEP_STARTED)]))
    assert event_types(execution) == ["ExecutionStarted"]
