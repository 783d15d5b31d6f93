"""The operation at which an execution failed: the place people look for first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from durable_engine.core.ports import EventType
from durable_engine.models import Event

# Contexts fail because something in them did; so many levels of them are looked through.
MOST_LEVELS: Final = 20
FAILURES: Final = (
    EventType.STEP_FAILED,
    EventType.CALLBACK_FAILED,
    EventType.CALLBACK_TIMED_OUT,
    EventType.CHAINED_INVOKE_FAILED,
    EventType.CHAINED_INVOKE_TIMED_OUT,
    EventType.CHAINED_INVOKE_STOPPED,
    EventType.CONTEXT_FAILED,
)


@dataclass(frozen=True, slots=True)
class Culprit:
    """The operation that failed last, its attempts (0 for what has none), and the class of what it raised."""

    operation_id: str
    name: str | None
    attempts: int
    error_type: str

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.operation_id


def culprit_of(execution_id: UUID) -> Culprit | None:
    """Return the operation that failed last, a context only where nothing in it failed; None when none did.

    One query that reads the history from its end.
    """
    failed = Event.objects.filter(execution_id=execution_id, event_type__in=FAILURES).exclude(
        details__has_key="next_attempt_delay_seconds"
    )
    columns = ("operation_id", "name", "attempt", "event_type", "error")
    rows = list(failed.order_by("-event_id").values_list(*columns)[:MOST_LEVELS])
    if not rows:
        return None
    inner = (row for row in rows if row[3] != EventType.CONTEXT_FAILED)
    operation_id, name, attempt, _, error = next(inner, rows[0])
    error_type = str(json.loads(error).get("ErrorType") or "") if error else ""
    return Culprit(operation_id or "", name, attempt or 0, error_type)
