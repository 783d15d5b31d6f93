"""The statements that find operations of many executions by their name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection


class NamedOperation(NamedTuple):
    """An operation with its newest event. `at_top`: the handler itself began it, not a context inside it."""

    execution_id: UUID
    id: str
    name: str
    subtype: str | None
    at_top: bool
    event_type: str
    backs_off: bool


_OPERATIONS = """
SELECT x.id, o.operation_id, o.name, o.subtype, o.at_top, newest.event_type,
  coalesce(jsonb_exists(newest.details, 'next_attempt_delay_seconds'), false)
FROM unnest(%(ids)s::uuid[]) AS x(id) CROSS JOIN LATERAL (
  SELECT operation_id, max(name) AS name, max(subtype) AS subtype, bool_and(parent_id IS NULL) AS at_top,
    min(event_id) AS began, max(event_id) AS newest
  FROM (SELECT * FROM durable_event WHERE execution_id = x.id AND operation_id IS NOT NULL {part}) AS events
  GROUP BY operation_id HAVING {wanted}
) o CROSS JOIN LATERAL (
  -- By its key: of thousands of executions a join would rather read the table as a whole.
  SELECT event_type, details FROM durable_event WHERE execution_id = x.id AND event_id = o.newest OFFSET 0
) newest
ORDER BY x.id, o.began
"""


def operations_with_name(execution_ids: Sequence[UUID], names: Sequence[str]) -> list[NamedOperation]:
    """Return the operations that have one of the names, those of one execution in the order they began."""
    statement = _OPERATIONS.format(part="", wanted="bool_or(name = ANY(%(names)s::text[]))")
    return _read(statement, {"ids": list(execution_ids), "names": list(names)})


def latest_operations(execution_ids: Sequence[UUID], events: int) -> list[NamedOperation]:
    """Return the operations with a name of which there is something in the newest `events` of their execution."""
    part = "ORDER BY event_id DESC LIMIT %(events)s"
    statement = _OPERATIONS.format(part=part, wanted="bool_or(name IS NOT NULL)")
    return _read(statement, {"ids": list(execution_ids), "events": events})


def _read(statement: str, params: dict[str, Any]) -> list[NamedOperation]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return [NamedOperation._make(row) for row in cursor.fetchall()]
