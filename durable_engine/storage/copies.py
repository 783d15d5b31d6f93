"""The statements of a copy: the events that decide what is copied, and the new execution with its part of the history.

Payloads never leave the server: what is copied is named by event ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import TextField, Value

from durable_engine.core.ports import RecordedEvent
from durable_engine.models import Callback, Event, Execution


class CopiedTimer(NamedTuple):
    """A timer of the copy. `event_id` is the source's event that asked for it."""

    operation_id: str
    kind: str
    event_id: int
    due_at: datetime


class CopiedCallback(NamedTuple):
    """An open callback of the copy; its time limits count again from now. `source_id` is its row in the source."""

    id: UUID
    source_id: UUID
    operation_id: str


@dataclass(frozen=True, slots=True)
class NewCopy:
    """A new execution with a part of another one's history. `details` is JSON text, for its ExecutionStarted.

    `takes_parent`: whoever waits for the source, with `parent_operation_id`, waits for the copy instead.
    `input_text` and `payload_hash` are None when the input stays.
    """

    id: UUID
    source_id: UUID
    kind: str
    takes_parent: bool
    parent_operation_id: str | None
    version: int
    name: str
    queue: str
    details: str
    execution_timeout_seconds: float | None
    input_text: str | None
    payload_hash: str | None
    event_ids: Sequence[int]
    timers: Sequence[CopiedTimer]
    callbacks: Sequence[CopiedCallback]


# Copied events keep their times, and the lease that wrote them is none of the copy's. The key of a callback, if another
# one has it meanwhile, is left to that one.
_COPY = """
WITH t AS (SELECT clock_timestamp() AS now),
kept AS MATERIALIZED (
  SELECT k.event_id, k.n FROM unnest(%(event_ids)s::bigint[]) WITH ORDINALITY AS k(event_id, n)
), x AS (
  INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, tags, status_text,
                                 concurrency_key, fence, batch, last_event_id, signal, crash_count, last_event_at,
                                 ready_at, dispatched_at, expires_at, pause_kind, pause_reason, origin_id, origin_kind,
                                 parent_execution_id, parent_operation_id, parent_notified, error_type, error_message,
                                 created_at)
  SELECT %(id)s, s.function, %(version)s, %(name)s, coalesce(%(payload_hash)s, s.payload_hash), 'PENDING', %(queue)s,
         s.priority, s.tags, '', CASE WHEN %(input)s::text IS NULL THEN s.concurrency_key END, 0, 0,
         (SELECT count(*) FROM kept), 0, 0, newest.event_at, t.now, t.now,
         t.now + %(timeout)s::float8 * interval '1 second', '', '', s.id, %(kind)s,
         CASE WHEN %(takes_parent)s THEN s.parent_execution_id END,
         CASE WHEN %(takes_parent)s THEN %(parent_operation)s END, false, '', '', t.now
  FROM t, durable_execution s JOIN durable_event newest
    ON newest.execution_id = s.id AND newest.event_id = (SELECT max(event_id) FROM kept)
  WHERE s.id = %(source)s
  ON CONFLICT (function, name) WHERE superseded_by IS NULL DO NOTHING
  RETURNING id
), ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, parent_id, subtype, name, attempt,
                             payload, error, details, event_at)
  SELECT x.id, kept.n, s.event_type, s.operation_id, s.parent_id, s.subtype, s.name, s.attempt,
         CASE WHEN kept.n = 1 THEN coalesce(%(input)s, s.payload) ELSE s.payload END, s.error,
         CASE WHEN kept.n > 1 THEN s.details ELSE coalesce(s.details, '{}') - %(forgotten)s::text[]
              || %(details)s::jsonb END, s.event_at
  FROM x, kept JOIN durable_event s ON s.execution_id = %(source)s AND s.event_id = kept.event_id
), tm AS (
  INSERT INTO durable_timer (execution_id, operation_id, kind, event_id, due_at)
  SELECT x.id, u.operation_id, u.kind, kept.n, u.due_at
  FROM x, unnest(%(timer_operation)s::text[], %(timer_kind)s::text[], %(timer_event)s::bigint[],
                 %(timer_due)s::timestamptz[]) AS u(operation_id, kind, event_id, due_at)
  JOIN kept ON kept.event_id = u.event_id
), cb AS (
  INSERT INTO durable_callback (id, execution_id, operation_id, parent_id, name, status, timeout_seconds,
                                heartbeat_timeout_seconds, deadline, heartbeat_deadline, created_at, completed_by,
                                key_function, key)
  SELECT u.id, x.id, c.operation_id, c.parent_id, c.name, 'STARTED', c.timeout_seconds, c.heartbeat_timeout_seconds,
         t.now + c.timeout_seconds * interval '1 second', t.now + c.heartbeat_timeout_seconds * interval '1 second',
         t.now, '', CASE WHEN NOT taken.yes THEN c.key_function END, CASE WHEN NOT taken.yes THEN c.key END
  FROM t, x, unnest(%(callback_id)s::uuid[], %(callback_source)s::uuid[]) AS u(id, source_id)
  JOIN durable_callback c ON c.id = u.source_id,
  LATERAL (SELECT EXISTS (SELECT FROM durable_callback o
    WHERE o.status = 'STARTED' AND o.key_function = c.key_function AND o.key = c.key) AS yes) taken
)
SELECT id FROM x
"""


