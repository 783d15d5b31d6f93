"""The statements of an invocation that runs elsewhere, on Django's connection: whoever calls has locked the execution.

They are those of an invocation in this process. The lock takes the place of the one round trip: what was checked
against the history still holds when it is written.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from durable_engine.core.ports import Batch, EventType, NewEvent, Outcome
from durable_engine.models import Execution, Timer
from durable_engine.storage import batches, statements

_TERMINAL_EVENTS = {"SUCCEEDED": EventType.EXECUTION_SUCCEEDED, "FAILED": EventType.EXECUTION_FAILED}


class Written(NamedTuple):
    """Where the execution stands after a write. `wake_in` is the seconds until its earliest timer."""

    last_event_id: int
    signal: int
    status: str
    invocation_started_at: Any
    wake_in: float | None


def fire_due_timers(execution: Execution) -> tuple[set[str], set[str]]:
    """Turn due timers into their events; return the operations whose timers fired, and those whose are to come."""
    before = operations_with_timers(execution.pk)
    if not before:
        return set(), set()
    with connection.cursor() as cursor:
        cursor.execute(statements.FIRE_DUE_TIMERS, {"id": execution.pk, "fence": execution.fence})
    after = operations_with_timers(execution.pk)
    return before - after, after


def operations_with_timers(execution_id: UUID) -> set[str]:
    """Return the operations that have a timer to come."""
    return set(Timer.objects.filter(execution_id=execution_id).values_list("operation_id", flat=True))


def drop_timers(execution: Execution, operation_ids: Collection[str]) -> None:
    """Forget the timers of waits that were cancelled."""
    if operation_ids:
        Timer.objects.filter(execution_id=execution.pk, operation_id__in=operation_ids).delete()


def record(execution: Execution, batch: Batch) -> Written:
    """Append a batch; the invocation goes on."""
    return _write(execution, "checkpoint", batch, list(batch.events))


def close(execution: Execution, batch: Batch, outcome: Outcome) -> Written:
    """Append a batch, the end of the invocation and the end of the execution."""
    terminal = NewEvent(
        _TERMINAL_EVENTS[outcome.status], time.monotonic(), payload=outcome.payload, error=outcome.error
    )
    return _write(
        execution,
        "close",
        batch,
        [*batch.events, _invocation_completed(execution), terminal],
        status=outcome.status,
        error_type=outcome.error_type[:256],
        error_message=outcome.error_message.replace("\x00", "")[:512],
    )


def suspend(execution: Execution, seen_signal: int, next_invocation_id: UUID, invocation_seconds: float) -> Written:
    """Append the end of the invocation and let go of the execution, unless something came in after `seen_signal`.

    Then its status stays RUNNING, and the next invocation has begun.
    """
    return _write(
        execution,
        "suspend",
        Batch(),
        [_invocation_completed(execution)],
        signal=seen_signal,
        next_invocation_id=next_invocation_id,
        invocation_seconds=invocation_seconds,
    )


def put_off(execution: Execution, seconds: float) -> None:
    """Let go of an execution whose invocation never began, as it was before it was claimed, for so many seconds."""
    with connection.cursor() as cursor:
        cursor.execute(_PUT_OFF, {"id": execution.pk, "seconds": seconds})


# Nothing happened, so nothing is in the history. The fence moves on all the same: a token may have been given out.
_PUT_OFF = """
UPDATE durable_execution
SET status = 'PENDING', fence = fence + 1, batch = 0, crash_count = greatest(crash_count - 1, 0), worker_id = NULL,
    invocation_id = NULL, invocation_deadline = NULL, dispatched_at = NULL,
    ready_at = clock_timestamp() + %(seconds)s * interval '1 second'
WHERE id = %(id)s
"""


def _write(execution: Execution, kind: str, batch: Batch, events: list[NewEvent], **extra: object) -> Written:
    sql, params = batches.statement(kind, execution.pk, events, batch)
    params |= extra | {"id": execution.pk, "fence": execution.fence, "batch": execution.batch}
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
    if row is None:
        raise RuntimeError(f"{execution.pk} was locked and is not as it was read")
    return Written._make(row)


def _invocation_completed(execution: Execution) -> NewEvent:
    started_at = execution.invocation_started_at
    details = {
        "request_id": str(execution.invocation_id),
        "started_at": None if started_at is None else started_at.isoformat(),
    }
    return NewEvent(EventType.INVOCATION_COMPLETED, time.monotonic(), details=details)
