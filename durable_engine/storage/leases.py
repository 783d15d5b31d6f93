"""Claim executions, keep the right to run them, and take it from those who lost it.

A lease grants speed, the fence grants safety: nothing here, and nothing that calls it, may conclude from elapsed time
that an execution is still its own. That is learned by a conditional write.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.failpoints import hit

MAX_CRASH_BACKOFF_SECONDS = 300


class Served(NamedTuple):
    """A function version that a worker can run, and how long one invocation of it may take."""

    function: str
    version: int
    invocation_seconds: float


class Claim(NamedTuple):
    """The right to run one execution until somebody holds a higher fence."""

    execution_id: UUID
    function: str
    version: int
    name: str
    fence: int
    invocation_id: UUID
    crash_count: int
    last_event_id: int
    signal: int
    invocation_started_at: datetime
    invocation_seconds: float


class Held(NamedTuple):
    """How an execution that a worker runs stands in the database."""

    execution_id: UUID
    fence: int
    signal: int
    status: str


class WorkerLost(Exception):
    """This worker was declared lost, and its executions given to others: stop and start anew under a new id."""


# `ready` is materialised: as a subquery the planner may run it once for each row it joins, each time locking the next.
_CLAIM = """
WITH ready AS MATERIALIZED (
  SELECT p.id, s.seconds
  FROM durable_execution p
  JOIN unnest(%(functions)s::text[], %(versions)s::int[], %(seconds)s::float8[]) AS s(function, version, seconds)
    ON s.function = p.function AND s.version = p.version
  WHERE p.status = 'PENDING' AND p.ready_at <= clock_timestamp() AND {which}
  FOR UPDATE OF p SKIP LOCKED
)
UPDATE durable_execution x
SET status = 'RUNNING', fence = x.fence + 1, batch = 0, crash_count = x.crash_count + 1, worker_id = %(worker_id)s,
    invocation_id = %(invocation_id)s, invocation_started_at = clock_timestamp(),
    invocation_deadline = clock_timestamp() + ready.seconds * interval '1 second',
    ready_at = NULL, dispatched_at = NULL, wake_at = NULL
FROM ready
WHERE x.id = ready.id AND x.status = 'PENDING'
RETURNING x.id, x.function, x.version, x.name, x.fence, x.invocation_id, x.crash_count, x.last_event_id, x.signal,
          x.invocation_started_at, ready.seconds
