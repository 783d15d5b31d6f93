"""Histories as the replay machine reads them, to be replayed elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from durable_engine.core.ports import RecordedEvent
from durable_engine.models import Event, Execution
from durable_engine.models.execution import LIVE_STATUSES

PAGE = 500


def recorded_events(execution_id: UUID) -> list[RecordedEvent]:
    """Return every event of an execution, in order."""
    rows = Event.objects.filter(execution_id=execution_id).order_by("event_id").values_list(*RecordedEvent._fields)
    return [RecordedEvent._make(row) for row in rows.iterator()]


def live_executions(function: str | None = None) -> Iterator[Execution]:
    """Yield the executions that have not ended, oldest first, of one function or of all."""
    live = Execution.objects.filter(status__in=LIVE_STATUSES).order_by("id")
    if function is not None:
        live = live.filter(function=function)
    after: UUID | None = None
    # Page by page: a cursor would keep a transaction open for as long as the caller takes.
    while page := list((live if after is None else live.filter(id__gt=after))[:PAGE]):
        yield from page
        after = page[-1].pk
