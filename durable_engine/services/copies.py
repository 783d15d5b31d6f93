"""Redrive, rewind, fork: one mechanism. A new execution whose history starts with a copied part of another one's.

What has ended stays as it ended. The new execution is linked to it both ways; redriven and rewound ones take over its
name. Each function is one transaction, with its audit entries in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from uuid_utils.compat import uuid7

from durable_engine import dispatch
from durable_engine.core import prefix
from durable_engine.core.ports import EventType, RecordedEvent
from durable_engine.core.prefix import Prefix, RecordedOperation
from durable_engine.models import Execution, ExecutionStatus, OriginKind, TimerKind, callback_uuid
from durable_engine.queries.executions import input_of
from durable_engine.queries.refusals import not_redriven, not_rewound
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit_of_many
from durable_engine.services.children import move_children
from durable_engine.services.exceptions import NameTaken, OperationNotFound
from durable_engine.services.functions import KnownFunction, known_functions
from durable_engine.services.starts import StartedExecution, check_against_schema, start_execution
from durable_engine.services.targets import locked_execution, refuse
from durable_engine.services.validation import JsonText, checked_input, checked_name, checked_reason
from durable_engine.storage import copies, outside
from durable_engine.storage.children import lock_children
from durable_engine.storage.copies import CopiedCallback, CopiedTimer, NewCopy

REWOUND_ERROR_TYPE: Final = "ExecutionRewound"


# Events, and operations that can't be kept, to what is copied.
_Choice = Callable[[Sequence[RecordedEvent], Collection[str]], Prefix]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the new execution is to be."""

    kind: OriginKind
    version: int | None
    name: str
    operation_id: str | None = None
    new_input: JsonText | None = None


@transaction.atomic
def redrive_execution(
    execution_id: UUID,
    *,
    actor: Actor,
    version: int | None = None,
    reason: str = "",
    seen_revision: str | None = None,
) -> StartedExecution:
    """Let a failed, timed out or stopped execution go on, as a new execution under its name.

    What is completed is kept and does not run again. A failed one repeats what failed: the operations whose failure no
    code has reacted to, and whatever began after them in the same flow of control; other branches keep what they have.
    Open waits keep their due time, open callbacks their ids and get their time limits anew, the execution timeout
    counts from now. `version` lets it go on with another version of the function; the comparison with the history
    pauses it where that does not fit.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: it is live, has succeeded, or was redriven or rewound already.
        FunctionNotFound: the version is unknown.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    source = locked_execution(execution_id, seen_revision)
    refuse(not_redriven(source))
    wanted = _Wanted(OriginKind.REDRIVE, version, source.name)
    return _copy(source, prefix.redriven, wanted, actor, reason)


@transaction.atomic
def rewind_execution(
    execution_id: UUID,
    operation_id: str,
    *,
    actor: Actor,
    version: int | None = None,
    reason: str = "",
    seen_revision: str | None = None,
) -> StartedExecution:
    """Let an execution go on from before an operation, as a new execution under its name.

    The operation runs again, and with it everything that began after it in the same flow of control; other branches
    keep what they have. The execution must have ended or be paused: a paused one is stopped by this.

    Raises:
        ExecutionNotFound, OperationNotFound: there is no such execution or operation.
        ActionRefused: it is live and not paused, or was redriven or rewound already.
        FunctionNotFound: the version is unknown.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    source = locked_execution(execution_id, seen_revision)
    refuse(not_rewound(source))
    wanted = _Wanted(OriginKind.REWIND, version, source.name, operation_id)
    return _copy(source, lambda events, gone: prefix.rewound(events, operation_id, gone), wanted, actor, reason)


@transaction.atomic
def fork_execution(
    execution_id: UUID,
    operation_id: str,
    *,
    actor: Actor,
    name: str | None = None,
    version: int | None = None,
    input_text: str | None = None,
    reason: str = "",
    seen_revision: str | None = None,
) -> StartedExecution:
    """Start a copy of an execution from before an operation, under a name of its own; the original is not touched.

    The original may be live. An open callback of another branch is open in the copy too, under a new id. `input_text`
    replaces the input; recorded results stay as they are.

    Raises:
        ExecutionNotFound, OperationNotFound: there is no such execution or operation.
        NameTaken: another execution has the name.
        FunctionNotFound: the version is unknown.
        InvalidInput: the name or the input can't be accepted.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    new_input = None if input_text is None else checked_input(input_text)
    new_name = "" if name is None else checked_name(name)
    source = locked_execution(execution_id, seen_revision)
    wanted = _Wanted(OriginKind.FORK, version, new_name, operation_id, new_input)
    return _copy(source, lambda events, _: prefix.forked(events, operation_id), wanted, actor, reason)


@transaction.atomic
def rerun_execution(
    execution_id: UUID,
    *,
    actor: Actor,
    input_text: str | None = None,
    name: str | None = None,
    version: int | None = None,
    reason: str = "",
    seen_revision: str | None = None,
) -> StartedExecution:
    """Start the same function from the beginning, with the same or another input: a plain start, linked to its origin.

    The version is the given one or the latest known; tags are taken over.

    Raises:
        ExecutionNotFound: there is no such execution.
        FunctionNotFound, InvalidInput, ExecutionAlreadyStarted: as `start_execution`.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    source = locked_execution(execution_id, seen_revision)
    text = input_of(execution_id) if input_text is None else input_text
    started = start_execution(
        source.function,
        text or "null",
        actor=actor,
        name=name,
        version=version,
        tags=source.tags,
        audited=False,
    )
    if started.created:
        Execution.objects.filter(pk=started.id).update(origin_id=source.pk, origin_kind=OriginKind.RERUN)
        _record(actor, OriginKind.RERUN, source, started.id, reason, operation_id=None)
    return started


