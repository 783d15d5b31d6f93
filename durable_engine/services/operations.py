"""Give an operation its outcome by hand: complete a step, wait, callback or invoke, or let a wait be over.

Each function is one transaction: it locks the execution, decides on its history as it then stands, writes the outcome
as an event from outside, and its audit entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction

from durable_engine import dispatch
from durable_engine.core.history import EFFECTS, PENDING, STARTED, History, OperationState
from durable_engine.core.ports import EventType, RecordedEvent
from durable_engine.models import Event, Execution, ExecutionStatus, Timer, TimerKind, callback_uuid
from durable_engine.queries.refusals import not_changed
from durable_engine.sdk import extended_types, registry
from durable_engine.sdk.serdes import SerDesContext
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.callbacks import complete_locked_callback
from durable_engine.services.exceptions import ActionRefused, InvalidInput, OperationNotFound
from durable_engine.services.targets import locked_execution, refuse
from durable_engine.services.validation import (
    MAX_CALLBACK_RESULT_BYTES,
    checked_error,
    checked_reason,
    checked_text,
    parse_json,
)
from durable_engine.storage import children, outside
from durable_engine.storage.clock import ClockTimestamp

MAX_RESULT_BYTES: Final = 262_144  # of a step, as its own

# Operation type -> the events of a success and of a failure.
_OUTCOMES: Final = {
    "STEP": (EventType.STEP_SUCCEEDED, EventType.STEP_FAILED),
    "CHAINED_INVOKE": (EventType.CHAINED_INVOKE_SUCCEEDED, EventType.CHAINED_INVOKE_FAILED),
}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Either `result` (checked text, None for no value) or `error` (a checked error object)."""

    result: str | None
    error: dict[str, object] | None


@transaction.atomic
def complete_operation(
    execution_id: UUID,
    operation_id: str,
    *,
    actor: Actor,
    result_text: str | None = None,
    error: Mapping[str, object] | None = None,
    reason: str = "",
    seen_revision: str | None = None,
) -> None:
    """Give an open operation its outcome: the result `result_text` (JSON text, at most 256 KiB), or an error object.

    The value reaches the handler as that of a step with the handler's serdes would.
    A step must be in back-off, or started in an execution that isn't running: pause it first. An invoke goes on
    without its child, which is left alone. A callback takes any text, as from outside; a wait neither result nor error.
    Without either the result is None.

    Raises:
        ExecutionNotFound, OperationNotFound: there is no such execution or operation.
        ActionRefused: the execution is closed, the operation has its outcome, is a context, or may be running.
        InvalidInput: the result, the error object or the reason can't be accepted.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    if error is not None and result_text is not None:
        raise InvalidInput("error", "an operation succeeds or fails, not both.", "Give a result or an error.")
    checked = None if error is None else checked_error(error)
    if result_text is not None:
        checked_text(result_text, field="result", limit=MAX_CALLBACK_RESULT_BYTES)
    execution = locked_execution(execution_id, seen_revision)
    refuse(not_changed(execution))
    operation = _open_operation(execution, operation_id)
    _complete(execution, operation, _Outcome(result_text, checked), actor)
    record_audit(
        actor,
        "complete_operation",
        execution_id=execution_id,
        operation_id=operation_id,
        reason=reason,
        details={"type": operation.type, "outcome": "SUCCEEDED" if error is None else "FAILED"},
    )


@transaction.atomic
def skip_wait(
    execution_id: UUID, operation_id: str, *, actor: Actor, reason: str = "", seen_revision: str | None = None
) -> None:
    """Let a wait be over now. In a paused execution it is over when it is resumed.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: the execution is closed, or the operation is not a wait under way.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = locked_execution(execution_id, seen_revision)
    refuse(not_changed(execution))
    if not _end_waits(execution, operation_id=operation_id):
        raise ActionRefused(f"Operation {operation_id[:64]!r} isn't a wait under way: it is over, or something else.")
    record_audit(actor, "skip_wait", execution_id=execution_id, operation_id=operation_id, reason=reason)


