"""Stop, pause, resume, retry now: when they apply, what they write, and who wins a race."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine.core.ports import Batch, LeaseLost, Outcome
from durable_engine.models import AuditEntry, Callback, Event, Execution, Timer
from durable_engine.queries.executions import execution_revision
from durable_engine.services import executions
from durable_engine.services.actors import Actor
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.exceptions import ActionRefused, ExecutionNotFound, InvalidInput, StaleRevision
from durable_engine.services.executions import pause_execution, resume_execution, retry_now, stop_execution
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.leases import Served, claim
from tests.factories import event_types, make_back_off, make_callback, make_execution, make_running, make_worker
from tests.integration.races import race

ACTOR = Actor("ana", channel="dashboard")
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db


def again(execution: Execution) -> Execution:
    return Execution.objects.get(pk=execution.pk)


class TestStop:
    def test_a_suspended_execution_ends_with_its_waits(self) -> None:
        execution = make_execution(status="SUSPENDED", wake_at=timezone.now() + HOUR)
        make_back_off(execution)
        callback = make_callback(execution, "2")
        stop_execution(execution.pk, actor=ACTOR, reason="  wrong order ")
        stopped = again(execution)
        assert (stopped.status, stopped.error_message, stopped.wake_at) == ("STOPPED", "wrong order", None)
        assert stopped.closed_at is not None
        assert event_types(execution.pk)[-1] == "ExecutionStopped"
        assert not Timer.objects.exists()
        callback.refresh_from_db()
        assert callback.status == "CANCELLED"
        entry = AuditEntry.objects.get(execution_id=execution.pk)
        assert (entry.action, entry.actor, entry.reason) == ("stop_execution", "ana", "wrong order")

    def test_a_running_invocation_ends_before_the_execution_and_loses_its_lease(self) -> None:
        execution = make_running(make_execution())
        stop_execution(execution.pk, actor=ACTOR)
        assert event_types(execution.pk) == ["ExecutionStarted", "InvocationCompleted", "ExecutionStopped"]
        assert again(execution).fence == execution.fence + 1
        completed = Event.objects.get(execution=execution, event_type="InvocationCompleted")
        assert completed.details is not None
        assert completed.details["request_id"] == str(execution.invocation_id)

    def test_the_message_of_a_stop_without_a_reason_is_the_one_of_aws(self) -> None:
        execution = make_execution()
        stop_execution(execution.pk, actor=ACTOR)
        error = json.loads(Event.objects.get(event_type="ExecutionStopped").error or "")
        assert error["ErrorMessage"] == "Execution stopped by user request"

    def test_an_error_object_is_kept_as_given(self) -> None:
        execution = make_execution()
        error = {"ErrorType": "Fraud", "ErrorMessage": "stolen card", "ErrorData": "42"}
        stop_execution(execution.pk, actor=ACTOR, error=error)
        assert json.loads(Event.objects.get(event_type="ExecutionStopped").error or "") == error
        assert again(execution).error_type == "Fraud"

    @pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"])
    def test_what_has_ended_cannot_be_stopped(self, status: str) -> None:
        execution = make_execution(status=status)
        with pytest.raises(ActionRefused, match=f"it has ended and is {status}"):
            stop_execution(execution.pk, actor=ACTOR)
        assert len(event_types(execution.pk)) == 2
        assert not AuditEntry.objects.exists()

    def test_an_unknown_execution_is_not_found(self) -> None:
        with pytest.raises(ExecutionNotFound):
            stop_execution(uuid7(), actor=ACTOR)

    @pytest.mark.parametrize("reason", ["\x00", "\ud800", "x" * 2001])
    def test_a_reason_that_cannot_be_stored_is_refused(self, reason: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            stop_execution(make_execution().pk, actor=ACTOR, reason=reason)
        assert refused.value.field == "reason"


class TestPauseAndResume:
    def test_pausing_keeps_timers_and_callbacks_and_says_why(self) -> None:
        execution = make_execution(status="SUSPENDED", wake_at=timezone.now() + HOUR)
        make_back_off(execution)
        make_callback(execution, "2")
        pause_execution(execution.pk, actor=ACTOR, reason="bank closed")
        paused = again(execution)
        assert (paused.status, paused.pause_kind, paused.pause_reason) == ("PAUSED", "operator", "bank closed")
        assert (paused.wake_at, Timer.objects.count()) == (None, 1)
        assert Callback.objects.get().status == "STARTED"

    def test_pausing_cuts_off_the_running_invocation(self) -> None:
        execution = make_running(make_execution())
        pause_execution(execution.pk, actor=ACTOR)
        assert event_types(execution.pk) == ["ExecutionStarted", "InvocationCompleted"]
        paused = again(execution)
        assert (paused.fence, paused.worker_id) == (execution.fence + 1, None)

    def test_resuming_moves_the_execution_timeout_by_the_pause(self) -> None:
        expires_at = timezone.now() + HOUR
        execution = make_execution(
            status="PAUSED",
            expires_at=expires_at,
            paused_at=timezone.now() - 2 * HOUR,
            pause_kind="crashes",
            crash_count=5,
        )
        resume_execution(execution.pk, actor=ACTOR)
        resumed = again(execution)
        assert (resumed.status, resumed.crash_count, resumed.pause_kind, resumed.paused_at) == ("PENDING", 0, "", None)
        assert resumed.expires_at is not None
        assert timedelta(0) <= resumed.expires_at - expires_at - 2 * HOUR < timedelta(seconds=30)
        assert resumed.dispatched_at is not None

    def test_a_delayed_start_is_still_delayed_after_a_pause(self) -> None:
        ready_at = timezone.now() + HOUR
        execution = make_execution(ready_at=ready_at)
        pause_execution(execution.pk, actor=ACTOR)
        resume_execution(execution.pk, actor=ACTOR)
        resumed = again(execution)
        assert (resumed.status, resumed.ready_at, resumed.dispatched_at) == ("PENDING", ready_at, None)

    def test_each_is_refused_where_it_does_not_apply(self) -> None:
        paused, closed, pending = make_execution(status="PAUSED"), make_execution(status="FAILED"), make_execution()
        with pytest.raises(ActionRefused, match="paused already"):
            pause_execution(paused.pk, actor=ACTOR)
        with pytest.raises(ActionRefused, match="FAILED"):
            pause_execution(closed.pk, actor=ACTOR)
        with pytest.raises(ActionRefused, match="FAILED"):
            resume_execution(closed.pk, actor=ACTOR)
        with pytest.raises(ActionRefused, match="isn't paused, it is PENDING"):
            resume_execution(pending.pk, actor=ACTOR)
        assert not AuditEntry.objects.exists()


class TestRetryNow:
    def test_the_timer_falls_due_and_the_execution_wakes(self) -> None:
        execution = make_execution(status="SUSPENDED", wake_at=timezone.now() + HOUR)
        timer = make_back_off(execution, "1-2")
        retry_now(execution.pk, "1-2", actor=ACTOR, reason="bank is back")
        woken = again(execution)
        assert (woken.status, woken.signal, woken.wake_at) == ("PENDING", execution.signal + 1, None)
        assert Timer.objects.get().due_at < timer.due_at - timedelta(minutes=59)
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.operation_id, entry.reason) == ("retry_now", "1-2", "bank is back")

    def test_a_running_execution_notices_before_it_suspends(self) -> None:
        execution = make_running(make_execution())
        make_back_off(execution)
        retry_now(execution.pk, "1", actor=ACTOR)
        running = again(execution)
        assert (running.status, running.signal) == ("RUNNING", execution.signal + 1)

    def test_only_a_step_in_back_off_can_be_retried(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution, "1", kind="wait")
        for operation_id in ("1", "9", "\x01" * 100):
            with pytest.raises(ActionRefused, match="isn't waiting for a retry"):
                retry_now(execution.pk, operation_id, actor=ACTOR)
        assert again(execution).status == "SUSPENDED"

    def test_a_paused_execution_must_be_resumed_first(self) -> None:
        execution = make_execution(status="PAUSED")
        make_back_off(execution)
        with pytest.raises(ActionRefused, match="Resume it first"):
            retry_now(execution.pk, "1", actor=ACTOR)


ACTIONS: dict[str, Callable[[UUID, str], None]] = {
    "stop": lambda key, seen: stop_execution(key, actor=ACTOR, seen_revision=seen),
    "pause": lambda key, seen: pause_execution(key, actor=ACTOR, seen_revision=seen),
    "resume": lambda key, seen: resume_execution(key, actor=ACTOR, seen_revision=seen),
    "retry": lambda key, seen: retry_now(key, "1", actor=ACTOR, seen_revision=seen),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_on_a_page_that_is_out_of_date_says_what_happened(action: str) -> None:
    execution = make_execution(status="SUSPENDED")
    make_back_off(execution)
    seen = execution_revision(execution.pk)
    assert seen is not None
    Execution.objects.filter(pk=execution.pk).update(status="PAUSED", signal=7)
    with pytest.raises(StaleRevision, match="it is PAUSED now") as refused:
        ACTIONS[action](execution.pk, seen)
    assert refused.value.status_code == 409
    assert not AuditEntry.objects.exists()


def test_an_action_on_a_page_that_is_up_to_date_is_done() -> None:
    execution = make_execution(status="SUSPENDED")
    stop_execution(execution.pk, actor=ACTOR, seen_revision=execution_revision(execution.pk))
    assert again(execution).status == "STOPPED"


class TestExecutionTimeout:
    def test_an_execution_past_its_timeout_ends(self) -> None:
        execution = make_execution(status="SUSPENDED", expires_at=timezone.now() - HOUR)
        Event.objects.filter(execution=execution).update(details={"execution_timeout_seconds": 90.0})
        assert executions.time_out_execution(execution.pk)
        assert again(execution).status == "TIMED_OUT"
        error = json.loads(Event.objects.get(event_type="ExecutionTimedOut").error or "")
        assert error["ErrorMessage"] == "Execution timed out after 90 seconds."

    def test_a_paused_or_early_one_does_not(self) -> None:
        paused = make_execution(status="PAUSED", expires_at=timezone.now() - HOUR)
        early = make_execution(expires_at=timezone.now() + HOUR)
        closed = make_execution(status="SUCCEEDED", expires_at=timezone.now() - HOUR)
        assert not any(executions.time_out_execution(each.pk) for each in (paused, early, closed))
        assert not executions.time_out_execution(uuid7())


class TestStopDuringAnInvocation:
    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.fixture
    def invocation(self) -> Iterator[PostgresInvocation]:
        """A worker's hold on an execution, with its history loaded."""
        execution, holder = make_execution(), ConnectionHolder()
        worker = make_worker()
        served = [Served("orders", 1, 900.0)]
        granted = claim(holder.get(), worker_id=worker.pk, served=served, queues=["durable"], execution_id=execution.pk)
        assert granted is not None
        invocation = PostgresInvocation(
            holder, granted, callback_id=callback_id_for, should_release=lambda: False, hint=lambda *_: None
        )
        invocation.load()
        yield invocation
        holder.discard()

    def test_a_worker_that_finishes_during_a_stop_writes_nothing(self, invocation: PostgresInvocation) -> None:
        key = Execution.objects.get().pk

        def finish() -> str:
            try:
                invocation.close(Batch(), Outcome("SUCCEEDED", payload="1"))
            except LeaseLost:
                return "lost"
            return "closed"

        second = race(lambda: stop_execution(key, actor=ACTOR), finish)
        assert second.result == "lost"
        assert event_types(key) == ["ExecutionStarted", "InvocationCompleted", "ExecutionStopped"]

    def test_a_stop_after_the_worker_finished_is_refused(self, invocation: PostgresInvocation) -> None:
        key = Execution.objects.get().pk
        invocation.close(Batch(), Outcome("SUCCEEDED", payload="1"))
        with pytest.raises(ActionRefused, match="SUCCEEDED"):
            stop_execution(key, actor=ACTOR)
        assert event_types(key) == ["ExecutionStarted", "InvocationCompleted", "ExecutionSucceeded"]

    def test_a_pause_takes_the_lease_and_a_resume_lets_another_worker_have_it(
        self, invocation: PostgresInvocation
    ) -> None:
        key = Execution.objects.get().pk
        pause_execution(key, actor=ACTOR)
        with pytest.raises(LeaseLost):
            invocation.checkpoint(Batch())
        resume_execution(key, actor=ACTOR)
        with pytest.raises(LeaseLost):
            invocation.suspend(Batch())
        assert Execution.objects.get().status == "PENDING"
