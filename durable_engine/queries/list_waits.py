"""What the executions on one page of a list wait for: one line each, in two queries for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, Subquery

from durable_engine.models import Callback, CallbackStatus, Event, Timer
from durable_engine.queries.callbacks import callback_label


@dataclass(frozen=True, slots=True)
class ListWait:
    """What one execution waits for. `kind` is retry, wait, condition or callback; `until` may be None for those."""

    kind: str
    name: str
    until: datetime | None


def waits_of(execution_ids: Sequence[UUID]) -> dict[UUID, ListWait]:
    """Return what each of these waits for, the next timer before callbacks; without either it is left out."""
    waits = {
        execution_id: ListWait("callback", callback_label(name) or operation_id, deadline)
        for execution_id, name, operation_id, deadline in _callbacks(execution_ids)
    }
    for execution_id, kind, name, operation_id, due_at in _timers(execution_ids):
        waits[execution_id] = ListWait(kind, name or operation_id, due_at)
    return waits


def _callbacks(execution_ids: Sequence[UUID]) -> Sequence[tuple[UUID, str | None, str, datetime | None]]:
    rows = Callback.objects.filter(execution_id__in=execution_ids, status=CallbackStatus.STARTED)
    ordered = rows.order_by("execution_id", "created_at", "id").distinct("execution_id")
    return list(ordered.values_list("execution_id", "name", "operation_id", "deadline"))


def _timers(execution_ids: Sequence[UUID]) -> Sequence[tuple[UUID, str, str | None, str, datetime]]:
    event = Event.objects.filter(execution_id=OuterRef("execution_id"), event_id=OuterRef("event_id"))
    rows = Timer.objects.filter(execution_id__in=execution_ids).annotate(name=Subquery(event.values("name")))
    ordered = rows.order_by("execution_id", "due_at", "operation_id").distinct("execution_id")
    return list(ordered.values_list("execution_id", "kind", "name", "operation_id", "due_at"))
