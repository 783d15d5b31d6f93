"""Read executions that failed or were paused by the engine, and put them into their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from uuid_utils.compat import uuid7

from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.feeds import Position

CLOSED: Final = "failures"
PAUSED: Final = "pauses"
KEEP_COUNTS: Final = "90 days"

# The operation that failed last stands near the end of the history; of a long one no more is read.
NEAR_THE_END: Final = 50
_FAILING_EVENTS: Final = [
    "StepFailed",
    "CallbackFailed",
    "CallbackTimedOut",
    "ChainedInvokeFailed",
    "ChainedInvokeTimedOut",
    "ChainedInvokeStopped",
]

_CLOSED = """
SELECT e.id, e.closed_at, e.status, e.function, e.version, t.error, o.name, o.error
FROM durable_execution e
LEFT JOIN durable_event t ON t.execution_id = e.id AND t.event_id = e.last_event_id
LEFT JOIN LATERAL (
  SELECT name, error FROM durable_event v
  WHERE v.execution_id = e.id AND v.event_id > e.last_event_id - %(near)s AND v.event_type = ANY(%(failing)s)
  ORDER BY v.event_id DESC LIMIT 1) o ON e.status = 'FAILED'
WHERE e.closed_at IS NOT NULL AND (e.closed_at, e.id) > (%(at)s, %(id)s) AND e.closed_at <= %(horizon)s
  AND e.status IN ('FAILED', 'TIMED_OUT')
ORDER BY e.closed_at, e.id LIMIT %(limit)s
"""
_PAUSED = """
SELECT e.id, e.paused_at, e.status, e.function, e.version,
       json_build_object('ErrorType', e.pause_kind, 'ErrorMessage', split_part(e.pause_reason, E'\\n', 1))::text,
       NULL, NULL
FROM durable_execution e
WHERE e.status = 'PAUSED' AND (e.paused_at, e.id) > (%(at)s, %(id)s) AND e.paused_at <= %(horizon)s
  AND e.pause_kind NOT IN ('', 'operator')
ORDER BY e.paused_at, e.id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class FailureRow:
    """One execution that failed, timed out or was paused. Errors are error objects as JSON text."""

    execution_id: UUID
    at: datetime
    kind: str
    function: str
    version: int
    error: str | None
    operation: str | None
    operation_error: str | None


def failures_after(
    connection: EngineConnection, feed: str, position: Position, horizon: datetime, limit: int
) -> list[FailureRow]:
    """Return the failures after a position and not after the horizon, the oldest first."""
    params = {
        "at": position.at,
        "id": position.id,
        "horizon": horizon,
        "limit": limit,
        "near": NEAR_THE_END,
        "failing": _FAILING_EVENTS,
    }
    rows = connection.execute(_CLOSED if feed == CLOSED else _PAUSED, params)
    return [FailureRow(*row) for row in rows]


# A group that was resolved opens again when something of it fails after that; a muted one stays muted.
_GROUPS = """
INSERT INTO durable_failure_group AS g (id, fingerprint, kind, function, operation, error_type, frame, message_shape,
                                        first_seen, last_seen, first_version, last_version, count, status, status_by)
SELECT *, 'OPEN', '' FROM unnest(%(id)s::uuid[], %(fingerprint)s::text[], %(kind)s::text[], %(function)s::text[],
  %(operation)s::text[], %(error_type)s::text[], %(frame)s::text[], %(message_shape)s::text[],
  %(first_seen)s::timestamptz[], %(last_seen)s::timestamptz[], %(first_version)s::int[], %(last_version)s::int[],
  %(count)s::bigint[]) AS u(id, fingerprint)
ORDER BY fingerprint
ON CONFLICT (fingerprint) DO UPDATE SET
  count = g.count + excluded.count,
  first_seen = least(g.first_seen, excluded.first_seen),
  last_seen = greatest(g.last_seen, excluded.last_seen),
  last_version = CASE WHEN excluded.last_seen >= g.last_seen THEN excluded.last_version ELSE g.last_version END,
  reopened_at = CASE WHEN g.status = 'RESOLVED' AND excluded.last_seen > g.status_at
                     THEN excluded.last_seen ELSE g.reopened_at END,
  status = CASE WHEN g.status = 'RESOLVED' AND excluded.last_seen > g.status_at THEN 'OPEN' ELSE g.status END
RETURNING fingerprint, id
"""
_MEMBERS = """
INSERT INTO durable_failure (execution_id, at, group_id, version)
SELECT * FROM unnest(%(execution_id)s::uuid[], %(at)s::timestamptz[], %(group_id)s::uuid[], %(version)s::int[])
ON CONFLICT DO NOTHING
"""
_COUNTS = """
INSERT INTO durable_failure_count AS c (group_id, starts_at, count)
SELECT group_id, date_trunc('hour', at, 'UTC'), count(*)
FROM unnest(%(group_id)s::uuid[], %(at)s::timestamptz[]) AS u(group_id, at) GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (group_id, starts_at) DO UPDATE SET count = c.count + excluded.count
"""


def add_failures(
    connection: EngineConnection,
    rows: Sequence[FailureRow],
    groups: Sequence[Mapping[str, Any]],
    digests: Sequence[str],
) -> None:
    """Write failures into their groups. `groups` has a group of these rows each, `digests` the group of each row."""
    columns = {name: [group[name] for group in groups] for name in groups[0]}
    columns["id"] = [uuid7() for _ in groups]
    ids: dict[str, UUID] = dict(connection.execute(_GROUPS, columns).fetchall())
    members = {
        "execution_id": [row.execution_id for row in rows],
        "at": [row.at for row in rows],
        "group_id": [ids[digest] for digest in digests],
        "version": [row.version for row in rows],
    }
    connection.execute(_MEMBERS, members)
    connection.execute(_COUNTS, members)


def forget_old(connection: EngineConnection) -> None:
    """Delete hourly counts that no page reaches back to."""
    connection.execute(
        "DELETE FROM durable_failure_count WHERE starts_at < clock_timestamp() - %s::interval", (KEEP_COUNTS,)
    )
