"""The one statement that starts executions: rows and their first events together, names decided by the unique index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection


@dataclass(frozen=True, slots=True)
class NewExecution:
    """One execution to be inserted. `tags` and `details` are JSON text; durations are seconds."""

    id: UUID
    function: str
    version: int
    name: str
    payload_hash: str
    queue: str
    tags: str
    input_text: str
    details: str | None
    delay_seconds: float
    execution_timeout_seconds: float | None


# `dispatched_at` is set because the caller sends the hint on commit; the scheduler sends the one of a delayed start.
# Rows in the order of their names, so that two bulk starts with names in common wait for each other instead of
# deadlocking. A timeout counts from when the execution may begin: a delayed start isn't half expired when it runs.
_INSERT = """
WITH t AS (SELECT clock_timestamp() AS now),
new AS (
  SELECT * FROM unnest(%(id)s::uuid[], %(function)s::text[], %(version)s::int[], %(name)s::text[],
                       %(payload_hash)s::text[], %(queue)s::text[], %(tags)s::text[], %(input_text)s::text[],
                       %(details)s::text[], %(delay_seconds)s::float8[], %(execution_timeout_seconds)s::float8[])
    AS u(id, function, version, name, payload_hash, queue, tags, input_text, details, delay, timeout)
), started AS (
  INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, tags, status_text,
                                 fence, batch, last_event_id, signal, crash_count, last_event_at, ready_at,
                                 dispatched_at, expires_at, pause_kind, pause_reason, error_type, error_message,
                                 created_at)
  SELECT new.id, new.function, new.version, new.name, new.payload_hash, 'PENDING', new.queue, 0, new.tags::jsonb, '',
         0, 0, 1, 0, 0, t.now, t.now + new.delay * interval '1 second',
         CASE WHEN new.delay = 0 THEN t.now END,
         t.now + (new.delay + new.timeout) * interval '1 second', '', '', '', '', t.now
  FROM new, t ORDER BY new.function, new.name
  ON CONFLICT (function, name) WHERE superseded_by IS NULL DO NOTHING
  RETURNING id, created_at
), first_events AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, payload, details, event_at)
  SELECT started.id, 1, 'ExecutionStarted', new.input_text, new.details::jsonb, started.created_at
  FROM started JOIN new ON new.id = started.id
)
SELECT id FROM started
"""


def insert_executions(rows: Sequence[NewExecution]) -> set[UUID]:
    """Insert the executions whose names are free, each with its ExecutionStarted; return the ids inserted.

    Runs in the caller's transaction. Waits for another transaction that is just taking one of the names.
    """
    params = {field: [getattr(row, field) for row in rows] for field in NewExecution.__dataclass_fields__}
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, params)
        return {row_id for (row_id,) in cursor.fetchall()}
