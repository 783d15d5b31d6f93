"""Statements in SQL, narrowed to what the person of the request may see."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Q

from durable_engine.models import Execution
from durable_engine.models.visible import visible_condition
from durable_engine.storage.rollups import BIN_FACTOR

# One line an execution for its start and one for its end, in the form of the table that has their sums.
_LINES: Final = f"""
SELECT %(width)s::int AS width_seconds, created_at AS starts_at, function, version, 1 AS started, 0 AS succeeded,
  0 AS failed, 0 AS timed_out, 0 AS stopped, 0.0 AS seconds_sum, '{{{{}}}}'::jsonb AS durations FROM {{seen}}
UNION ALL
SELECT %(width)s::int, closed_at, function, version, 0, (status = 'SUCCEEDED')::int, (status = 'FAILED')::int,
  (status = 'TIMED_OUT')::int, (status = 'STOPPED')::int, seconds,
  jsonb_build_object(floor(ln(greatest(seconds * 1000, 1)) / ln({BIN_FACTOR}))::int::text, 1)
FROM (SELECT *, extract(epoch FROM closed_at - created_at)::float AS seconds FROM {{seen}}
      WHERE closed_at IS NOT NULL) ended
"""


def visible_sql(sql: str) -> str:
    """Return a statement that reads `durable_execution`, narrowed; as it is when everything may be seen.

    A common table expression takes the table's name. The statement has to be executed with parameters, and must not
    begin with expressions of its own.
    """
    condition = visible_condition()
    return sql if condition is None else f"WITH durable_execution AS NOT MATERIALIZED ({_seen(condition)}) {sql}"


def visible_rollups_sql(sql: str) -> str:
    """Return a statement that reads `durable_rollup`, narrowed: then it adds up the executions themselves.

    It costs as much as there are executions in the span. Its parameters need `width`.
    """
    condition = visible_condition()
    if condition is None:
        return sql
    lines = _LINES.format(seen=f"({_seen(condition)}) AS seen")
    return f"WITH durable_rollup AS NOT MATERIALIZED ({lines}) {sql}"


def _seen(condition: Q) -> str:
    rows = Execution.objects.filter(condition).order_by()
    try:
        text, params = rows.query.sql_with_params()
    except EmptyResultSet:
        text, params = "SELECT * FROM durable_execution WHERE false", ()
    # With its values in it, as the statement around it has named parameters.
    composed: str = connection.ops.compose_sql(text, params)  # type: ignore[attr-defined]
    return composed.replace("%", "%%")
