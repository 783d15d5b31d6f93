"""Completing callbacks: first wins, late ones are told, every outcome is an event that wakes the execution."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from durable_engine.models import AuditEntry, Callback, Event, Execution
from durable_engine.services.actors import Actor
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.callbacks import (
    complete_callback,
    complete_callback_of,
    heartbeat_callback,
    time_out_callback,
)
from durable_engine.services.exceptions import ActionRefused, CallbackClosed, CallbackNotFound, InvalidInput
from durable_engine.services.executions import stop_execution
from tests.factories import event_types, make_callback, make_execution, make_running
from tests.integration.races import race

ACTOR = Actor("ana", channel="approvals")
SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.django_db


def suspended(**callback: Any) -> tuple[Execution, Callback, str]:
    """A suspended execution, its open callback, and the id under which it is completed."""
    execution = make_execution(status="SUSPENDED")
    return execution, make_callback(execution, "2", **callback), callback_id_for(execution.pk, "2")


class TestCompletion:
    def test_a_success_is_an_event_with_the_text_as_sent_and_wakes_the_execution(self) -> None:
        execution, callback, callback_id = suspended(parent_id="1")
        complete_callback(callback_id, actor=ACTOR, succeed=' {"approved" : true} ')
        event = Event.objects.get(event_type="CallbackSucceeded")
        assert event.payload == ' {"approved" : true} '
        assert (event.operation_id, event.parent_id, event.name, event.subtype) == ("2", "1", "approval", "Callback")
        execution.refresh_from_db()
        assert (execution.status, execution.signal, execution.last_event_id) == ("PENDING", 1, event.event_id)
        callback.refresh_from_db()
        assert (callback.status, callback.completed_by) == ("SUCCEEDED", "ana")
        assert callback.completed_at is not None

    def test_a_failure_carries_the_error_as_sent(self) -> None:
        _, callback, callback_id = suspended()
        error = {"ErrorType": "Rejected", "ErrorMessage": "too much", "ErrorData": "{}", "StackTrace": ["a", "b"]}
        complete_callback(callback_id, actor=ACTOR, error=error)
        assert json.loads(Event.objects.get(event_type="CallbackFailed").error or "") == error
        callback.refresh_from_db()
        assert callback.status == "FAILED"

    def test_a_success_without_a_result_has_no_payload(self) -> None:
        complete_callback(suspended()[2], actor=ACTOR)
        assert Event.objects.get(event_type="CallbackSucceeded").payload is None

    def test_people_complete_by_operation(self) -> None:
        execution, _callback, _ = suspended()
        complete_callback_of(execution.pk, "2", actor=ACTOR, succeed="1", reason="looks right")
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.execution_id, entry.operation_id) == ("complete_callback", execution.pk, "2")
        assert (entry.reason, entry.details, entry.channel) == ("looks right", {"outcome": "SUCCEEDED"}, "approvals")

    def test_a_running_execution_gets_the_event_and_goes_on_running(self) -> None:
        execution = make_running(make_execution())
        make_callback(execution, "2")
        complete_callback_of(execution.pk, "2", actor=ACTOR)
        execution.refresh_from_db()
        assert (execution.status, execution.signal) == ("RUNNING", 1)

    def test_a_paused_execution_keeps_the_outcome_for_later(self) -> None:
        execution = make_execution(status="PAUSED")
        make_callback(execution, "2")
        complete_callback_of(execution.pk, "2", actor=ACTOR)
        execution.refresh_from_db()
        assert execution.status == "PAUSED"
        assert event_types(execution.pk)[-1] == "CallbackSucceeded"


class TestTooLate:
    def test_the_second_completion_learns_who_was_first(self) -> None:
        execution, _callback, callback_id = suspended()
        complete_callback(callback_id, actor=ACTOR, succeed="1")
        with pytest.raises(CallbackClosed, match="SUCCEEDED by ana") as refused:
            complete_callback(callback_id, actor=Actor("ben"), error={})
        assert (refused.value.status, refused.value.status_code) == ("SUCCEEDED", 409)
        assert event_types(execution.pk).count("CallbackFailed") == 0
        assert AuditEntry.objects.count() == 1

    def test_a_completion_after_the_deadline_is_a_time_out(self) -> None:
        execution, _callback, callback_id = suspended(timeout_seconds=60, deadline=timezone.now() - SECOND)
        with pytest.raises(CallbackClosed, match="TIMED_OUT"):
            complete_callback(callback_id, actor=ACTOR, succeed="1")
        event = Event.objects.get(event_type="CallbackTimedOut")
        assert json.loads(event.error or "")["ErrorType"] == "Callback.Timeout"
        execution.refresh_from_db()
        assert execution.status == "PENDING"
        assert not AuditEntry.objects.exists()

    def test_a_stopped_execution_takes_nothing_more(self) -> None:
        execution, _, callback_id = suspended()
        stop_execution(execution.pk, actor=ACTOR)
        with pytest.raises(CallbackClosed, match="CANCELLED"):
            complete_callback(callback_id, actor=ACTOR)
        with pytest.raises(CallbackClosed, match="CANCELLED"):
            heartbeat_callback(callback_id)
        assert event_types(execution.pk)[-1] == "ExecutionStopped"


class TestTimeOuts:
    def test_the_sweep_closes_only_what_is_late(self) -> None:
        _, early, _ = suspended(timeout_seconds=60)
        _, endless, _ = suspended()
        execution, late, _ = suspended(timeout_seconds=60, deadline=timezone.now() - SECOND)
        assert not time_out_callback(early.pk)
        assert not time_out_callback(endless.pk)
        assert time_out_callback(late.pk)
        assert not time_out_callback(late.pk)
        assert event_types(execution.pk) == ["ExecutionStarted", "CallbackStarted", "CallbackTimedOut"]

    def test_a_missed_heartbeat_is_told_from_a_missed_deadline(self) -> None:
        _, callback, _ = suspended(
            timeout_seconds=60, heartbeat_timeout_seconds=5, heartbeat_deadline=timezone.now() - SECOND
        )
        time_out_callback(callback.pk)
        error = json.loads(Event.objects.get(event_type="CallbackTimedOut").error or "")
        assert error == {"ErrorType": "Callback.Heartbeat", "ErrorMessage": "No heartbeat came for 5 seconds."}

    def test_a_heartbeat_moves_its_deadline_and_nothing_else(self) -> None:
        execution, before, callback_id = suspended(timeout_seconds=60, heartbeat_timeout_seconds=30)
        Callback.objects.update(heartbeat_deadline=timezone.now() + SECOND)
        heartbeat_callback(callback_id)
        after = Callback.objects.get()
        assert after.heartbeat_deadline is not None
        assert after.heartbeat_deadline > timezone.now() + 20 * SECOND
        assert after.deadline == before.deadline
        execution.refresh_from_db()
        assert (execution.status, len(event_types(execution.pk))) == ("SUSPENDED", 2)

    def test_a_heartbeat_of_a_callback_without_deadlines_is_accepted(self) -> None:
        heartbeat_callback(suspended()[2])
        assert Callback.objects.get().heartbeat_deadline is None

    def test_a_heartbeat_that_comes_too_late_is_a_time_out(self) -> None:
        execution, _, callback_id = suspended(heartbeat_timeout_seconds=5, heartbeat_deadline=timezone.now() - SECOND)
        with pytest.raises(CallbackClosed, match="TIMED_OUT"):
            heartbeat_callback(callback_id)
        assert event_types(execution.pk)[-1] == "CallbackTimedOut"


class TestRefusals:
    @pytest.mark.parametrize("callback_id", ["", "x", "not base64!", "QUJD" * 300, "QUJD"])
    def test_what_is_no_callback_id_is_not_found(self, callback_id: str) -> None:
        with pytest.raises(CallbackNotFound):
            complete_callback(callback_id, actor=ACTOR)

    def test_an_operation_without_a_callback_is_not_found(self) -> None:
        with pytest.raises(CallbackNotFound):
            complete_callback_of(make_execution().pk, "1", actor=ACTOR)

    def test_256_kibibytes_are_accepted_and_one_byte_more_is_not(self) -> None:
        callback_id = suspended()[2]
        with pytest.raises(InvalidInput, match="262,145 bytes"):
            complete_callback(callback_id, actor=ACTOR, succeed="x" * 262_145)
        complete_callback(callback_id, actor=ACTOR, succeed="x" * 262_144)

    @pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
    def test_a_result_that_cannot_be_stored_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            complete_callback(suspended()[2], actor=ACTOR, succeed=text)
        assert refused.value.field == "result"
        assert Callback.objects.get().status == "STARTED"

    @pytest.mark.parametrize(
        "error",
        [
            {"Message": "x"},
            {"ErrorType": 1},
            {"StackTrace": "x"},
            {"StackTrace": [1]},
            {"ErrorMessage": "\x00"},
            {"ErrorData": "x" * 40_000},
            "x",
        ],
    )
    def test_an_error_object_has_known_fields_of_text(self, error: Any) -> None:
        with pytest.raises(InvalidInput):
            complete_callback(suspended()[2], actor=ACTOR, error=error)

    def test_a_callback_succeeds_or_fails(self) -> None:
        with pytest.raises(InvalidInput, match="not both"):
            complete_callback(suspended()[2], actor=ACTOR, succeed="1", error={})


class TestTwoAtOnce:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_of_two_completions_the_first_wins(self) -> None:
        execution, _, callback_id = suspended()
        second = race(
            lambda: complete_callback(callback_id, actor=ACTOR, succeed="1"),
            lambda: complete_callback(callback_id, actor=Actor("ben"), error={}),
        )
        assert isinstance(second.error, CallbackClosed)
        assert second.error.completed_by == "ana"
        assert event_types(execution.pk) == ["ExecutionStarted", "CallbackStarted", "CallbackSucceeded"]

    def test_a_completion_that_comes_during_a_stop_is_refused(self) -> None:
        execution, _, callback_id = suspended()
        second = race(
            lambda: stop_execution(execution.pk, actor=ACTOR), lambda: complete_callback(callback_id, actor=ACTOR)
        )
        assert isinstance(second.error, CallbackClosed)
        assert event_types(execution.pk) == ["ExecutionStarted", "CallbackStarted", "ExecutionStopped"]

    def test_a_stop_that_comes_during_a_completion_keeps_the_outcome(self) -> None:
        execution, callback, callback_id = suspended()
        second = race(
            lambda: complete_callback(callback_id, actor=ACTOR), lambda: stop_execution(execution.pk, actor=ACTOR)
        )
        assert second.error is None
        assert event_types(execution.pk)[-2:] == ["CallbackSucceeded", "ExecutionStopped"]
        callback.refresh_from_db()
        assert callback.status == "SUCCEEDED"

    def test_of_two_stops_one_is_refused_and_one_event_is_written(self) -> None:
        execution, _, _ = suspended()
        stop = lambda: stop_execution(execution.pk, actor=ACTOR)  # noqa: E731
        second = race(stop, stop)
        assert isinstance(second.error, ActionRefused)
        assert event_types(execution.pk).count("ExecutionStopped") == 1

    def test_a_time_out_that_waited_for_a_heartbeat_finds_it_alive(self) -> None:
        _, callback, callback_id = suspended(heartbeat_timeout_seconds=30)
        second = race(lambda: heartbeat_callback(callback_id), lambda: time_out_callback(callback.pk))
        assert second.result is False
