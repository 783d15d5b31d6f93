"""Each sweep finds what is due, does it once, and leaves the rest alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest
from django.conf import settings
from django.db import transaction
from django.test import override_settings
from uuid_utils.compat import uuid7

from durable_engine import dispatch
from durable_engine.models import Callback, Event, Execution, Worker
from durable_engine.scheduler import (
    callback_timeouts,
    due_timers,
    execution_timeouts,
    expired_invocations,
    lost_workers,
    undispatched,
    untold_parents,
)
from durable_engine.scheduler.each import for_each
from durable_engine.scheduler.sweep import BATCH, Round
from durable_engine.storage.leases import register_worker, retire_worker
from durable_engine.storage.locks import lock_execution
from tests.factories import make_callback
from tests.integration.races import Other
from tests.integration.scheduler.conftest import LEASE_SECONDS, Clock, status_of

Make = Callable[..., Execution]


def test_an_execution_that_somebody_holds_keeps_no_sweep_waiting(
    this_round: Round, execution: Make, caplog: pytest.LogCaptureFixture
) -> None:
    held, late = execution("SUSPENDED", expires_at=-2), execution("SUSPENDED", expires_at=-1)
    callbacks = [make_callback(each, timeout_seconds=0.0) for each in (execution("SUSPENDED"), execution("SUSPENDED"))]
    with transaction.atomic():
        lock_execution(held.pk)
        lock_execution(callbacks[0].execution_id)
        for sweep in (execution_timeouts.sweep, callback_timeouts.sweep):
            assert Other(partial(sweep, this_round)).join().error is None
        assert [status_of(each.pk) for each in (held, late)] == ["SUSPENDED", "TIMED_OUT"]
        assert list(Callback.objects.filter(status="TIMED_OUT")) == [callbacks[1]]
    assert "LockNotAvailable" not in caplog.text  # nor did they wait until they were told to stop

    execution_timeouts.sweep(this_round)
    callback_timeouts.sweep(this_round)

    assert status_of(held.pk) == "TIMED_OUT"
    assert Callback.objects.filter(status="TIMED_OUT").count() == 2


def test_what_is_due_wakes_and_gets_a_hint(this_round: Round, execution: Make) -> None:
    due = execution("SUSPENDED", wake_at=-1)
    later = execution("SUSPENDED", wake_at=60)
    paused = execution("PAUSED", wake_at=-1, paused_at=-2)

    due_timers.sweep(this_round)

    assert [status_of(each.pk) for each in (due, later, paused)] == ["PENDING", "SUSPENDED", "PAUSED"]
    assert dispatch.waiting_hints() == 1


def test_more_than_one_batch_of_due_timers_wakes_in_one_round(this_round: Round, execution: Make) -> None:
    for _ in range(BATCH + 1):
        execution("SUSPENDED", wake_at=-1)

    due_timers.sweep(this_round)

    assert Execution.objects.filter(status="PENDING").count() == BATCH + 1


def test_a_ready_execution_whose_hint_was_lost_gets_another_after_a_while(this_round: Round, execution: Make) -> None:
    never = execution("PENDING", ready_at=-1)
    long_ago = execution("PENDING", ready_at=-60, dispatched_at=-60)
    just_now = execution("PENDING", ready_at=-1, dispatched_at=-1)
    delayed = execution("PENDING", ready_at=60)

    undispatched.sweep(this_round)

    assert dispatch.waiting_hints() == 2
    for each in (never, long_ago):
        marked = Execution.objects.get(pk=each.pk).dispatched_at
        assert marked is not None
        assert marked != each.dispatched_at
    for each in (just_now, delayed):
        assert Execution.objects.get(pk=each.pk).dispatched_at == each.dispatched_at


def test_a_backlog_never_fills_the_broker(this_round: Round, execution: Make) -> None:
    for _ in range(150):
        execution("PENDING", ready_at=-1)

    for _ in range(3):
        undispatched.sweep(this_round)

    assert dispatch.waiting_hints() == undispatched.MOST_WAITING_HINTS


def test_with_the_broker_down_nothing_is_marked_as_dispatched(this_round: Round, execution: Make) -> None:
    waiting = execution("PENDING", ready_at=-1)
    with override_settings(CELERY={**settings.CELERY, "broker_url": "redis+socket:///nowhere/broker.sock"}):
        dispatch._start_over()
        undispatched.sweep(this_round)
    dispatch._start_over()

    assert Execution.objects.get(pk=waiting.pk).dispatched_at is None


def test_an_execution_past_its_timeout_ends(this_round: Round, execution: Make) -> None:
    late = execution("SUSPENDED", expires_at=-1)
    paused = execution("PAUSED", expires_at=-1, paused_at=-2)

    execution_timeouts.sweep(this_round)

    assert [status_of(late.pk), status_of(paused.pk)] == ["TIMED_OUT", "PAUSED"]


def test_an_invocation_past_its_deadline_loses_its_execution(this_round: Round, execution: Make) -> None:
    late = execution("RUNNING", invocation_deadline=-1, crash_count=1)
    in_time = execution("RUNNING", invocation_deadline=60, crash_count=1)

    expired_invocations.sweep(this_round)

    assert [status_of(late.pk), status_of(in_time.pk)] == ["PENDING", "RUNNING"]
    assert '"Sandbox.Timedout"' in (Event.objects.get(execution=late, event_id=2).error or "")


def silent_worker(this_round: Round) -> Worker:
    worker_id = register_worker(
        this_round.connection, hostname="elsewhere", pid=1, release="", functions=[], queues=["durable"]
    )
    this_round.connection.execute(
        "UPDATE durable_worker SET last_seen = last_seen - interval '1 minute' WHERE id = %s", (worker_id,)
    )
    return Worker.objects.get(pk=worker_id)


def test_a_silent_worker_is_lost_only_after_a_lease_of_good_ticks(
    this_round: Round, execution: Make, clock: Clock
) -> None:
    worker = silent_worker(this_round)
    running = execution("RUNNING", worker_id=worker.pk, crash_count=1)

    this_round.grace.good_tick()
    lost_workers.sweep(this_round)
    assert status_of(running.pk) == "RUNNING"
    clock.now += LEASE_SECONDS / 2
    this_round.grace.good_tick()
    clock.now += LEASE_SECONDS / 2
    lost_workers.sweep(this_round)

    assert status_of(running.pk) == "PENDING"
    worker.refresh_from_db()
    assert worker.lost_at is not None
    assert worker.exit_reason == "worker not heard of for 2 s"


def test_what_the_parent_of_a_dead_worker_recorded_is_the_reason(
    this_round: Round, execution: Make, clock: Clock
) -> None:
    worker = silent_worker(this_round)
    running = execution("RUNNING", worker_id=worker.pk, crash_count=5)
    retire_worker(this_round.connection, worker.pk, "process 7 was killed by SIGKILL")
    this_round.grace.good_tick()
    clock.now += LEASE_SECONDS
    this_round.grace.good_tick()

    lost_workers.sweep(this_round)

    paused = Execution.objects.get(pk=running.pk)
    assert (paused.status, paused.pause_kind) == ("PAUSED", "crashes")
    assert paused.pause_reason.endswith("process 7 was killed by SIGKILL")


def test_after_an_outage_of_postgres_the_lease_of_good_ticks_begins_again(this_round: Round, clock: Clock) -> None:
    grace = this_round.grace
    for _ in range(5):
        grace.good_tick()
        clock.now += 1
    assert grace.is_over(this_round.connection)

    grace.bad_tick()
    grace.good_tick()
    clock.now += 1
    grace.good_tick()

    assert not grace.is_over(this_round.connection)


def test_a_round_that_hung_for_longer_than_a_lease_counts_as_an_outage(this_round: Round, clock: Clock) -> None:
    grace = this_round.grace
    grace.good_tick()
    clock.now += LEASE_SECONDS * 2
    assert not grace.is_over(this_round.connection)

    grace.good_tick()

    assert not grace.is_over(this_round.connection)


def test_one_row_that_fails_does_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    bad, good = uuid7(), uuid7()
    done = []

    def action(each: object) -> bool:
        if each == bad:
            raise ValueError("broken row")
        done.append(each)
        return True

    assert for_each("thing", [bad, good], action) == 2
    assert done == [good]
    assert "broken row" in caplog.text
    assert for_each("thing", [bad], action) == 0, "nothing achieved: not to be repeated at once"


def test_parents_whose_child_ended_unnoticed_are_told_and_hinted_at(this_round: Round, execution: Make) -> None:
    parent, deaf = execution("SUSPENDED"), execution("STOPPED", closed_at=-1)
    ended = {"closed_at": -1, "parent_operation_id": "1"}
    told = execution("FAILED", parent_execution_id=parent.pk, **ended)
    unheard = execution("FAILED", parent_execution_id=deaf.pk, **ended)
    orphan = execution("FAILED", parent_execution_id=uuid7(), **ended)
    live = execution("SUSPENDED", parent_execution_id=parent.pk, parent_operation_id="2")

    untold_parents.sweep(this_round)
    untold_parents.sweep(this_round)

    assert status_of(parent.pk) == "PENDING"
    events = Event.objects.filter(execution=parent, event_id__gt=1)
    assert list(events.values_list("event_type", "operation_id")) == [("ChainedInvokeFailed", "1")]
    done = Execution.objects.filter(parent_notified=True).values_list("pk", flat=True)
    assert set(done) == {told.pk, unheard.pk, orphan.pk}
    assert live.pk not in done
    until_hinted()


def until_hinted() -> None:
    """A sweep does not wait for the broker."""
    deadline = time.monotonic() + 40
    while not dispatch.waiting_hints():
        assert time.monotonic() < deadline, "no hint came"
        time.sleep(0.01)
