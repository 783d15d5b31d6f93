"""Complete callbacks from outside, keep them alive, let them time out. The first outcome wins and is an event at once.

Look-ups are unlocked; then the execution is locked, then the callback, and everything is checked again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F, Q, Value

from durable_engine import dispatch
from durable_engine.core.ports import EventType
from durable_engine.models import Callback, CallbackStatus, Execution, callback_uuid
from durable_engine.services.actors import Actor
from durable_engine.services.audit import audit_facts
from durable_engine.services.callback_ids import parse_callback_id
from durable_engine.services.exceptions import CallbackClosed, CallbackNotFound, InvalidInput
from durable_engine.services.validation import MAX_CALLBACK_RESULT_BYTES, checked_error, checked_reason, checked_text
from durable_engine.storage.clock import ClockTimestamp
from durable_engine.storage.locks import lock_callback, lock_execution
from durable_engine.storage.outside import append_outside_event, complete_open_callback

SUBTYPE: Final = "Callback"
SCHEDULER_LABEL: Final = "scheduler"

_EVENTS: Final = {
    CallbackStatus.SUCCEEDED: EventType.CALLBACK_SUCCEEDED,
    CallbackStatus.FAILED: EventType.CALLBACK_FAILED,
    CallbackStatus.TIMED_OUT: EventType.CALLBACK_TIMED_OUT,
}


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: CallbackStatus
    payload: str | None = None
    error: str | None = None


def complete_callback(
    callback_id: str,
    *,
    actor: Actor,
    succeed: str | None = None,
    error: Mapping[str, object] | None = None,
    reason: str = "",
) -> None:
    """Complete an open callback: with the text `succeed`, at most 256 KiB, or as failed with an `error` object.

    The text reaches the handler's callback unchanged. Without either the callback succeeds with no result.

    Raises:
        CallbackNotFound: the id is forged or damaged, or its execution is gone.
        CallbackClosed: somebody was first, it timed out, or the execution has ended; nothing is changed.
        InvalidInput: result, error object or reason can't be accepted.
    """
    _complete(parse_callback_id(callback_id), _checked_outcome(succeed, error), actor, checked_reason(reason))


def complete_callback_of(
    execution_id: UUID,
    operation_id: str,
    *,
    actor: Actor,
    succeed: str | None = None,
    error: Mapping[str, object] | None = None,
    reason: str = "",
) -> None:
    """Complete the callback of an operation, for people who decide and never see callback ids.

    Raises:
        CallbackNotFound, CallbackClosed, InvalidInput: as `complete_callback`.
    """
    outcome = _checked_outcome(succeed, error)
    _complete(callback_uuid(execution_id, operation_id), outcome, actor, checked_reason(reason))


def callback_with_key(function: str, key: str) -> tuple[UUID, str]:
    """Return the execution and the operation whose open callback has this business key; unlocked.

    Raises:
        CallbackNotFound: no open callback of the function has it.
    """
    found = Callback.objects.filter(status=CallbackStatus.STARTED, key_function=function, key=key)
    row = found.values_list("execution_id", "operation_id").first()
    if row is None:
        raise CallbackNotFound(
            f"No open callback of {function!r} has the key {key!r}.", fix="It is completed, or was never opened."
        )
    return row


def complete_locked_callback(
    execution: Execution, callback_key: UUID, *, result: str | None, error: str | None, completed_by: str
) -> None:
    """Complete a callback of an execution that the caller has locked and found live; texts are checked.

    Raises:
        CallbackClosed: it is completed already, or it is late, which the sweep will find.
    """
    callback = lock_callback(callback_key)
    if callback is None or not _is_open(execution, callback):
        raise CallbackNotFound if callback is None else _closed(execution, callback)
    status = CallbackStatus.SUCCEEDED if error is None else CallbackStatus.FAILED
    _write(execution, callback, _Outcome(status, payload=result, error=error), completed_by)


def heartbeat_callback(callback_id: str) -> None:
    """Say that the work behind the callback goes on: its heartbeat deadline moves, nothing else does.

    Raises:
        CallbackNotFound: the id is forged or damaged, or its execution is gone.
        CallbackClosed: it is completed, timed out, or its execution has ended.
    """
    callback_key = _newest(parse_callback_id(callback_id))
    # One conditional statement: a time-out that comes in between finds the moved deadline when it looks again.
    interval = ExpressionWrapper(
        F("heartbeat_timeout_seconds") * Value(timedelta(seconds=1)), output_field=DurationField()
    )
    alive = Callback.objects.filter(pk=callback_key, status=CallbackStatus.STARTED).exclude(_is_late())
    if not alive.update(heartbeat_deadline=ClockTimestamp() + interval):
        closed = _close_if_late(callback_key)
        # None: the callback opened or was extended by another heartbeat between the two statements.
        if closed is not None:
            raise closed


def move_callback_deadline(execution_id: UUID, operation_id: str, deadline: datetime | None) -> None:
    """Let an open callback time out at another moment, or never: for an app that gives people more time.

    Raises:
        CallbackNotFound: there is no such callback.
        CallbackClosed: it is completed, timed out, or its execution has ended.
    """
    callback_key = callback_uuid(execution_id, operation_id)
    created_at = Callback.objects.filter(pk=callback_key).values_list("created_at", flat=True).first()
    timeout = None if deadline is None or created_at is None else (deadline - created_at).total_seconds()
    alive = Callback.objects.filter(pk=callback_key, status=CallbackStatus.STARTED).exclude(_is_late())
    if not alive.update(deadline=deadline, timeout_seconds=timeout):
        closed = _close_if_late(callback_key)
        if closed is not None:
            raise closed


def time_out_callback(callback_key: UUID) -> bool:
    """Close a callback as timed out if, by the database clock, it is late. For the sweep; returns whether it did."""
    with transaction.atomic():
        execution, callback = _locked(callback_key)
        return _is_open(execution, callback) and _time_out_if_late(execution, callback)


def _complete(callback_key: UUID, outcome: _Outcome, actor: Actor, reason: str) -> None:
    # Raised after the commit: a completion that comes too late leaves the time-out in the history.
    closed = _try_complete(callback_key, outcome, actor, reason)
    if closed is not None:
        raise closed


def _try_complete(callback_key: UUID, outcome: _Outcome, actor: Actor, reason: str) -> CallbackClosed | None:
    details = {"outcome": outcome.status.value}
    while True:
        completed = complete_open_callback(
            callback_key,
            status=outcome.status,
            event_type=_EVENTS[outcome.status],
            completed_by=actor.label[:256],
            audit=audit_facts(actor, "complete_callback", reason=reason, details=details),
            payload=outcome.payload,
            error=outcome.error,
        )
        if completed is not None:
            break
        # None: it was late, and a heartbeat extended it between the two statements; or its execution was redriven.
        closed = _close_if_late(callback_key)
        if closed is not None:
            return closed
        callback_key = _newest(callback_key)
    if completed.wants_hint:
        dispatch.publish_on_commit([completed.execution_id], queue=completed.queue)
    return None


# Without a savepoint of its own: what fails here fails the caller's transaction.
@transaction.atomic(savepoint=False)
def _close_if_late(callback_key: UUID) -> CallbackClosed | None:
    execution, callback = _locked(callback_key)
    if _is_open(execution, callback) and not _time_out_if_late(execution, callback):
        return None
    return _closed(execution, callback)


def _locked(callback_key: UUID) -> tuple[Execution, Callback]:
    execution_id = Callback.objects.filter(pk=callback_key).values_list("execution_id", flat=True).first()
    execution = None if execution_id is None else lock_execution(execution_id)
    callback = None if execution is None else lock_callback(callback_key)
    if execution is None or callback is None:
        raise CallbackNotFound
    # Its execution was redriven while it was open. The successor is the younger one: locked in the order of the ids.
    return (execution, callback) if callback.moved_to is None else _locked(callback.moved_to)


def _newest(callback_key: UUID) -> UUID:
    """Return the callback that the id completes by now, after redrives of its execution. Unlocked."""
    moved_to = Callback.objects.filter(pk=callback_key).values_list("moved_to", flat=True).first()
    return callback_key if moved_to is None else _newest(moved_to)


def _is_open(execution: Execution, callback: Callback) -> bool:
    return callback.status == CallbackStatus.STARTED and not execution.is_closed


def _closed(execution: Execution, callback: Callback) -> CallbackClosed:
    callback.refresh_from_db(fields=["status", "completed_at", "completed_by"])
    if callback.status == CallbackStatus.STARTED:
        return CallbackClosed(execution.status, completed_at=execution.closed_at)
    return CallbackClosed(callback.status, completed_at=callback.completed_at, completed_by=callback.completed_by)


def _is_late() -> Q:
    return Q(deadline__lte=ClockTimestamp()) | Q(heartbeat_deadline__lte=ClockTimestamp())


def _time_out_if_late(execution: Execution, callback: Callback) -> bool:
    late = Callback.objects.filter(_is_late(), pk=callback.pk).values_list("deadline", "heartbeat_deadline").first()
    if late is None:
        return False
    deadline, heartbeat_deadline = late
    heartbeat_first = deadline is None or (heartbeat_deadline is not None and heartbeat_deadline < deadline)
    if heartbeat_first:
        error = {
            "ErrorType": "Callback.Heartbeat",
            "ErrorMessage": f"No heartbeat came for {callback.heartbeat_timeout_seconds:g} seconds.",
        }
    else:
        error = {
            "ErrorType": "Callback.Timeout",
            "ErrorMessage": f"No answer came within {callback.timeout_seconds:g} seconds.",
        }
    _write(execution, callback, _Outcome(CallbackStatus.TIMED_OUT, error=json.dumps(error)), SCHEDULER_LABEL)
    return True


def _write(execution: Execution, callback: Callback, outcome: _Outcome, completed_by: str) -> None:
    Callback.objects.filter(pk=callback.pk).update(
        status=outcome.status, completed_at=ClockTimestamp(), completed_by=completed_by[:256]
    )
    wants_hint = append_outside_event(
        execution,
        _EVENTS[outcome.status],
        operation_id=callback.operation_id,
        parent_id=callback.parent_id,
        subtype=SUBTYPE,
        name=callback.name,
        payload=outcome.payload,
        error=outcome.error,
    )
    if wants_hint:
        dispatch.publish_on_commit([execution.pk], queue=execution.queue)


def _checked_outcome(succeed: str | None, error: Mapping[str, object] | None) -> _Outcome:
    if error is None:
        if succeed is not None:
            checked_text(succeed, field="result", limit=MAX_CALLBACK_RESULT_BYTES)
        return _Outcome(CallbackStatus.SUCCEEDED, payload=succeed)
    if succeed is not None:
        raise InvalidInput("error", "a callback succeeds or fails, not both.", "Give a result or an error.")
    return _Outcome(CallbackStatus.FAILED, error=json.dumps(checked_error(error), ensure_ascii=False))