def _copy(
    source: Execution,
    choose: _Choice,
    wanted: _Wanted,
    actor: Actor,
    reason: str,
) -> StartedExecution:
    key = (source.function, source.version if wanted.version is None else wanted.version)
    function = known_functions([key])[key]
    if wanted.new_input is not None:
        check_against_schema(function, wanted.new_input)
    rows = copies.events_to_copy(source.pk)
    try:
        chosen = _choose(source, [event for event, _ in rows], choose)
    except prefix.UnknownOperation:
        raise OperationNotFound(source.pk, wanted.operation_id or "") from None
    new = _new_copy(source, chosen, wanted, function, {event.event_id: at for event, at in rows})
    if wanted.kind != OriginKind.FORK:
        _make_way(source, new)
        move_children(source, new.id, _open_invokes(chosen))
    if not _inserted(new):
        raise NameTaken(source.function, new.name)
    _record(actor, wanted.kind, source, new.id, reason, operation_id=wanted.operation_id)
    dispatch.publish_on_commit([new.id], queue=new.queue)
    return StartedExecution(new.id, new.name, created=True)


def _inserted(new: NewCopy) -> bool:
    try:
        with transaction.atomic():
            return copies.insert_copy(new)
    except IntegrityError:
        # The key of a callback was taken by another one while the statement ran: now that one is seen.
        return copies.insert_copy(new)


def _choose(source: Execution, events: Sequence[RecordedEvent], choose: _Choice) -> Prefix:
    chosen = choose(events, ())
    invokes = _open_invokes(chosen)
    if not invokes:
        return chosen
    # A child that was deleted will never tell how it ended: the invoke is repeated.
    gone = set(invokes) - lock_children(source.pk, invokes)
    return choose(events, gone) if gone else chosen


def _open_invokes(chosen: Prefix) -> list[str]:
    return [operation.id for operation in chosen.open if operation.type == "CHAINED_INVOKE"]


def _make_way(source: Execution, new: NewCopy) -> None:
    if not source.is_closed:
        message = f"Execution rewound; it goes on as {new.id}"
        error = {"ErrorType": REWOUND_ERROR_TYPE, "ErrorMessage": message}
        outside.close_execution(source, ExecutionStatus.STOPPED, error)
    copies.supersede(source, new.id, takes_parent=new.takes_parent)
    copies.move_callbacks(new.callbacks)


def _new_copy(
    source: Execution, chosen: Prefix, wanted: _Wanted, function: KnownFunction, times: dict[int, datetime]
) -> NewCopy:
    new_id: UUID = uuid7()
    timeout = function.execution_timeout_seconds
    details: dict[str, object] = {} if timeout is None else {"execution_timeout_seconds": timeout}
    details |= {
        "origin_id": str(source.pk),
        "origin_kind": wanted.kind.value,
        "origin_operation_id": wanted.operation_id,
        "copied_events": len(chosen.event_ids),
    }
    return NewCopy(
        id=new_id,
        source_id=source.pk,
        kind=wanted.kind.value,
        # Whoever has been told of the end has gone on from it.
        takes_parent=(
            wanted.kind != OriginKind.FORK and source.parent_execution_id is not None and not source.parent_notified
        ),
        parent_operation_id=source.parent_operation_id,
        version=function.version,
        name=wanted.name or str(new_id),
        # Where it was sent by whoever started it; another version may belong to other workers.
        queue=source.queue if function.version == source.version else function.queue,
        details=json.dumps(details),
        execution_timeout_seconds=timeout,
        input_text=None if wanted.new_input is None else wanted.new_input.text,
        payload_hash=None if wanted.new_input is None else wanted.new_input.payload_hash,
        event_ids=chosen.event_ids,
        timers=[timer for operation in chosen.open if (timer := _timer(operation, times)) is not None],
        callbacks=[
            CopiedCallback(callback_uuid(new_id, each.id), callback_uuid(source.pk, each.id), each.id)
            for each in chosen.open
            if each.type == "CALLBACK"
        ],
    )


def _timer(operation: RecordedOperation, times: dict[int, datetime]) -> CopiedTimer | None:
    """The timer that the operation waits for. It keeps its due time, so one that has passed fires at once."""
    newest = operation.last
    facts = newest.details or {}
    if operation.type == "WAIT":
        kind, seconds = TimerKind.WAIT, facts.get("duration_seconds")
    elif operation.backs_off:
        is_retry = newest.event_type == EventType.STEP_FAILED
        kind, seconds = TimerKind.RETRY if is_retry else TimerKind.CONDITION, facts["next_attempt_delay_seconds"]
    else:
        return None
    delay = timedelta(seconds=seconds if isinstance(seconds, int | float) else 0)
    return CopiedTimer(operation.id, kind.value, newest.event_id, times[newest.event_id] + delay)


def _record(
    actor: Actor, kind: OriginKind, source: Execution, new_id: UUID, reason: str, *, operation_id: str | None
) -> None:
    """Audit both ends, so that either page tells where the other is."""
    record_audit_of_many(
        actor,
        f"{kind.value}_execution",
        [source.pk, new_id],
        operation_id=operation_id,
        reason=reason,
        details={"from": str(source.pk), "to": str(new_id), "was": source.status},
    )
