"""Counts that stop at a cap: what is more than that does not interest anybody exactly, and would take long."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from durable_engine.storage.visible import visible_sql

# One branch a status, each with its own value in it: the planner then knows how many rows each has, and goes by the
# index; from a list of statuses it would read the whole table for every rare one.
_OF_ONE = """
SELECT %s, (SELECT count(*) FROM (SELECT FROM durable_execution WHERE status = %s LIMIT %s) AS counted)
"""


def counts_by_status(statuses: Sequence[str], cap: int) -> tuple[str, list[str | int]]:
    """Return the statement that `count_by_status` runs, and its parameters."""
    return "UNION ALL".join([_OF_ONE] * len(statuses)), [x for each in statuses for x in (each, each, cap)]


def count_by_status(statuses: Sequence[str], cap: int) -> dict[str, int]:
    """Return how many executions have each of these statuses, none counted beyond `cap`. One statement."""
    with connection.cursor() as cursor:
        sql, params = counts_by_status(statuses, cap)
        cursor.execute(visible_sql(sql), params)
        return dict(cursor.fetchall())