def events_to_copy(execution_id: UUID) -> list[tuple[RecordedEvent, datetime]]:
    """Return the events of an execution without their payloads, each with its time."""
    rows = (
        Event.objects.filter(execution_id=execution_id)
        .order_by("event_id")
        .annotate(nothing=Value(None, output_field=TextField()))
        .values_list(*(name if name != "payload" else "nothing" for name in RecordedEvent._fields), "event_at")
    )
    return [(RecordedEvent._make(row[:-1]), row[-1]) for row in rows.iterator(chunk_size=10_000)]


def insert_copy(copy: NewCopy) -> bool:
    """Insert the execution with its events, timers and callbacks; False when its name is taken. In one statement."""
    params: dict[str, Any] = {
        "id": copy.id,
        "source": copy.source_id,
        "kind": copy.kind,
        "takes_parent": copy.takes_parent,
        "parent_operation": copy.parent_operation_id,
        "version": copy.version,
        "name": copy.name,
        "queue": copy.queue,
        "details": copy.details,
        "forgotten": ["execution_timeout_seconds"] if copy.takes_parent else ["execution_timeout_seconds", "invoke"],
        "timeout": copy.execution_timeout_seconds,
        "input": copy.input_text,
        "payload_hash": copy.payload_hash,
        "event_ids": list(copy.event_ids),
        "timer_operation": [timer.operation_id for timer in copy.timers],
        "timer_kind": [timer.kind for timer in copy.timers],
        "timer_event": [timer.event_id for timer in copy.timers],
        "timer_due": [timer.due_at for timer in copy.timers],
        "callback_id": [callback.id for callback in copy.callbacks],
        "callback_source": [callback.source_id for callback in copy.callbacks],
    }
    with connection.cursor() as cursor:
        cursor.execute(_COPY, params)
        return cursor.fetchone() is not None


def supersede(source: Execution, successor_id: UUID, *, takes_parent: bool) -> None:
    """Let a successor take over the name of a locked execution, and who waits for it. Call it before the insert."""
    # No operation's child any more: a parent that goes on as another one takes the successor along, not this one.
    untold = {"parent_notified": True, "parent_operation_id": None} if takes_parent else {}
    Execution.objects.filter(pk=source.pk).update(superseded_by=successor_id, **untold)


def move_callbacks(callbacks: Sequence[CopiedCallback]) -> None:
    """Let whoever holds the id of a callback of the source complete that of the copy."""
    if callbacks:
        rows = [Callback(pk=each.source_id, moved_to=each.id) for each in callbacks]
        Callback.objects.bulk_update(rows, ["moved_to"], batch_size=1000)
