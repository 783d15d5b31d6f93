"""Batches as the parameters of the checkpoint statements."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from durable_engine.core.ports import Batch, NewCallback, NewChild, NewEvent, NewTimer
from durable_engine.models.callback import callback_uuid
from durable_engine.storage.statements import ABSENT, AS_FIRST, EVENT_COLUMNS, MOST_ROWS, PARAMETER, RowShape, write

_LISTS = ("events", "timers", "callbacks", "children", "abandoned")

_COLUMNS = tuple(EVENT_COLUMNS)[1:]  # the type of an event is no parameter


def of(event: NewEvent, timer: NewTimer | None, child: NewChild | None) -> Batch:
    """Return the batch of one event, with the timer and the child that it starts."""
    return Batch([event], () if timer is None else [timer], children=() if child is None else [child])


def statement(kind: str, execution_id: UUID, events: Sequence[NewEvent], batch: Batch) -> tuple[str, dict[str, Any]]:
    """Return the statement that records a batch, with its parameters; `events` are its own and those that end it."""
    ages = _ages(events)
    params: dict[str, Any] = {
        "n": len(events),
        "first_age": ages[0] if ages else 0.0,
        "last_age": ages[-1] if ages else 0.0,
        "progress": batch.progress,
        "least_delay": None,
    }
    ages = [age - ages[-1] for age in ages]  # before the last event: the statement reads the clock once
    shapes, values = _rows(events, ages)
    params |= values
    if batch.timers:
        params |= _timers(batch, ages)
    if batch.callbacks:
        params |= _callbacks(execution_id, batch.callbacks)
    if batch.children:
        params |= _children(batch.children)
    if batch.abandoned:
        params["abandoned"] = list(batch.abandoned)
    has_labels = bool(batch.tags) or batch.status_text is not None
    if has_labels:
        params |= {"tags": json.dumps(dict(batch.tags)), "status_text": batch.status_text}
    sql = write(
        kind,
        rows=shapes,
        timers=bool(batch.timers),
        callbacks=bool(batch.callbacks),
        labels=has_labels,
        children=bool(batch.children),
        abandons=bool(batch.abandoned),
    )
    return sql, params


def joined(batches: Sequence[Batch]) -> Batch:
    """Return one batch that records all of them, in order."""
    if not batches:
        return Batch()
    if len(batches) == 1:
        return batches[0]
    whole: dict[str, list[Any]] = {name: [] for name in _LISTS}
    tags: dict[str, str] = {}
    text: str | None = None
    for batch in batches:
        for name, items in whole.items():
            items += getattr(batch, name)
        tags |= batch.tags
        text = batch.status_text if batch.status_text is not None else text
    return Batch(**whole, tags=tags, status_text=text, progress=any(batch.progress for batch in batches))


def _rows(events: Sequence[NewEvent], ages: Sequence[float]) -> tuple[tuple[RowShape, ...], dict[str, Any]]:
    """Return the events as rows of single values, or, without shapes, as one value of JSON."""
    rows = [_values(event, age) for event, age in zip(events, ages, strict=True)]
    if not 0 < len(rows) <= MOST_ROWS:
        table = [
            {"event_type": event.event_type.value, "n": n, **dict(zip(_COLUMNS, row, strict=True))}
            for n, (event, row) in enumerate(zip(events, rows, strict=True), start=1)
        ]
        return (), {"rows": json.dumps(table)}
    shapes: list[RowShape] = []
    params: dict[str, Any] = {}
    for n, (event, row) in enumerate(zip(events, rows, strict=True), start=1):
        sources = ""
        for column, value, first in zip(_COLUMNS, row, rows[0], strict=True):
            if value is None:
                sources += ABSENT
            elif n > 1 and value == first:
                sources += AS_FIRST
            else:
                sources += PARAMETER
                params[f"{column}_{n}"] = value
        shapes.append(RowShape(event.event_type.value, sources))
    return tuple(shapes), params


def _values(event: NewEvent, age: float) -> tuple[Any, ...]:
    return (
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


def _timers(batch: Batch, ages: Sequence[float]) -> dict[str, Any]:
    positions = {event.operation_id: index for index, event in enumerate(batch.events)}
    at = [positions[timer.operation_id] for timer in batch.timers]
    return {
        "timer_operation": [timer.operation_id for timer in batch.timers],
        "timer_kind": [timer.kind for timer in batch.timers],
        "timer_position": [index + 1 for index in at],
        "timer_age": [ages[index] for index in at],
        "timer_delay": [float(timer.delay_seconds) for timer in batch.timers],
        "least_delay": min(timer.delay_seconds - ages[index] for timer, index in zip(batch.timers, at, strict=True)),
    }


def _callbacks(execution_id: UUID, callbacks: Sequence[NewCallback]) -> dict[str, Any]:
    return {
        "callback_id": [callback_uuid(execution_id, each.operation_id) for each in callbacks],
        "callback_operation": [each.operation_id for each in callbacks],
        "callback_parent": [each.parent_id for each in callbacks],
        "callback_name": [each.name for each in callbacks],
        "callback_timeout": [_seconds(each.timeout_seconds) for each in callbacks],
        "callback_heartbeat": [_seconds(each.heartbeat_timeout_seconds) for each in callbacks],
        "callback_key": [each.key for each in callbacks],
    }


def _children(children: Sequence[NewChild]) -> dict[str, Any]:
    return {
        "child_id": [UUID(each.execution_id) for each in children],
        "child_operation": [each.operation_id for each in children],
        "child_function": [each.target.function for each in children],
        "child_version": [each.target.version for each in children],
        "child_queue": [each.target.queue for each in children],
        "child_timeout": [_seconds(each.target.execution_timeout_seconds) for each in children],
        "child_input": [each.input for each in children],
        "child_details": [json.dumps(_first_details(each)) for each in children],
    }


def _first_details(child: NewChild) -> dict[str, object]:
    """The details of the child's first event: enough to write the outcome of its operation without a search."""
    details: dict[str, object] = {"invoke": {"parent_id": child.parent_id, "name": child.name}}
    if child.target.execution_timeout_seconds is not None:
        details["execution_timeout_seconds"] = child.target.execution_timeout_seconds
    if child.tenant_id is not None:
        details["tenant_id"] = child.tenant_id
    if child.invoker_trace is not None:
        details["invoker_trace"] = child.invoker_trace
    return details


def _seconds(given: float | None) -> float | None:
    """Return a time limit, None for none: a list of ints and floats has no type that psycopg could send."""
    return float(given) if given else None