@transaction.atomic
def skip_all_waits(execution_id: UUID, *, actor: Actor, reason: str = "", seen_revision: str | None = None) -> None:
    """Let every wait of an execution that is under way be over now.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: the execution is closed, or waits for no time.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = locked_execution(execution_id, seen_revision)
    refuse(not_changed(execution))
    count = _end_waits(execution)
    if not count:
        raise ActionRefused("No wait of the execution is under way.")
    record_audit(actor, "skip_wait", execution_id=execution_id, reason=reason, details={"operations": count})


def _complete(execution: Execution, operation: OperationState, outcome: _Outcome, actor: Actor) -> None:
    if operation.type == "CALLBACK":
        error = None if outcome.error is None else json.dumps(outcome.error, ensure_ascii=False)
        key = callback_uuid(execution.pk, operation.id)
        complete_locked_callback(execution, key, result=outcome.result, error=error, completed_by=actor.label)
    elif operation.type == "WAIT":
        _complete_wait(execution, operation, outcome)
    elif operation.type in _OUTCOMES:
        _append_outcome(execution, operation, outcome, actor)
    else:
        fix = f"Complete the one in it that is open: its id begins with {operation.id}-."
        raise ActionRefused("A context completes when its operations do.", fix=fix)


def _complete_wait(execution: Execution, operation: OperationState, outcome: _Outcome) -> None:
    if outcome != _Outcome(None, None):
        raise InvalidInput("result", "a wait has neither a result nor an error.", "Leave it out.")
    _end_waits(execution, operation_id=operation.id)


def _append_outcome(execution: Execution, operation: OperationState, outcome: _Outcome, actor: Actor) -> None:
    if execution.status == ExecutionStatus.RUNNING:
        raise ActionRefused("The execution is running, and so may the operation be.", fix="Pause it first.")
    succeeded, failed = _OUTCOMES[operation.type]
    Timer.objects.filter(execution=execution, operation_id=operation.id).delete()
    if operation.type == "CHAINED_INVOKE":
        children.disown(execution, operation.id)
    wants_hint = outside.append_outside_event(
        execution,
        succeeded if outcome.error is None else failed,
        operation_id=operation.id,
        parent_id=operation.parent_id,
        subtype=operation.subtype,
        name=operation.name,
        attempt=operation.attempt or None,
        payload=_checked_result(execution, operation, outcome.result) if outcome.error is None else None,
        error=None if outcome.error is None else json.dumps(outcome.error, ensure_ascii=False),
        details={"completed_by": actor.label[:256]},
    )
    if wants_hint:
        dispatch.publish_on_commit([execution.pk], queue=execution.queue)


def _checked_result(execution: Execution, operation: OperationState, text: str | None) -> str:
    """The text that replay will decode as the value that was given as JSON."""
    text = "null" if text is None else text
    value = parse_json(text, field="result")
    if operation.type == "CHAINED_INVOKE":
        return text
    handler = registry.get(execution.function, execution.version)
    serdes = None if handler is None else handler.serdes
    try:
        # A step with a serdes of its own is not known here; a handler that can't read the result is paused.
        if serdes is None:
            return extended_types.encode(value)
        return serdes.serialize(value, SerDesContext(operation.id, str(execution.pk)))
    except Exception as problem:
        raise InvalidInput("result", f"could not be read by the handler: {problem}.") from problem


def _end_waits(execution: Execution, **which: str) -> int:
    """End the waits that are under way, all of them or the one with the `operation_id`; return how many there were."""
    timers = Timer.objects.filter(execution=execution, kind=TimerKind.WAIT, **which)
    count = timers.update(due_at=ClockTimestamp())
    if count and outside.wake_execution(execution):
        dispatch.publish_on_commit([execution.pk], queue=execution.queue)
    return count


def _open_operation(execution: Execution, operation_id: str) -> OperationState:
    rows = Event.objects.filter(execution=execution, operation_id=operation_id, event_type__in=EFFECTS)
    fields = [field for field in RecordedEvent._fields if field not in ("payload", "error")]
    history = History()
    for row in rows.order_by("event_id").values(*fields):
        history.apply(RecordedEvent(**row))
    operation = history.operations.get(operation_id)
    if operation is None:
        raise OperationNotFound(execution.pk, operation_id)
    if operation.status not in (STARTED, PENDING):
        raise ActionRefused(f"The operation has its outcome already: it is {operation.status}.")
    return operation
