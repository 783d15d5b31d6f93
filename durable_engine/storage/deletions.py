"""Which executions may be deleted: not those that somebody still needs."""

from __future__ import annotations

from uuid import UUID

from django.db import connection

MOST_EXECUTIONS = 500
# What one transaction deletes: a few tenths of a second, whatever the executions are like.
MOST_EVENTS = 20_000

# The id of a callback that moved is held by somebody outside, and leads to its successor by this row only.
_IN_USE = """EXISTS (
    SELECT FROM durable_callback c JOIN durable_callback m ON m.id = c.moved_to
    WHERE c.execution_id = {id} AND (m.status = 'STARTED' OR m.moved_to IS NOT NULL))"""

# `has_callbacks_in_use` is a probe of an index; the others filter what the index on `closed_at` brings in its order.
_EXPIRED = f"""
WITH rule AS (
  SELECT name, version, coalesce((config ->> 'retention_seconds')::float8, %(default)s::float8) AS seconds
  FROM durable_function
), due AS MATERIALIZED (
  SELECT x.id, x.last_event_id, x.closed_at
  FROM rule, LATERAL (
    SELECT e.id, e.last_event_id, e.closed_at FROM durable_execution e
    WHERE e.function = rule.name AND e.version = rule.version
      AND e.closed_at <= statement_timestamp() - rule.seconds * interval '1 second'
      AND (e.parent_execution_id IS NULL OR e.parent_notified) AND NOT {_IN_USE.format(id="e.id")}
    ORDER BY e.closed_at LIMIT {MOST_EXECUTIONS} FOR UPDATE SKIP LOCKED
  ) x
  WHERE rule.seconds IS NOT NULL LIMIT {MOST_EXECUTIONS}
), counted AS (
  SELECT id, sum(last_event_id) OVER (ORDER BY closed_at, id) - last_event_id AS events_before FROM due
)
SELECT id, (SELECT count(*) FROM due) FROM counted WHERE events_before < {MOST_EVENTS}
"""


def has_callbacks_in_use(execution_id: UUID) -> bool:
    """Whether ids of callbacks of this execution complete open callbacks of one that goes on from it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_IN_USE.format(id='%s')}", [execution_id])
        row = cursor.fetchone()
    return bool(row and row[0])


def lock_expired(default_retention_seconds: float | None) -> tuple[list[UUID], bool]:
    """Lock executions whose retention is over, as many as one transaction should delete; and whether there are more."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPIRED, {"default": default_retention_seconds})
        rows = cursor.fetchall()
    found = rows[0][1] if rows else 0
    return [execution_id for execution_id, _ in rows], len(rows) < found or found == MOST_EXECUTIONS
