"""Claim executions, keep the right to run them, and take it from those who lost it.

A lease grants speed, the fence grants safety: nothing here, and nothing that calls it, may conclude from elapsed time
that an execution is still its own. That is learned by a conditional write.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from uuid_utils.compat import uuid7

from durable_engine.storage import limits
from durable_engine.storage.conditions import has_status
from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.failpoints import hit
from durable_engine.storage.limits import Limit

MAX_CRASH_BACKOFF_SECONDS = 300
# So many executions in a row are put aside before a worker lets others try.
MOST_BLOCKED = 100

# What an execution is counted under: function, version and input to the key of its limit.
KeyOf = Callable[[str, int, str | None], str]


class Served(NamedTuple):
    """A function version that a worker can run, and how long one invocation of it may take.

    `places` is how many may run at once under one key, None for any number; `until_closed`: not only while they run.
    """

    function: str
    version: int
    invocation_seconds: float
    places: int | None = None
    until_closed: bool = False


class Claim(NamedTuple):
    """The right to run one execution until somebody holds a higher fence.

    `input_text` and `input_details` are those of its first event when that is the only one, else None. `limit` is the
    one of which it has taken a place.
    """

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
    input_text: str | None = None
    input_details: dict[str, object] | None = None
    limit: Limit | None = None


class Held(NamedTuple):
    """How an execution that a worker runs stands in the database."""

    execution_id: UUID
    fence: int
    signal: int
    status: str


class WorkerLost(Exception):
    """This worker was declared lost, and its executions given to others: stop and start anew under a new id."""


_CLAIMED = """status = 'RUNNING', fence = x.fence + 1, batch = 0, crash_count = x.crash_count + 1,
      worker_id = %(worker_id)s, invocation_id = %(invocation_id)s, invocation_started_at = clock_timestamp(),
      invocation_deadline = clock_timestamp() + ready.seconds * interval '1 second',
      ready_at = NULL, dispatched_at = NULL, wake_at = NULL"""
_RETURNED = """x.id, x.function, x.version, x.name, x.fence, x.invocation_id, x.crash_count, x.last_event_id, x.signal,
            x.invocation_started_at, ready.seconds"""

# `ready` is materialised: as a subquery the planner may run it once for each row it joins, each time locking the next.
# An execution that has only its first event is returned with it: nothing else can be known of it, so it needs no load.
# One with a concurrency limit is only named: a place for it is looked for in a transaction of its own.
_CLAIM = f"""
WITH ready AS MATERIALIZED ({{ready}}),
e AS (
  UPDATE durable_execution x SET {_CLAIMED}
  FROM ready
  WHERE x.id = ready.id AND NOT ready.limited
  RETURNING {_RETURNED}
)
SELECT ready.id, e.*, s.payload, s.details
FROM ready LEFT JOIN e ON e.id = ready.id
LEFT JOIN durable_event s ON s.execution_id = e.id AND s.event_id = 1 AND e.last_event_id = 1
"""
# Without the functions that people paused.
_SERVED = """(
    SELECT u.* FROM unnest(%(functions)s::text[], %(versions)s::int[], %(seconds)s::float8[], %(limited)s::bool[])
      AS u(function, version, seconds, limited)
    WHERE NOT EXISTS (SELECT FROM durable_function_pause f WHERE f.function = u.function)) AS s"""
_CLAIM_ONE = _CLAIM.format(
    ready=f"""
  SELECT p.id, s.seconds, s.limited
  FROM durable_execution p JOIN {_SERVED} ON s.function = p.function AND s.version = p.version
  WHERE p.id = %(execution_id)s AND {has_status("p.status", "PENDING")} AND p.ready_at <= statement_timestamp()
    AND p.queue = ANY(%(queues)s)
  FOR UPDATE OF p SKIP LOCKED"""
)
# The best of each queue by its index, which is in this order, then the best of those: asked for all queues at once, all
# that is ready would be sorted for each claim. `statement_timestamp()` is a bound the index can use; the volatile
# `clock_timestamp()` is not. What is served is a list: for a join the planner may leave this index and sort instead.
_CLAIM_BEST = _CLAIM.format(
    ready=f"""
  SELECT best.id, s.seconds, s.limited
  FROM unnest(%(queues)s::text[]) AS q(queue), LATERAL (
    SELECT p.id, p.function, p.version, p.priority, p.ready_at
    FROM durable_execution p
    WHERE p.queue = q.queue AND p.status = 'PENDING' AND p.ready_at <= statement_timestamp()
      AND p.function || ':' || p.version = ANY(ARRAY(SELECT s.function || ':' || s.version FROM {_SERVED}))
    ORDER BY p.priority DESC, p.ready_at LIMIT 1
    FOR UPDATE SKIP LOCKED
  ) best JOIN {_SERVED} ON s.function = best.function AND s.version = best.version
  ORDER BY best.priority DESC, best.ready_at LIMIT 1"""
)


def claim(
    connection: EngineConnection,
    *,
    worker_id: UUID,
    served: Sequence[Served],
    queues: Sequence[str],
    execution_id: UUID | None = None,
    key_of: KeyOf | None = None,
) -> Claim | None:
    """Take one PENDING execution, the named one or the best that is ready; None when there is none to take.

    Never waits: a row that somebody else is claiming is passed over, and one whose concurrency limit has no place is
    put aside. The claim is counted as a crash until progress or a clean suspend shows that it was none. Load the
    history in a later statement: this one's snapshot may be older than the row it claimed.
    """
    params = {
        "worker_id": worker_id,
        "invocation_id": uuid7(),
        "functions": [each.function for each in served],
        "versions": [each.version for each in served],
        # Whole numbers among them would make it a list of mixed types.
        "seconds": [float(each.invocation_seconds) for each in served],
        "limited": [each.places is not None for each in served],
        "queues": list(queues),
        "execution_id": execution_id,
    }
    for _ in range(MOST_BLOCKED if execution_id is None else 1):
        row = connection.execute(_CLAIM_BEST if execution_id is None else _CLAIM_ONE, params).fetchone()
        if row is None:
            return None
        candidate_id, *claimed = row
        if claimed[0] is None:
            taken = _claim_within(connection, candidate_id, served, key_of, params)
        else:
            taken = Claim(*claimed)
        if taken is not None:
            hit("claim.committed")
            return taken
    return None


def _claim_within(
    connection: EngineConnection,
    candidate_id: UUID,
    served: Sequence[Served],
    key_of: KeyOf | None,
    params: dict[str, Any],
) -> Claim | None:
    """Claim an execution whose function has a concurrency limit; None when it was put aside, or is gone."""
    found = limits.candidate(connection, candidate_id)
    if found is None:
        return None
    function, version, key, text = found
    if key is None:
        try:
            key = function if key_of is None else key_of(function, version, text)
        except Exception as problem:  # noqa: BLE001 - of an author's function; it would fail at every claim
            limits.pause_unready(connection, candidate_id, f"Its concurrency key can't be found out: {problem}")
            return None
        limits.set_key(connection, candidate_id, key)
    of_function = next(each for each in served if (each.function, each.version) == (function, version))
    limit = Limit(key, of_function.places or 1, of_function.until_closed)
    more = {"execution_id": candidate_id, "seconds": of_function.invocation_seconds}
    row = limits.claim_within(connection, limit, _CLAIMED, _RETURNED, params | more)
    return None if row is None else Claim(*row)._replace(limit=limit)


def unclaim(connection: EngineConnection, claim: Claim) -> bool:
    """Give an execution back that this process still holds but cannot go on with; the claim is no crash.

    For a worker that lost Postgres and got it back. False when somebody else holds or closed it.
    """
    sql = _HAND_BACK.format(which=_OURS, count="greatest(x.crash_count - 1, 0)")
    params = {"id": claim.execution_id, "fence": claim.fence, "error": None} | _NO_POISON
    return connection.execute(sql, params).fetchone() is not None


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
# In the order of ids as text: for that of the primary key, the planner may read all of its index.
_OURS = f"x.id = %(id)s AND x.fence = %(fence)s AND {has_status('x.status', 'RUNNING')}"
_HAND_BACK = """
WITH held AS MATERIALIZED (
  SELECT id, invocation_id FROM durable_execution x WHERE {which} ORDER BY x.id::text FOR UPDATE
), e AS (
  UPDATE durable_execution x
  SET fence = x.fence + 1, batch = 0, last_event_id = x.last_event_id + 1,
      last_event_at = greatest(x.last_event_at, clock_timestamp()),
      status = CASE WHEN x.crash_count >= %(max_crashes)s THEN 'PAUSED' ELSE 'PENDING' END,
      paused_at = CASE WHEN x.crash_count >= %(max_crashes)s THEN clock_timestamp() END,
      pause_kind = CASE WHEN x.crash_count >= %(max_crashes)s THEN 'crashes' ELSE '' END,
      pause_reason = CASE WHEN x.crash_count >= %(max_crashes)s THEN 'Claimed ' || x.crash_count
        || ' times without progress. The last invocation ended with: ' || %(reason)s ELSE '' END,
      ready_at = clock_timestamp() + CASE WHEN x.crash_count <= 1 THEN 0 ELSE
        least(%(backoff)s * 2 ^ (x.crash_count - 2), %(max_backoff)s) END * interval '1 second',
      crash_count = {count}, dispatched_at = NULL, worker_id = NULL, invocation_id = NULL, invocation_deadline = NULL
  FROM held
  WHERE x.id = held.id
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
    which = "x.worker_id = %(key)s AND x.status = 'RUNNING'"
    return _hand_back(connection, which, worker_id, reason, "Runtime.ExitError", max_crashes, backoff_seconds)


def fail_invocation(
    connection: EngineConnection,
    claim: Claim,
    reason: str,
    error: Mapping[str, object],
    *,
    max_crashes: int,
    backoff_seconds: float,
) -> list[UUID]:
    """End an invocation of ours that failed, with its error; return the execution if it waits for its next claim.

    Counted like a crash. Nothing when the execution is no longer ours.
    """
    params = {
        "id": claim.execution_id,
        "fence": claim.fence,
        "reason": reason,
        "error": json.dumps(error, ensure_ascii=False),
        "max_crashes": max_crashes,
        "backoff": backoff_seconds,
        "max_backoff": MAX_CRASH_BACKOFF_SECONDS,
    }
    statement = _HAND_BACK.format(which=_OURS, count="x.crash_count")
    rows = connection.execute(statement, params).fetchall()
    return [execution_id for execution_id, status in rows if status == "PENDING"]


def recover_invocation(
    connection: EngineConnection, execution_id: UUID, *, max_crashes: int, backoff_seconds: float
) -> list[UUID]:
    """Take an execution from an invocation that is past its deadline; return it if it waits for its next claim."""
    return _hand_back(
        connection,
        f"x.id = %(key)s AND {has_status('x.status', 'RUNNING')} AND x.invocation_deadline <= clock_timestamp()",
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
        " AND invocation_deadline <= statement_timestamp() LIMIT %s",
        (limit,),
    )
    return [execution_id for (execution_id,) in rows]
