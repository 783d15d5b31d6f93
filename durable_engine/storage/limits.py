"""Concurrency limits, enforced when an execution is claimed.

A limit has places, the rows of `durable_slot`. Taking one is part of the claim; giving it back is nothing that anybody
does: a place is free when its execution no longer runs under the fence that took it. Only taking has to be exclusive,
so whoever wants a place locks the limit's first row, and looks in a later statement, which sees what others have taken.

An execution that finds no place is *blocked*: PENDING without `ready_at`, out of the way of claims. It is let go when
a place is free: by the worker whose invocation ended, by whoever blocked it and looks once more, or by the sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from durable_engine.core.errors import storable
from durable_engine.storage.conditions import has_status
from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.failpoints import hit

# Whether a place is taken. An execution's fence only grows, so a free place is not taken again by its last holder.
_TAKEN = """EXISTS (SELECT FROM durable_execution h WHERE h.id = s.execution_id AND CASE WHEN s.until_closed
    THEN h.closed_at IS NULL ELSE h.status = 'RUNNING' AND h.fence = s.fence END)"""

_BLOCKED = "x.status = 'PENDING' AND x.ready_at IS NULL AND x.concurrency_key IS NOT NULL"


class Limit(NamedTuple):
    """How many places there are under a key, and for how long each is taken."""

    key: str
    places: int
    until_closed: bool


# `{claim}` sets the columns of a claim. Who has a place already, being live, keeps it.
_CLAIM = """
WITH ready AS MATERIALIZED (
  SELECT p.id, %(seconds)s::float8 AS seconds FROM durable_execution p
  WHERE p.id = %(execution_id)s AND {is_pending} AND p.ready_at <= statement_timestamp() FOR UPDATE SKIP LOCKED
), taken AS MATERIALIZED (
  SELECT s.number, s.execution_id FROM durable_slot s WHERE s.limit_key = %(key)s AND {taken}
), place AS (
  SELECT number FROM (
    SELECT number, 0 AS choice FROM taken WHERE execution_id = %(execution_id)s
    UNION ALL
    SELECT min(n), 1 FROM generate_series(1, %(places)s) AS g(n)
    WHERE n NOT IN (SELECT number FROM taken) AND (SELECT count(*) FROM taken) < %(places)s
  ) AS choices WHERE number IS NOT NULL ORDER BY choice LIMIT 1
), e AS (
  UPDATE durable_execution x SET {claim} FROM ready, place WHERE x.id = ready.id
  RETURNING {returning}
), taking AS (
  INSERT INTO durable_slot (limit_key, number, execution_id, fence, until_closed, taken_at)
  SELECT %(key)s, place.number, e.id, e.fence, %(until_closed)s, clock_timestamp() FROM e, place
  ON CONFLICT (limit_key, number) DO UPDATE SET execution_id = excluded.execution_id, fence = excluded.fence,
    until_closed = excluded.until_closed, taken_at = excluded.taken_at
), blocked AS (
  UPDATE durable_execution x SET ready_at = NULL FROM ready WHERE x.id = ready.id AND NOT EXISTS (SELECT FROM place)
)
SELECT e.*, first.payload, first.details
FROM e LEFT JOIN durable_event first ON first.execution_id = e.id AND first.event_id = 1 AND e.last_event_id = 1
"""

_LOCK = "SELECT FROM durable_slot WHERE limit_key = %s AND number = 1 FOR UPDATE"
_MAKE_FIRST = "INSERT INTO durable_slot (limit_key, number) VALUES (%s, 1) ON CONFLICT DO NOTHING"

_LET_GO = f"""
WITH due AS MATERIALIZED (
  SELECT x.id FROM durable_execution x WHERE {_BLOCKED} AND x.concurrency_key = %(key)s
  ORDER BY x.priority DESC, x.created_at
  LIMIT greatest(0, %(count)s - (SELECT count(*) FROM durable_slot s WHERE s.limit_key = %(key)s AND {_TAKEN}))
  FOR UPDATE SKIP LOCKED
)
UPDATE durable_execution x SET ready_at = clock_timestamp(), dispatched_at = clock_timestamp() FROM due
WHERE x.id = due.id RETURNING x.id
"""

# The limit as the newest version of the function has it; a function without one blocks nobody.
_BLOCKED_KEYS = f"""
SELECT DISTINCT ON (x.concurrency_key) x.concurrency_key, coalesce((f.config ->> 'max_concurrency')::int, %(many)s)
FROM durable_execution x LEFT JOIN durable_function f ON f.name = x.function
WHERE {_BLOCKED}
ORDER BY x.concurrency_key, f.version DESC LIMIT %(limit)s
"""

_DELETE_OLD = f"""
DELETE FROM durable_slot WHERE (limit_key, number) IN (
  SELECT s.limit_key, s.number FROM durable_slot s
  WHERE s.taken_at < statement_timestamp() - %s * interval '1 second' AND NOT {_TAKEN} LIMIT %s
) AND taken_at < statement_timestamp() - %s * interval '1 second'
"""


def claim_within(
    connection: EngineConnection, limit: Limit, claim: str, returning: str, params: dict[str, Any]
) -> tuple[Any, ...] | None:
    """Claim the execution of `params` and take a place of the limit, or block it when there is none.

    Returns the claimed row, with its first event when that is the only one; None when it was blocked, or is no longer
    ready. `claim` and `returning` are the columns of a claim, in terms of `x` and `ready`.
    """
    is_pending = has_status("p.status", "PENDING")
    sql = _CLAIM.format(taken=_TAKEN, claim=claim, returning=returning, is_pending=is_pending)
    with connection.transaction():
        # Again when the first row was deleted as an old one while we waited for it.
        while connection.execute(_LOCK, (limit.key,)).fetchone() is None:
            connection.execute(_MAKE_FIRST, (limit.key,))
        row = connection.execute(sql, params | limit._asdict()).fetchone()
        hit("limit.looked")
    if row is None:
        # A place may have become free after we looked, and before there was anybody blocked to be let go.
        let_go(connection, limit.key, limit.places)
    return row


def let_go(connection: EngineConnection, key: str, count: int) -> list[UUID]:
    """Let as many executions that are blocked under a key be claimed as there are places; return them for their hints.

    The best of them first: by priority, then the oldest.
    """
    return [execution_id for (execution_id,) in connection.execute(_LET_GO, {"key": key, "count": count})]


def blocked_keys(connection: EngineConnection, limit: int) -> list[tuple[str, int]]:
    """Return keys under which executions are blocked, each with the number of its places."""
    return connection.execute(_BLOCKED_KEYS, {"limit": limit, "many": 10_000}).fetchall()


def set_key(connection: EngineConnection, execution_id: UUID, key: str) -> None:
    """Note what an execution is counted under; the first that finds out decides."""
    connection.execute(
        "UPDATE durable_execution SET concurrency_key = %s WHERE id = %s AND concurrency_key IS NULL",
        (key, execution_id),
    )


def pause_unready(connection: EngineConnection, execution_id: UUID, reason: str) -> None:
    """Pause an execution whose key can't be found out, until somebody resumes it with mended code."""
    connection.execute(
        "UPDATE durable_execution SET status = 'PAUSED', paused_at = clock_timestamp(), pause_kind = 'concurrency',"
        " pause_reason = %s, dispatched_at = NULL, signal = signal + 1 WHERE id = %s AND status = 'PENDING'",
        (storable(reason), execution_id),
    )


def delete_old_slots(connection: EngineConnection, older_than_seconds: float, limit: int) -> None:
    """Delete places that nobody has taken for long: a limit by customer has many keys, each used for a while."""
    connection.execute(_DELETE_OLD, (older_than_seconds, limit, older_than_seconds))


def candidate(connection: EngineConnection, execution_id: UUID) -> Sequence[Any] | None:
    """Return function, version, key and, while it has no key, the input of an execution that is to be claimed."""
    return connection.execute(
        "SELECT x.function, x.version, x.concurrency_key, s.payload FROM durable_execution x"
        " LEFT JOIN durable_event s ON s.execution_id = x.id AND s.event_id = 1 AND x.concurrency_key IS NULL"
        " WHERE x.id = %s",
        (execution_id,),
    ).fetchone()
