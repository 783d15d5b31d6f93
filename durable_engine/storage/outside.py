"""What happens to an execution from outside its invocations: completions, wake-ups, its end by somebody else's hand.

Functions that take a locked `Execution` run on Django's connection inside the caller's transaction; those that take a
connection are bounded, idempotent sweeps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection as django_connection
from uuid_utils.compat import uuid7

from durable_engine.models import Execution
from durable_engine.storage.audit import AUDIT, AuditFacts
from durable_engine.storage.connection import EngineConnection

# Wakes a suspended execution and leaves every other as it is: a pending one is about to run, a running one compares
# `signal` before it suspends, a paused one looks at its history when it is resumed.
WAKE = """signal = signal + 1,
  ready_at = CASE WHEN status = 'SUSPENDED' THEN clock_timestamp() ELSE ready_at END,
  dispatched_at = CASE WHEN status = 'SUSPENDED' THEN clock_timestamp() ELSE dispatched_at END,
  wake_at = CASE WHEN status = 'SUSPENDED' THEN NULL ELSE wake_at END,
  status = CASE WHEN status = 'SUSPENDED' THEN 'PENDING' ELSE status END"""

_APPEND = f"""
WITH e AS (
  UPDATE durable_execution SET last_event_id = last_event_id + 1,
    last_event_at = greatest(last_event_at, clock_timestamp()), {WAKE}
  WHERE id = %(id)s RETURNING id, last_event_id, last_event_at, status
), ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, parent_id, subtype, name, attempt,
                             payload, error, details, event_at)
  SELECT id, last_event_id, %(event_type)s, %(operation_id)s, %(parent_id)s, %(subtype)s, %(name)s, %(attempt)s,
         %(payload)s, %(error)s, %(details)s::jsonb, last_event_at
  FROM e
)
SELECT status FROM e
"""


def append_outside_event(
    execution: Execution,
    event_type: str,
    *,
    operation_id: str,
    parent_id: str | None = None,
    subtype: str | None = None,
    name: str | None = None,
    attempt: int | None = None,
    payload: str | None = None,
    error: str | None = None,
    details: Mapping[str, object] | None = None,
) -> bool:
    """Append what somebody outside reported to a locked, live execution and wake it.

    Returns whether it is now PENDING and wants a hint on commit.
    """
    return _returns_pending(
        _APPEND,
        {
            "id": execution.pk,
            "event_type": event_type,
            "operation_id": operation_id,
            "parent_id": parent_id,
            "subtype": subtype,
            "name": name,
            "attempt": attempt,
            "payload": payload,
            "error": error,
            "details": None if details is None else json.dumps(details),
        },
    )


# One round trip for the usual case. Both rows are locked in the order of all others, and what is asked of them is asked
# of the versions that are locked: when another transaction came first, they are read again.
_COMPLETE = f"""
WITH x AS MATERIALIZED (
  SELECT id FROM durable_execution
  WHERE id = (SELECT execution_id FROM durable_callback WHERE id = %(callback_id)s) AND closed_at IS NULL FOR UPDATE
), c AS (
  UPDATE durable_callback c SET status = %(status)s, completed_at = clock_timestamp(), completed_by = %(completed_by)s
  FROM x
  WHERE c.id = %(callback_id)s AND c.execution_id = x.id AND c.status = 'STARTED'
    AND coalesce(c.deadline > clock_timestamp(), true) AND coalesce(c.heartbeat_deadline > clock_timestamp(), true)
  RETURNING c.execution_id, c.operation_id, c.parent_id, c.name
), e AS (
  UPDATE durable_execution SET last_event_id = last_event_id + 1,
    last_event_at = greatest(last_event_at, clock_timestamp()), {WAKE}
  FROM c WHERE durable_execution.id = c.execution_id
  RETURNING durable_execution.id, last_event_id, last_event_at, status, queue, c.operation_id, c.parent_id, c.name
), ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, parent_id, subtype, name, payload, error,
                             event_at)
  SELECT id, last_event_id, %(event_type)s, operation_id, parent_id, 'Callback', name, %(payload)s, %(error)s,
         last_event_at
  FROM e
), entry AS (
  {AUDIT.format(id="%(audit_id)s", at="last_event_at", execution_id="id", operation_id="operation_id", source="e")}
)
SELECT id, operation_id, queue, status = 'PENDING' FROM e
"""


class CompletedCallback(NamedTuple):
    """Whose callback was completed, and whether the execution is now PENDING and wants a hint on commit."""

    execution_id: UUID
    operation_id: str
    queue: str
    wants_hint: bool


def complete_open_callback(
    callback_id: UUID,
    *,
    status: str,
    event_type: str,
    completed_by: str,
    audit: AuditFacts,
    payload: str | None = None,
    error: str | None = None,
) -> CompletedCallback | None:
    """Complete a callback that is open and in time, append its event, wake its execution, audit it: one statement.

    Returns None, and changes nothing, when it is unknown, completed, late, or its execution has ended.
    """
    params: dict[str, Any] = {
        **audit.parameters(),
        "audit_id": uuid7(),
        "callback_id": callback_id,
        "status": status,
        "event_type": event_type,
        "completed_by": completed_by,
        "payload": payload,
        "error": error,
    }
    with django_connection.cursor() as cursor:
        cursor.execute(_COMPLETE, params)
        row = cursor.fetchone()
    return None if row is None else CompletedCallback._make(row)


def wake_execution(execution: Execution) -> bool:
    """Wake a locked execution without an event (an operator moved a timer). Returns whether it wants a hint."""
    return _returns_pending(
        f"UPDATE durable_execution SET {WAKE} WHERE id = %(id)s RETURNING status", {"id": execution.pk}
    )


def _returns_pending(sql: str, params: Mapping[str, Any]) -> bool:
    with django_connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
    return row is not None and row[0] == "PENDING"


# A running invocation ends first in the history, and its worker's fence no longer matches.
_CLOSE = """
WITH was AS (
  SELECT id, status = 'RUNNING' AS running, invocation_id, invocation_started_at
  FROM durable_execution WHERE id = %(id)s AND closed_at IS NULL FOR UPDATE
), e AS (
  UPDATE durable_execution x
  SET status = %(status)s, closed_at = clock_timestamp(), fence = fence + 1, signal = signal + 1,
      last_event_id = last_event_id + CASE WHEN was.running THEN 2 ELSE 1 END,
      last_event_at = greatest(last_event_at, clock_timestamp()), error_type = %(error_type)s,
      error_message = %(error_message)s, worker_id = NULL, invocation_id = NULL, invocation_deadline = NULL,
      ready_at = NULL, dispatched_at = NULL, wake_at = NULL
  FROM was WHERE x.id = was.id
  RETURNING x.id, x.last_event_id, x.last_event_at, was.running, was.invocation_id, was.invocation_started_at
), ev AS (
  INSERT INTO durable_event (execution_id, event_id, event_type, error, details, event_at)
  SELECT id, last_event_id - 1, 'InvocationCompleted', NULL,
         jsonb_build_object('request_id', invocation_id, 'started_at', invocation_started_at), last_event_at
  FROM e WHERE running
  UNION ALL
  SELECT id, last_event_id, %(event_type)s, %(error)s, NULL, last_event_at FROM e
), ot AS (
  DELETE FROM durable_timer USING e WHERE execution_id = e.id
), oc AS (
  UPDATE durable_callback c SET status = 'CANCELLED', completed_at = clock_timestamp()
  FROM e WHERE c.execution_id = e.id AND c.status = 'STARTED'
)
SELECT id FROM e
"""
_CLOSING_EVENTS = {"STOPPED": "ExecutionStopped", "TIMED_OUT": "ExecutionTimedOut"}


def close_execution(execution: Execution, status: str, error: Mapping[str, object]) -> bool:
    """End a locked execution from outside: `status` STOPPED or TIMED_OUT, `error` an error object.

    Its running invocation can write nothing more. Returns False when it was closed already.
    """
    params: dict[str, Any] = {
        "id": execution.pk,
        "status": status,
        "event_type": _CLOSING_EVENTS[status],
        "error": json.dumps(error),
        "error_type": str(error.get("ErrorType") or "")[:256],
        "error_message": str(error.get("ErrorMessage") or "").replace("\x00", "")[:512],
    }
    with django_connection.cursor() as cursor:
        cursor.execute(_CLOSE, params)
        return cursor.fetchone() is not None


def wake_due(connection: EngineConnection, limit: int) -> list[UUID]:
    """Make suspended executions whose earliest timer is due PENDING; the caller sends their hints."""
    rows = connection.execute(
        # Materialised: a subquery with LIMIT may be run once for each row it is joined to.
        "WITH due AS MATERIALIZED ("
        "   SELECT id FROM durable_execution WHERE status = 'SUSPENDED' AND wake_at <= statement_timestamp()"
        "   ORDER BY wake_at LIMIT %s FOR UPDATE SKIP LOCKED)"
        " UPDATE durable_execution x SET status = 'PENDING', signal = signal + 1, ready_at = clock_timestamp(),"
        " dispatched_at = clock_timestamp(), wake_at = NULL FROM due WHERE x.id = due.id RETURNING x.id",
        (limit,),
    )
    return [execution_id for (execution_id,) in rows]


def undispatched(connection: EngineConnection, *, stale_seconds: float, limit: int) -> list[UUID]:
    """Executions that are ready though no hint was sent, or none since `stale_seconds`: marks and returns them.

    Starts and wake-ups mark their row themselves and send their hint on commit; delayed starts and executions taken
    from a lost worker leave `dispatched_at` empty and are found here at once. Ask only while the broker takes hints: a
    marked row is not returned again before `stale_seconds` are over.
    """
    rows = connection.execute(
        "WITH ready AS MATERIALIZED ("
        "   SELECT id FROM durable_execution WHERE status = 'PENDING' AND ready_at <= statement_timestamp()"
        "   AND (dispatched_at IS NULL OR dispatched_at <= statement_timestamp() - %s * interval '1 second')"
        "   AND NOT EXISTS (SELECT FROM durable_function_pause f WHERE f.function = durable_execution.function)"
        "   ORDER BY priority DESC, ready_at LIMIT %s FOR UPDATE SKIP LOCKED)"
        " UPDATE durable_execution x SET dispatched_at = clock_timestamp() FROM ready WHERE x.id = ready.id"
        " RETURNING x.id",
        (stale_seconds, limit),
    )
    return [execution_id for (execution_id,) in rows]


# Without those of an execution that somebody holds: the scheduler has no time to wait for them, and looks again.
_DUE_CALLBACKS = """
WITH late AS MATERIALIZED (
  (SELECT id, execution_id FROM durable_callback
   WHERE status = 'STARTED' AND deadline <= statement_timestamp() LIMIT %(limit)s)
  UNION (SELECT id, execution_id FROM durable_callback
         WHERE status = 'STARTED' AND heartbeat_deadline <= statement_timestamp() LIMIT %(limit)s)
)
SELECT late.id FROM late JOIN durable_execution x ON x.id = late.execution_id FOR UPDATE OF x SKIP LOCKED
"""


def due_callbacks(connection: EngineConnection, limit: int) -> list[UUID]:
    """Open callbacks past their deadline or heartbeat deadline. Not locked when it returns: look again."""
    rows = connection.execute(_DUE_CALLBACKS, {"limit": limit})
    return [callback_id for (callback_id,) in rows]


def due_executions(connection: EngineConnection, limit: int) -> list[UUID]:
    """Live executions past their execution timeout that nobody holds; a paused one's clock stands still.

    Not locked when it returns: look again.
    """
    rows = connection.execute(
        "SELECT id FROM durable_execution WHERE closed_at IS NULL AND status <> 'PAUSED'"
        " AND expires_at <= statement_timestamp() ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED",
        (limit,),
    )
    return [execution_id for (execution_id,) in rows]


def next_due(connection: EngineConnection) -> float | None:
    """Seconds until the earliest timer, deadline, delayed start, timeout or schedule; None: nothing is due."""
    row = connection.execute(
        "SELECT extract(epoch FROM least("
        " (SELECT min(wake_at) FROM durable_execution WHERE status = 'SUSPENDED'),"
        " (SELECT min(deadline) FROM durable_callback WHERE status = 'STARTED'),"
        " (SELECT min(heartbeat_deadline) FROM durable_callback WHERE status = 'STARTED'),"
        " (SELECT min(ready_at) FROM durable_execution WHERE status = 'PENDING' AND dispatched_at IS NULL),"
        " (SELECT min(expires_at) FROM durable_execution WHERE closed_at IS NULL AND status <> 'PAUSED'),"
        " (SELECT min(next_at) FROM durable_schedule WHERE paused_at IS NULL)"
        ") - clock_timestamp())::float8"
    ).fetchone()
    return None if row is None else row[0]
