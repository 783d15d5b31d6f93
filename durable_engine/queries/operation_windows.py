"""The operations of one window of an execution's outline, folded from their own events only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final
from uuid import UUID

from durable_engine.core.ports import EventType
from durable_engine.models import Event, Timer
from durable_engine.queries.operations import EventRow, OperationView, event_rows, fold_operations
from durable_engine.queries.outline import OutlineLine
from durable_engine.storage.outline import events_of_operations

# Of an operation with very many attempts (a condition that is polled for weeks) the first and last events are read.
HEAD_EVENTS: Final = 6
TAIL_EVENTS: Final = 40
# How far beyond an attempt without an outcome the end of its invocation is looked for.
MOST_INVOCATIONS: Final = 1000
STEP_OUTCOMES: Final = frozenset({EventType.STEP_SUCCEEDED, EventType.STEP_FAILED})


def operations_in(execution_id: UUID, lines: Sequence[OutlineLine], *, closed: bool) -> dict[str, OperationView]:
    """Return the operations of these lines by id, at a cost that depends on how many they are. At most four queries.

    Each is as `operations_of` has it, but that of very many attempts the middle is left out.
    """
    if not lines:
        return {}
    # One or two events are known by their ids; what was tried more often has to be searched for.
    known = {event for line in lines for event in (line.first_event, line.last_event) if line.events <= 2}
    rows = list(event_rows(Event.objects.filter(execution_id=execution_id, event_id__in=known)))
    longer = [line for line in lines if line.events > 2]
    if longer:
        first, last = min(line.first_event for line in longer), max(line.last_event for line in longer)
        rows += _ends_of(execution_id, [line.id for line in longer], first, last)
    operations = _folded(execution_id, rows, closed)
    for line in lines:
        operations[line.id].depth = line.depth
    return operations


def operation_of(execution_id: UUID, operation_id: str, *, closed: bool = False) -> OperationView | None:
    """Return one operation as `operations_in` has it, its depth aside; None if there is none."""
    if "\x00" in operation_id:
        return None
    rows = _ends_of(execution_id, [operation_id], 1, 2**62)
    return _folded(execution_id, rows, closed).get(operation_id)


def _ends_of(execution_id: UUID, operation_ids: Sequence[str], first: int, last: int) -> list[EventRow]:
    events = events_of_operations(execution_id, operation_ids, first, last, head=HEAD_EVENTS, tail=TAIL_EVENTS)
    by_operation: dict[str | None, list[EventRow]] = defaultdict(list)
    for row in event_rows(events):
        by_operation[row.operation_id].append(row)
    return [row for rows in by_operation.values() for row in _without_loose_end(rows)]


def _without_loose_end(rows: list[EventRow]) -> list[EventRow]:
    """Where the middle is left out, what follows has to begin with a whole attempt."""
    if len(rows) < HEAD_EVENTS + TAIL_EVENTS:
        return rows
    before, after = rows[HEAD_EVENTS - 1 : HEAD_EVENTS + 1]
    is_cut = after.event_type != EventType.STEP_STARTED and (after.attempt or 0) > (before.attempt or 0) + 1
    return [row for row in rows if row is not after] if is_cut else rows


def _folded(execution_id: UUID, rows: Sequence[EventRow], closed: bool) -> dict[str, OperationView]:
    events = sorted([*rows, *_ends_of_invocations(execution_id, rows)])
    ids = {row.operation_id for row in rows}
    timers = Timer.objects.filter(execution_id=execution_id, operation_id__in=ids)
    return fold_operations(events, dict(timers.values_list("operation_id", "due_at")), closed=closed)


def _ends_of_invocations(execution_id: UUID, rows: Iterable[EventRow]) -> Iterable[EventRow]:
    """What tells when an attempt without a start began, and when one without an outcome was interrupted."""
    begun: dict[str | None, EventRow] = {}
    wanted = []
    for row in sorted(rows):
        before = begun.pop(row.operation_id, None)
        if row.event_type == EventType.STEP_STARTED:
            begun[row.operation_id] = row
        if before is not None and (row.event_type == EventType.STEP_STARTED or row.attempt != before.attempt):
            wanted.append(before.event_id)
        elif before is None and row.event_type in STEP_OUTCOMES:
            wanted.append(row.event_id)
    wanted += [row.event_id for row in begun.values()]
    if not wanted:
        return ()
    ends = Event.objects.filter(
        execution_id=execution_id, event_id__gt=min(wanted), event_type=EventType.INVOCATION_COMPLETED
    )
    return event_rows(ends, MOST_INVOCATIONS)
