"""The one statement that starts executions: rows and their first events together, names decided by the unique index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection
from uuid_utils.compat import uuid7

from durable_engine.storage.audit import AUDIT, AuditFacts


@dataclass(frozen=True, slots=True)
class NewExecution:
    """One execution to be inserted. `tags` and `details` are JSON text; durations are seconds."""

    id: UUID
    function: str
    version: int
    name: str
    payload_hash: str
    queue: str
    priority: int
    concurrency_key: str | None
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
  SELECT * FROM {rows}
), started AS (
  INSERT INTO durable_execution (id, function, version, name, payload_hash, status, queue, priority, concurrency_key,
                                 tags, status_text, fence, batch, last_event_id, signal, crash_count, last_event_at,
                                 ready_at, dispatched_at, expires_at, pause_kind, pause_reason, error_type,
                                 error_message, created_at)
  SELECT new.id, new.function, new.version, new.name, new.payload_hash, 'PENDING', new.queue, new.priority,
         new.concurrency_key, new.tags::jsonb, '', 0, 0, 1, 0, 0, t.now,
         t.now + new.delay_seconds * interval '1 second', CASE WHEN new.delay_seconds = 0 THEN t.now END,
         t.now + (new.delay_seconds + new.execution_timeout_seconds) * interval '1 second', '', '', '', '', t.now
  FROM new, t ORDER BY new.function, new.name
  ON CONFLICT (function, name) WHERE superseded_by IS NULL DO NOTHING
  RETURNING id, created_at
), first_events AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, payload, details, event_at)
  SELECT started.id, 1, 'ExecutionStarted', new.input_text, new.details::jsonb, started.created_at
  FROM started JOIN new ON new.id = started.id
){audit}
SELECT id FROM started
"""
_AUDIT = AUDIT.format(
    id="new.audit_id",
    at="started.created_at",
    execution_id="started.id",
    operation_id="NULL",
    source="started JOIN new ON new.id = started.id",
)
_COLUMNS = {
    "id": "uuid",
    "function": "text",
    "version": "int",
    "name": "text",
    "payload_hash": "text",
    "queue": "text",
    "priority": "int",
    "concurrency_key": "text",
    "tags": "text",
    "input_text": "text",
    "details": "text",
    "delay_seconds": "float8",
    "execution_timeout_seconds": "float8",
    "audit_id": "uuid",
}


@lru_cache(maxsize=4)
def _statement(*, single: bool, audited: bool) -> str:
    """Return the statement for one row or for arrays of them: sending a dozen arrays costs more than a row is worth."""
    values = ", ".join(f"%({name})s::{kind}{'' if single else '[]'}" for name, kind in _COLUMNS.items())
    rows = f"(VALUES ({values}))" if single else f"unnest({values})"
    entries = f", entries AS (\n  {_AUDIT}\n)" if audited else ""
    return _INSERT.format(rows=f"{rows} AS u({', '.join(_COLUMNS)})", audit=entries)


def insert_executions(rows: Sequence[NewExecution], audit: AuditFacts | None) -> set[UUID]:
    """Insert the executions whose names are free, each with its first event and audit entry; return their ids.

    Runs in the caller's transaction, if there is one. Waits for another that is just taking one of the names.
    """
    single = len(rows) == 1
    columns = [[*(getattr(row, name) for name in NewExecution.__dataclass_fields__), uuid7()] for row in rows]
    values = columns[0] if single else map(list, zip(*columns, strict=True))
    params: dict[str, Any] = dict(zip(_COLUMNS, values, strict=True))
    if audit is not None:
        params |= audit.parameters()
    with connection.cursor() as cursor:
        cursor.execute(_statement(single=single, audited=audit is not None), params)
        return {row_id for (row_id,) in cursor.fetchall()}
