"""Appends what handlers logged. Off the path of checkpoints: another connection, a statement for many records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from durable_engine.storage.connection import EngineConnection


class NewRecord(NamedTuple):
    """One record as it is written."""

    execution_id: UUID
    at: datetime
    level: str
    message: str
    operation_id: str | None
    operation_name: str | None
    attempt: int | None
    fields: str | None


# Two workers that write at once, which only one that lost its execution can, may choose the same positions: what comes
# second is left out. So is what belongs to an execution that is deleted, or goes beyond what is kept of one.
_APPEND = """
INSERT INTO durable_log_record
  (execution_id, position, at, level, message, operation_id, operation_name, attempt, fields)
SELECT u.execution_id, last.position + u.n, u.at, u.level, u.message, u.operation_id, u.operation_name, u.attempt,
       u.fields
FROM (
  SELECT *, row_number() OVER (PARTITION BY execution_id ORDER BY place) AS n
  FROM unnest(%(execution_id)s::uuid[], %(at)s::timestamptz[], %(level)s::text[], %(message)s::text[],
              %(operation_id)s::text[], %(operation_name)s::text[], %(attempt)s::int[], %(fields)s::text[])
       WITH ORDINALITY
       AS r(execution_id, at, level, message, operation_id, operation_name, attempt, fields, place)
) u
JOIN durable_execution e ON e.id = u.execution_id
CROSS JOIN LATERAL (
  SELECT coalesce(max(position), 0) AS position FROM durable_log_record l WHERE l.execution_id = u.execution_id
) last
WHERE last.position + u.n <= %(most)s
ON CONFLICT DO NOTHING
"""


def append_log_records(connection: EngineConnection, records: Sequence[NewRecord], *, most: int) -> None:
    """Append records in their order, at most so many to one execution; what is over is left out."""
    columns = {name: list(values) for name, values in zip(NewRecord._fields, zip(*records, strict=True), strict=True)}
    connection.execute(_APPEND, columns | {"most": most})
