"""Start an execution (`services.starts`) and change its course: stop, pause, resume, retry now.

Each function is one transaction: it locks the execution, decides on the row as it then stands, writes the audit, and
sends a hint on commit. Inside the caller's `transaction.atomic()` it is part of the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.db import transaction

from durable_engine import dispatch
from durable_engine.models import Event, Execution, ExecutionStatus, Timer, TimerKind
from durable_engine.queries.executions import revision_of
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.exceptions import ActionRefused, ExecutionNotFound, StaleRevision
from durable_engine.services.starts import StartedExecution, StartRequest, start_execution, start_executions
from durable_engine.services.validation import checked_error, checked_reason
from durable_engine.storage import outside, pauses
from durable_engine.storage.clock import ClockTimestamp
from durable_engine.storage.locks import lock_execution

__all__ = [
    "StartRequest",
    "StartedExecution",
    "pause_execution",
    "resume_execution",
    "retry_now",
    "start_execution",
    "start_executions",
    "stop_execution",
    "time_out_execution",
]

STOPPED_ERROR_TYPE: Final = "ExecutionStopped"
TIMED_OUT_ERROR_TYPE: Final = "ExecutionTimedOut"
STOPPED_MESSAGE: Final = "Execution stopped by user request"


@transaction.atomic
def stop_execution(
    execution_id: UUID,
    *,
    actor: Actor,
    reason: str = "",
    error: Mapping[str, object] | None = None,
    seen_revision: str | None = None,
) -> None:
    """End an execution as STOPPED, for good. A step that is running may finish its side effects but records nothing.

    `error` is the error object kept in the history; by default it holds the reason.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: it is closed already.
        StaleRevision: `seen_revision` was given and the execution has moved on.
        InvalidInput: the reason or the error object can't be accepted.
    """
    reason = checked_reason(reason)
    default = {"ErrorType": STOPPED_ERROR_TYPE, "ErrorMessage": reason or STOPPED_MESSAGE}
    error = default if error is None else checked_error(error)
    execution = _locked(execution_id, seen_revision)
    _refuse_if_closed(execution, "stopped")
    outside.close_execution(execution, ExecutionStatus.STOPPED, error)
    record_audit(actor, "stop_execution", execution_id=execution_id, reason=reason, details={"was": execution.status})


@transaction.atomic
def pause_execution(execution_id: UUID, *, actor: Actor, reason: str = "", seen_revision: str | None = None) -> None:
    """Let an execution do nothing until it is resumed. A running invocation is cut off: its step runs again later.

    Callbacks can still be completed; timers and the execution timeout have no effect meanwhile.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: it is closed or paused already.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = _locked(execution_id, seen_revision)
    _refuse_if_closed(execution, "paused")
    if not pauses.pause_execution(execution, reason):
        raise ActionRefused("The execution is paused already.")
    record_audit(actor, "pause_execution", execution_id=execution_id, reason=reason, details={"was": execution.status})


@transaction.atomic
def resume_execution(execution_id: UUID, *, actor: Actor, reason: str = "", seen_revision: str | None = None) -> None:
    """Let a paused execution go on, whoever or whatever paused it. Its crash count starts again.

    The execution timeout moves by the time it was paused; timers that fell due meanwhile fire at once.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: it isn't paused.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = _locked(execution_id, seen_revision)
    _refuse_if_closed(execution, "resumed")
    wants_hint = pauses.resume_execution(execution)
    if wants_hint is None:
        raise ActionRefused(f"The execution isn't paused, it is {execution.status}.")
    details = {"pause_kind": execution.pause_kind}
    record_audit(actor, "resume_execution", execution_id=execution_id, reason=reason, details=details)
    if wants_hint:
        dispatch.publish_on_commit([execution_id], queue=execution.queue)


@transaction.atomic
def retry_now(
    execution_id: UUID, operation_id: str, *, actor: Actor, reason: str = "", seen_revision: str | None = None
) -> None:
    """Let a step that waits out its back-off make its next attempt at once.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: the execution is closed or paused, or the operation isn't in back-off.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = _locked(execution_id, seen_revision)
    _refuse_if_closed(execution, "retried")
    if execution.status == ExecutionStatus.PAUSED:
        raise ActionRefused("The execution is paused.", fix="Resume it first.")
    timers = Timer.objects.filter(execution=execution, operation_id=operation_id, kind=TimerKind.RETRY)
    if not timers.update(due_at=ClockTimestamp()):
        raise ActionRefused(
            f"Operation {operation_id[:64]!r} isn't waiting for a retry: none of its attempts failed, it gave up, "
            "or its next attempt has begun."
        )
    record_audit(actor, "retry_now", execution_id=execution_id, operation_id=operation_id, reason=reason)
    if outside.wake_execution(execution):
        dispatch.publish_on_commit([execution_id], queue=execution.queue)


@transaction.atomic
def time_out_execution(execution_id: UUID) -> bool:
    """End an execution as TIMED_OUT if, by the database clock, its execution timeout has passed. For the sweep.

    A paused execution doesn't time out. Returns whether it was ended.
    """
    execution = lock_execution(execution_id)
    if execution is None or execution.status == ExecutionStatus.PAUSED or execution.is_closed:
        return False
    if not Execution.objects.filter(pk=execution_id, expires_at__lte=ClockTimestamp()).exists():
        return False
    details = Event.objects.filter(execution=execution, event_id=1).values_list("details", flat=True).get() or {}
    seconds = details.get("execution_timeout_seconds")
    message = "Execution timed out." if seconds is None else f"Execution timed out after {seconds:g} seconds."
    error = {"ErrorType": TIMED_OUT_ERROR_TYPE, "ErrorMessage": message}
    return outside.close_execution(execution, ExecutionStatus.TIMED_OUT, error)


def _locked(execution_id: UUID, seen_revision: str | None) -> Execution:
    execution = lock_execution(execution_id)
    if execution is None:
        raise ExecutionNotFound(execution_id)
    revision = revision_of(execution)
    if seen_revision is not None and seen_revision != revision:
        raise StaleRevision(execution_id, execution.status, revision)
    return execution


def _refuse_if_closed(execution: Execution, action: str) -> None:
    if execution.is_closed:
        message = f"The execution can't be {action}: it has ended and is {execution.status}."
        raise ActionRefused(message)
