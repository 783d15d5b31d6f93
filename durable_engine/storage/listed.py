"""How the executions of a list on somebody's screen stand: all that its refresh needs to know, in one statement."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from durable_engine.models import Execution
from durable_engine.storage.counts import counts_by_status
from durable_engine.storage.visible import visible_sql

_STANDING = """
SELECT counted.newer, counted.statuses::text, x.id, {columns}
FROM (SELECT ({newer}) AS newer, ({statuses}) AS statuses) AS counted
LEFT JOIN durable_execution x ON x.id = ANY(%s)
"""


def read_standing(
    execution_ids: Sequence[UUID],
    columns: Sequence[str],
    newer: QuerySet[Execution] | None,
    statuses: Sequence[str],
    cap: int,
) -> tuple[dict[UUID, tuple[Any, ...]], int, dict[str, int]]:
    """Return these columns by execution, how many rows `newer` has, and how many executions have each status.

    `newer` has to be cut to as many as interest anybody; no status is counted beyond `cap`.
    """
    newer_sql = "0"
    params: list[Any] = []
    if newer is not None:
        found, values = newer.values("pk").query.sql_with_params()
        newer_sql, params = f"SELECT count(*) FROM ({found}) AS found", list(values)
    status_sql = "NULL::json"
    if statuses:
        counts, given = counts_by_status(statuses, cap)
        status_sql = f"SELECT json_object_agg(status, count) FROM ({counts}) AS each(status, count)"
        params += given
    statement = _STANDING.format(
        newer=newer_sql, statuses=status_sql, columns=", ".join(f"x.{column}" for column in columns)
    )
    with connection.cursor() as cursor:
        cursor.execute(visible_sql(statement), [*params, list(execution_ids)])
        rows = cursor.fetchall()
    by_id = {row[2]: tuple(row[3:]) for row in rows if row[2] is not None}
    return by_id, rows[0][0], json.loads(rows[0][1] or "{}")
