"""A fair share of the executions of a span, for charts that show single ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import connection

from durable_engine.storage.figures import Span
from durable_engine.storage.visible import visible_sql

SampleRow = tuple[UUID, str, int, str, str, datetime, datetime]

# Some of each part of the span, the first ones: reading some of all would mean to read all.
_ENDED: Final = """
SELECT e.id, e.function, e.version, e.name, e.status, e.created_at, e.closed_at
FROM generate_series(0, %(parts)s - 1) AS part, LATERAL (
  SELECT id, function, version, name, status, created_at, closed_at FROM durable_execution
  WHERE closed_at >= %(since)s + part * %(width)s * interval '1 second'
    AND closed_at < %(since)s + (part + 1) * %(width)s * interval '1 second'
    AND {function} AND {version}
  ORDER BY closed_at LIMIT %(each)s) e
ORDER BY e.closed_at
"""


def ended_in(span: Span, *, parts: int, each: int) -> list[SampleRow]:
    """Return up to `each` executions that ended in each of so many equal parts of a span, the oldest first."""
    width = (span.until - span.since).total_seconds() / parts
    params: dict[str, Any] = {
        "since": span.since,
        "width": width,
        "parts": parts,
        "each": each,
        "function": span.function,
        "version": span.version,
    }
    sql = _ENDED.format(
        function="true" if span.function is None else "function = %(function)s",
        version="true" if span.version is None else "version = %(version)s",
    )
    with connection.cursor() as cursor:
        cursor.execute(visible_sql(sql), params)
        return list(cursor.fetchall())