"""
_CLAIM_ONE = _CLAIM.format(which="p.id = %(execution_id)s AND p.queue = ANY(%(queues)s)")
_CLAIM_BEST = _CLAIM.format(which="p.queue = ANY(%(queues)s) ORDER BY p.priority DESC, p.ready_at LIMIT 1")


def claim(
    connection: EngineConnection,
    *,
    worker_id: UUID,
    served: Sequence[Served],
    queues: Sequence[str],
    execution_id: UUID | None = None,
) -> Claim | None:
    """Take one PENDING execution, the named one or the best that is ready; None when there is none to take.

    Never waits: a row that somebody else is claiming is passed over. The claim is counted as a crash until progress or
    a clean suspend shows that it was none. Load the history in a later statement: this one's snapshot may be older
    than the row it claimed.
    """
    params = {
        "worker_id": worker_id,
        "invocation_id": uuid7(),
        "functions": [each.function for each in served],
        "versions": [each.version for each in served],
        "seconds": [each.invocation_seconds for each in served],
        "queues": list(queues),
        "execution_id": execution_id,
    }
    row = connection.execute(_CLAIM_BEST if execution_id is None else _CLAIM_ONE, params).fetchone()
    if row is None:
        return None
    hit("claim.committed")
    return Claim._make(row)


def unclaim(connection: EngineConnection, claim: Claim) -> bool:
    """Give an execution back that this process still holds but cannot go on with; the claim is no crash.

    For a worker that lost Postgres and got it back. False when somebody else holds or closed it.
    """
    return (
        connection.execute(
            _HAND_BACK.format(which="x.id = %(id)s AND x.fence = %(fence)s", count="greatest(x.crash_count - 1, 0)"),
            {"id": claim.execution_id, "fence": claim.fence, "error": None} | _NO_POISON,
        ).fetchone()
        is not None
    )


def register_worker(
    connection: EngineConnection,
    *,
    hostname: str,
    pid: int,
    release: str,
    functions: Sequence[str],
    queues: Sequence[str],
) -> UUID:
    """Make the row of a worker process that starts, and return its id; `functions` are `name:version`."""
    worker_id: UUID = uuid7()
    connection.execute(
        "INSERT INTO durable_worker (id, hostname, pid, release, functions, queues, draining, exit_reason)"
        " VALUES (%s, %s, %s, %s, to_jsonb(%s::text[]), to_jsonb(%s::text[]), false, '')",
        (worker_id, hostname, pid, release, list(functions), list(queues)),
    )
    return worker_id


def beat(connection: EngineConnection, worker_id: UUID, held: Sequence[UUID]) -> list[Held]:
    """Say that the worker lives and read, in the same statement, how the executions it runs stand.

    Raises:
        WorkerLost: it was declared lost meanwhile; every execution it held is, or will be, somebody else's.
    """
    rows = connection.execute(
        "WITH w AS (UPDATE durable_worker SET last_seen = clock_timestamp() WHERE id = %s AND lost_at IS NULL"
        " RETURNING id)"
        " SELECT e.id, e.fence, e.signal, e.status FROM w LEFT JOIN durable_execution e ON e.id = ANY(%s)",
        (worker_id, list(held)),
    ).fetchall()
    if not rows:
        raise WorkerLost
    return [Held._make(row) for row in rows if row[0] is not None]


def drain_worker(connection: EngineConnection, worker_id: UUID) -> None:
    """Show that the worker takes nothing new and is about to stop."""
    connection.execute("UPDATE durable_worker SET draining = true WHERE id = %s", (worker_id,))


def retire_worker(connection: EngineConnection, worker_id: UUID, reason: str) -> None:
    """Mark a worker that stopped in order. What it might still hold is recovered by the sweep, as of any lost one."""
    connection.execute(
        "UPDATE durable_worker SET lost_at = clock_timestamp(), draining = true, exit_reason = %s"
        " WHERE id = %s AND lost_at IS NULL",
        (reason[:256], worker_id),
    )


# Take executions from whoever held them: the invocation ends with an error (rule 6 of the history), the fence moves on,
# and the execution waits for its next claim, longer after each crash without progress, or is paused as poison.
_HAND_BACK = """
WITH held AS MATERIALIZED (
  SELECT id, invocation_id FROM durable_execution x WHERE {which} AND x.status = 'RUNNING' ORDER BY id FOR UPDATE
), e AS (
  UPDATE durable_execution x
  SET fence = x.fence + 1, batch = 0, last_event_id = x.last_event_id + 1,
      last_event_at = greatest(x.last_event_at, clock_timestamp()),
      status = CASE WHEN x.crash_count >= %(max_crashes)s THEN 'PAUSED' ELSE 'PENDING' END,
      paused_at = CASE WHEN x.crash_count >= %(max_crashes)s THEN clock_timestamp() END,
      pause_kind = CASE WHEN x.crash_count >= %(max_crashes)s THEN 'crashes' ELSE '' END,
      pause_reason = CASE WHEN x.crash_count >= %(max_crashes)s THEN
        'Claimed ' || x.crash_count || ' times without progress. The last invocation ended with: '
        || %(reason)s ELSE '' END,
      ready_at = clock_timestamp() + CASE WHEN x.crash_count <= 1 THEN 0 ELSE
        least(%(backoff)s * 2 ^ (x.crash_count - 2), %(max_backoff)s) END * interval '1 second',
      crash_count = {count}, dispatched_at = NULL, worker_id = NULL, invocation_id = NULL, invocation_deadline = NULL
  FROM held
  WHERE x.id = held.id AND x.status = 'RUNNING'
  RETURNING x.id, x.last_event_id, x.last_event_at, x.invocation_started_at, x.status, held.invocation_id
), ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, error, details, event_at)
  SELECT id, last_event_id, 'InvocationCompleted', %(error)s,
         jsonb_build_object('request_id', invocation_id, 'started_at', invocation_started_at), last_event_at
  FROM e
)
SELECT id, status FROM e
"""
_NO_POISON = {"max_crashes": 2**31 - 1, "backoff": 0.0, "max_backoff": 0.0, "reason": ""}


def recover_worker(
    connection: EngineConnection, worker_id: UUID, reason: str, *, max_crashes: int, backoff_seconds: float
) -> list[UUID]:
    """Declare a worker lost and give back what it ran; return the executions that wait for their next claim.

    Safe to call at any time, by anybody, repeatedly: the fence keeps a worker that still lives from writing.
    """
    retire_worker(connection, worker_id, reason)
    which = "x.worker_id = %(key)s"
    return _hand_back(connection, which, worker_id, reason, "Runtime.ExitError", max_crashes, backoff_seconds)


def recover_invocation(
    connection: EngineConnection, execution_id: UUID, *, max_crashes: int, backoff_seconds: float
) -> list[UUID]:
    """Take an execution from an invocation that is past its deadline; return it if it waits for its next claim."""
    return _hand_back(
        connection,
        "x.id = %(key)s AND x.invocation_deadline <= clock_timestamp()",
        execution_id,
        "the invocation took longer than its invocation_timeout",
        "Sandbox.Timedout",
        max_crashes,
        backoff_seconds,
    )


def _hand_back(
    connection: EngineConnection,
    which: str,
    key: UUID,
    reason: str,
    error_type: str,
    max_crashes: int,
    backoff_seconds: float,
) -> list[UUID]:
    params = {
        "key": key,
        "reason": reason,
        "error": json.dumps({"ErrorType": error_type, "ErrorMessage": reason}),
        "max_crashes": max_crashes,
        "backoff": backoff_seconds,
        "max_backoff": MAX_CRASH_BACKOFF_SECONDS,
    }
    rows = connection.execute(_HAND_BACK.format(which=which, count="x.crash_count"), params).fetchall()
    return [execution_id for execution_id, status in rows if status == "PENDING"]


def lost_workers(connection: EngineConnection, lease_seconds: float, limit: int) -> list[UUID]:
    """Workers that still hold executions though they stopped, or were last seen more than a lease ago."""
    rows = connection.execute(
        "SELECT DISTINCT e.worker_id FROM durable_execution e LEFT JOIN durable_worker w ON w.id = e.worker_id"
        " WHERE e.status = 'RUNNING' AND (w.id IS NULL OR w.lost_at IS NOT NULL"
        "   OR w.last_seen < clock_timestamp() - %s * interval '1 second') LIMIT %s",
        (lease_seconds, limit),
    )
    return [worker_id for (worker_id,) in rows]


def silent_workers(connection: EngineConnection, lease_seconds: float, limit: int) -> list[UUID]:
    """Workers not marked as stopped that were last seen more than a lease ago, whether or not they hold anything."""
    rows = connection.execute(
        "SELECT id FROM durable_worker WHERE lost_at IS NULL"
        " AND last_seen < clock_timestamp() - %s * interval '1 second' LIMIT %s",
        (lease_seconds, limit),
    )
    return [worker_id for (worker_id,) in rows]


def expired_invocations(connection: EngineConnection, limit: int) -> list[UUID]:
    """Executions whose invocation is past its deadline."""
    rows = connection.execute(
        "SELECT id FROM durable_execution WHERE status = 'RUNNING'"
        " AND invocation_deadline <= clock_timestamp() LIMIT %s",
        (limit,),
    )
    return [execution_id for (execution_id,) in rows]
