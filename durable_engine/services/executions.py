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
from durable_engine.queries.refusals import not_paused, not_resumed, not_retried, not_stopped
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.children import tell_parent_on_commit
from durable_engine.services.exceptions import ActionRefused
from durable_engine.services.repeats import marked, was_done
from durable_engine.services.starts import StartedExecution, StartRequest, start_execution, start_executions
from durable_engine.services.targets import locked_execution, refuse
from durable_engine.services.validation import checked_error, checked_reason
from durable_engine.storage import outside, pauses
from durable_engine.storage.clock import ClockTimestamp
from durable_engine.storage.locks import lock_execution

__all__ = [
    "StartRequest",
    "StartedExecution",
    "pause_execution",
    "resume_execution",
    "retry_all_now",
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
    execution = locked_execution(execution_id, seen_revision)
    refuse(not_stopped(execution))
    outside.close_execution(execution, ExecutionStatus.STOPPED, error)
    tell_parent_on_commit(execution)
    record_audit(actor, "stop_execution", execution_id=execution_id, reason=reason, details={"was": execution.status})


@transaction.atomic
def pause_execution(
    execution_id: UUID,
    *,
    actor: Actor,
    reason: str = "",
    seen_revision: str | None = None,
    client_token: str | None = None,
) -> None:
    """Let an execution do nothing until it is resumed. A running invocation is cut off: its step runs again later.

    Callbacks can still be completed; timers and the execution timeout have no effect meanwhile. Repeated with the same
    `client_token` within 15 minutes it does nothing.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: it is closed or paused already.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = locked_execution(execution_id, seen_revision)
    if was_done("pause_execution", execution_id, client_token):
        return
    refuse(not_paused(execution))
    pauses.pause_execution(execution, reason)
    details = {"was": execution.status, **marked(client_token)}
    record_audit(actor, "pause_execution", execution_id=execution_id, reason=reason, details=details)


@transaction.atomic
def resume_execution(
    execution_id: UUID,
    *,
    actor: Actor,
    reason: str = "",
    seen_revision: str | None = None,
    client_token: str | None = None,
) -> None:
    """Let a paused execution go on, whoever or whatever paused it. Its crash count starts again.

    The execution timeout moves by the time it was paused; timers that fell due meanwhile fire at once. Repeated with
    the same `client_token` within 15 minutes it does nothing.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: it isn't paused.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = locked_execution(execution_id, seen_revision)
    if was_done("resume_execution", execution_id, client_token):
        return
    refuse(not_resumed(execution))
    wants_hint = pauses.resume_execution(execution)
    details = {"pause_kind": execution.pause_kind, **marked(client_token)}
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
    execution = locked_execution(execution_id, seen_revision)
    if not _let_retry(execution, operation_id=operation_id):
        raise ActionRefused(
            f"Operation {operation_id[:64]!r} isn't waiting for a retry: none of its attempts failed, it gave up, "
            "or its next attempt has begun."
        )
    record_audit(actor, "retry_now", execution_id=execution_id, operation_id=operation_id, reason=reason)


@transaction.atomic
def retry_all_now(execution_id: UUID, *, actor: Actor, reason: str = "", seen_revision: str | None = None) -> None:
    """Let every step of an execution that waits out its back-off make its next attempt at once.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: the execution is closed or paused, or no step is in back-off.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = locked_execution(execution_id, seen_revision)
    count = _let_retry(execution)
    if not count:
        raise ActionRefused("No step of the execution is waiting for a retry.")
    record_audit(actor, "retry_now", execution_id=execution_id, reason=reason, details={"operations": count})


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
    tell_parent_on_commit(execution)
    return outside.close_execution(execution, ExecutionStatus.TIMED_OUT, error)


def _let_retry(execution: Execution, **which: str) -> int:
    """Let the retries of a locked execution fall due now, and wake it; return how many there were."""
    refuse(not_retried(execution))
    timers = Timer.objects.filter(execution=execution, kind=TimerKind.RETRY, **which)
    count = timers.update(due_at=ClockTimestamp())
    if count and outside.wake_execution(execution):
        dispatch.publish_on_commit([execution.pk], queue=execution.queue)
    return count
