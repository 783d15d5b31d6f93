"""Operations folded from events: statuses, attempts, interruptions, nesting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from durable_engine.models import Execution
from durable_engine.queries.operations import OperationView, invocations_of, operations_of, payload_of
from tests.factories import add_event, make_back_off, make_callback, make_execution, make_running, make_timer

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ERROR = {
    "ErrorType": "ValueError",
    "ErrorMessage": "declined",
    "StackTrace": ["File shop.py", "File lib.py"],
    "ErrorData": "7",
}
DIED = {"ErrorType": "Runtime.ExitError", "ErrorMessage": "killed by signal 9"}

pytestmark = pytest.mark.django_db


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def new() -> Execution:
    return make_execution(status="SUSPENDED", created_at=START)


def step(
    execution: Execution, kind: str, seconds: float, attempt: int = 1, operation_id: str = "1", **columns: Any
) -> None:
    about = {"operation_id": operation_id, "name": "charge", "subtype": "Step", "attempt": attempt}
    add_event(execution, f"Step{kind}", event_at=at(seconds), **(about | columns))


def invocation(execution: Execution, begin: float, end: float, **columns: Any) -> None:
    details = {"request_id": f"r{begin:g}", "started_at": at(begin).isoformat()}
    add_event(execution, "InvocationCompleted", event_at=at(end), details=details, **columns)


def only(execution_id: UUID) -> OperationView:
    (operation,) = operations_of(execution_id)
    return operation


class TestSteps:
    def test_a_step_that_succeeded_at_its_second_attempt_shows_both(self) -> None:
        execution = new()
        step(execution, "Started", 1)
        step(execution, "Failed", 2, error=ERROR, details={"next_attempt_delay_seconds": 1.5})
        step(execution, "Started", 4, attempt=2)
        step(execution, "Succeeded", 5, attempt=2, payload='"paid €"')
        charge = only(execution.pk)
        assert (charge.id, charge.type, charge.subtype, charge.name, charge.status) == (
            "1",
            "STEP",
            "Step",
            "charge",
            "SUCCEEDED",
        )
        assert (charge.started_at, charge.ended_at, charge.error) == (at(1), at(5), None)
        assert (charge.has_result, charge.result_event_id, charge.result_bytes) == (True, 5, 10)
        first, second = charge.attempts
        assert (first.number, first.started_at, first.ended_at, first.status) == (1, at(1), at(2), "FAILED")
        assert first.retry_delay_seconds == 1.5
        assert first.error is not None
        assert (first.error.type, first.error.message, first.error.data) == ("ValueError", "declined", "7")
        assert first.error.stack == ("File shop.py", "File lib.py")
        assert (second.number, second.started_at, second.ended_at, second.status) == (2, at(4), at(5), "SUCCEEDED")
        assert payload_of(execution.pk, 5) == '"paid €"'

    def test_a_step_in_back_off_is_pending_until_its_timer_has_fired(self) -> None:
        execution = new()
        timer = make_back_off(execution)
        charge = only(execution.pk)
        assert (charge.status, charge.next_attempt_at, charge.ended_at) == ("PENDING", timer.due_at, None)
        timer.delete()
        charge = only(execution.pk)
        assert (charge.status, charge.next_attempt_at) == ("READY", None)

    def test_a_step_that_gave_up_carries_its_error(self) -> None:
        execution = new()
        step(execution, "Started", 1)
        step(execution, "Failed", 2, error=ERROR)
        charge = only(execution.pk)
        assert charge.status == "FAILED"
        assert charge.error is not None
        assert charge.error.message == "declined"
        assert not charge.has_result

    def test_a_poll_that_goes_on_is_pending_and_has_no_result_yet(self) -> None:
        execution = new()
        about: dict[str, Any] = {"subtype": "WaitForCondition"}
        step(execution, "Started", 1, **about)
        step(execution, "Succeeded", 2, payload='{"n": 1}', details={"next_attempt_delay_seconds": 1}, **about)
        make_timer(execution, "1", kind="condition")
        polled = only(execution.pk)
        assert (polled.status, polled.has_result, polled.attempts[0].status) == ("PENDING", False, "SUCCEEDED")

    def test_an_attempt_that_runs_now_has_no_end(self) -> None:
        execution = new()
        step(execution, "Started", 1)
        charge = only(execution.pk)
        assert (charge.status, charge.attempts[0].status, charge.attempts[0].ended_at) == ("STARTED", "STARTED", None)


class TestInterruptions:
    def test_repetitions_without_a_start_event_are_attempts_of_their_own(self) -> None:
        execution = new()
        step(execution, "Started", 1)
        invocation(execution, 0.5, 3, error=DIED)
        invocation(execution, 4, 6, error=DIED)
        step(execution, "Succeeded", 9, attempt=3, payload="1")
        invocation(execution, 7, 10)
        first, second, third = only(execution.pk).attempts
        assert (first.status, first.ended_at) == ("INTERRUPTED", at(3))
        assert first.error is not None
        assert first.error.type == "Runtime.ExitError"
        assert (second.number, second.status) == (2, "INTERRUPTED")
        assert (third.number, third.started_at, third.ended_at, third.status) == (3, at(7), at(9), "SUCCEEDED")

    def test_an_interrupted_attempt_that_is_recorded_as_failed_is_one_attempt(self) -> None:
        execution = new()
        step(execution, "Started", 1)
        invocation(execution, 0.5, 3, error=DIED)
        step(execution, "Failed", 4, error={"ErrorType": "StepInterruptedError", "ErrorMessage": "lost"})
        (attempt,) = only(execution.pk).attempts
        assert (attempt.number, attempt.status, attempt.started_at, attempt.ended_at) == (1, "FAILED", at(1), at(4))
        assert attempt.error is not None
        assert attempt.error.type == "StepInterruptedError"


class TestOtherOperations:
    def test_a_wait_says_when_it_ends(self) -> None:
        execution = new()
        wait = {"operation_id": "1", "subtype": "Wait", "details": {"duration_seconds": 90}}
        add_event(execution, "WaitStarted", event_at=at(1), **wait)
        assert only(execution.pk).due_at == at(91)
        timer = make_timer(execution, "1", kind="wait", due_at=at(5))
        assert only(execution.pk).due_at == at(5)
        timer.delete()
        add_event(execution, "WaitSucceeded", event_at=at(5), **wait)
        waited = only(execution.pk)
        assert (waited.type, waited.status, waited.ended_at, waited.attempts) == ("WAIT", "SUCCEEDED", at(5), [])

    @pytest.mark.parametrize(
        ("event", "status"), [("Succeeded", "SUCCEEDED"), ("Failed", "FAILED"), ("TimedOut", "TIMED_OUT")]
    )
    def test_a_callback_ends_as_its_event_says(self, event: str, status: str) -> None:
        execution = new()
        make_callback(execution, "1", timeout_seconds=60, heartbeat_timeout_seconds=5)
        add_event(execution, f"Callback{event}", operation_id="1", subtype="Callback", name="approval")
        callback = only(execution.pk)
        assert (callback.type, callback.status) == ("CALLBACK", status)
        assert (callback.timeout_seconds, callback.heartbeat_timeout_seconds) == (60, 5)

    def test_children_follow_their_parent_and_know_their_depth(self) -> None:
        execution = new()
        for operation_id, parent_id in (
            ("1", None),
            ("2", None),
            ("1-1", "1"),
            ("2-1", "2"),
            ("1-1-1", "1-1"),
            ("1-2", "1"),
        ):
            about = {"operation_id": operation_id, "parent_id": parent_id, "subtype": "RunInChildContext"}
            add_event(execution, "ContextStarted", **about)
        listed = [(operation.id, operation.depth) for operation in operations_of(execution.pk)]
        assert listed == [("1", 0), ("1-1", 1), ("1-1-1", 2), ("1-2", 1), ("2", 0), ("2-1", 1)]

    def test_a_child_of_a_parent_that_left_no_event_is_still_shown(self) -> None:
        execution = new()
        add_event(execution, "ContextStarted", operation_id="3-1", parent_id="3", subtype="RunInChildContext")
        assert [operation.id for operation in operations_of(execution.pk)] == ["3-1"]

    def test_what_the_end_of_the_execution_left_open_is_cancelled(self) -> None:
        execution = new()
        make_back_off(execution)
        execution.timers.all().delete()
        make_callback(execution, "2")
        add_event(execution, "ExecutionStopped")
        assert [operation.status for operation in operations_of(execution.pk)] == ["CANCELLED", "CANCELLED"]

    def test_what_a_complete_batch_left_behind_is_cancelled_while_its_execution_goes_on(self) -> None:
        execution = new()
        add_event(execution, "ContextStarted", event_at=at(0), operation_id="1", subtype="Parallel")
        for branch in ("1-1", "1-2"):
            about = {"operation_id": branch, "parent_id": "1", "subtype": "ParallelBranch"}
            add_event(execution, "ContextStarted", event_at=at(1), **about)
        step(execution, "Started", 2, operation_id="1-1-1", parent_id="1-1")
        add_event(execution, "ContextSucceeded", event_at=at(3), operation_id="1-2", subtype="ParallelBranch")
        add_event(execution, "ContextSucceeded", event_at=at(4), operation_id="1", subtype="Parallel")
        step(execution, "Started", 5, operation_id="10")

        listed = {operation.id: (operation.status, operation.ended_at) for operation in operations_of(execution.pk)}
        assert listed == {
            "1": ("SUCCEEDED", at(4)),
            "1-1": ("CANCELLED", at(4)),
            "1-1-1": ("CANCELLED", at(4)),
            "1-2": ("SUCCEEDED", at(3)),
            "10": ("STARTED", None),
        }
        (attempt,) = next(each for each in operations_of(execution.pk) if each.id == "1-1-1").attempts
        assert (attempt.status, attempt.ended_at) == ("INTERRUPTED", at(4))


class TestInvocations:
    def test_each_pass_of_the_handler_is_listed_and_the_running_one_has_no_end(self) -> None:
        execution = new()
        invocation(execution, 0.5, 3)
        invocation(execution, 5, 6, error=DIED)
        make_running(execution)
        first, second, third = invocations_of(execution.pk)
        assert (first.number, first.started_at, first.ended_at, first.request_id, first.error) == (
            1,
            at(0.5),
            at(3),
            "r0.5",
            None,
        )
        assert second.error is not None
        assert second.error.message == "killed by signal 9"
        assert (third.number, third.ended_at) == (3, None)

    def test_a_suspended_execution_has_no_running_one(self) -> None:
        execution = new()
        invocation(execution, 0.5, 3)
        assert len(invocations_of(execution.pk)) == 1


def test_the_number_of_queries_does_not_grow_and_no_payload_is_read() -> None:
    execution = new()
    for number in range(1, 60):
        step(execution, "Started", number, operation_id=str(number))
        step(execution, "Succeeded", number, operation_id=str(number), payload='"x"')
    with CaptureQueriesContext(connection) as queries:
        assert len(operations_of(execution.pk)) == 59
    assert len(queries) == 2
    assert 'octet_length("durable_event"."payload")' in queries[1]["sql"]
    assert queries[1]["sql"].count('"payload"') == 1


def test_an_unknown_execution_has_no_operations() -> None:
    assert operations_of(UUID(int=1)) == []
    assert invocations_of(UUID(int=1)) == []
