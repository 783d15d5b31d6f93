"""Batches as the parameters of the checkpoint statements."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from durable_engine.core.ports import Batch, NewCallback, NewEvent
from durable_engine.models.callback import callback_uuid
from durable_engine.storage.statements import EVENT_COLUMNS, MOST_ROWS

# The names of the parameters of each row.
_NAMES = [[f"{column}_{row}" for column in EVENT_COLUMNS] for row in range(1, MOST_ROWS + 1)]


def parameters(execution_id: UUID, events: Sequence[NewEvent], batch: Batch, before: int) -> dict[str, Any]:
    """Return the parameters of what a statement records: `events` holds the batch's own after the first `before`."""
    ages = _ages(events)
    params: dict[str, Any] = {
        "n": len(events),
        "first_age": ages[0] if ages else 0.0,
        "last_age": ages[-1] if ages else 0.0,
        "progress": batch.progress,
    }
    values = [_values(event, age) for event, age in zip(events, ages, strict=True)]
    if rows_of(events):
        for names, row in zip(_NAMES, values, strict=False):
            params.update(zip(names, row, strict=True))
    else:
        columns = zip(*values, strict=True) if values else ([] for _ in EVENT_COLUMNS)
        params.update(zip(EVENT_COLUMNS, map(list, columns), strict=True))
    if batch.timers:
        params |= _timers(batch, before)
    if batch.callbacks:
        params |= _callbacks(execution_id, batch.callbacks)
    if batch.tags or batch.status_text is not None:
        params |= {"tags": json.dumps(dict(batch.tags)), "status_text": batch.status_text}
    return params


def rows_of(events: Sequence[NewEvent]) -> int:
    """Return how many rows the statement has for these events; 0 when they are sent as arrays."""
    return len(events) if len(events) <= MOST_ROWS else 0


def joined(batches: Sequence[Batch]) -> Batch:
    """Return one batch that records all of them, in order."""
    if len(batches) == 1:
        return batches[0]
    tags: dict[str, str] = {}
    text: str | None = None
    for batch in batches:
        tags |= batch.tags
        text = batch.status_text if batch.status_text is not None else text
    return replace(
        batches[0],
        events=[event for batch in batches for event in batch.events],
        timers=[timer for batch in batches for timer in batch.timers],
        callbacks=[callback for batch in batches for callback in batch.callbacks],
        tags=tags,
        status_text=text,
        progress=any(batch.progress for batch in batches),
    )


def _values(event: NewEvent, age: float) -> tuple[Any, ...]:
    return (
        event.event_type.value,
        event.operation_id,
        event.parent_id,
        event.subtype,
        event.name,
        event.attempt,
        event.payload,
        event.error,
        None if event.details is None else json.dumps(event.details),
        age,
    )


def _ages(events: Sequence[NewEvent]) -> list[float]:
    """How long ago each event happened; never growing, whatever thread brought it: times follow the order."""
    now = time.monotonic()
    ages: list[float] = []
    for event in reversed(events):
        ages.append(max(now - event.occurred, ages[-1] if ages else 0.0))
    ages.reverse()
    return ages


def _timers(batch: Batch, before: int) -> dict[str, Any]:
    positions = {event.operation_id: before + index for index, event in enumerate(batch.events, start=1)}
    return {
        "timer_operation": [timer.operation_id for timer in batch.timers],
        "timer_kind": [timer.kind for timer in batch.timers],
        "timer_position": [positions[timer.operation_id] for timer in batch.timers],
        "timer_delay": [timer.delay_seconds for timer in batch.timers],
    }


def _callbacks(execution_id: UUID, callbacks: Sequence[NewCallback]) -> dict[str, Any]:
    return {
        "callback_id": [callback_uuid(execution_id, each.operation_id) for each in callbacks],
        "callback_operation": [each.operation_id for each in callbacks],
        "callback_parent": [each.parent_id for each in callbacks],
        "callback_name": [each.name for each in callbacks],
        "callback_timeout": [each.timeout_seconds or None for each in callbacks],
        "callback_heartbeat": [each.heartbeat_timeout_seconds or None for each in callbacks],
    }
