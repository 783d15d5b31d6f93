"""How much there is of what waits and of what is taken, for monitoring. Each count stops at the cap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from durable_engine.storage.attention import CAP
from durable_engine.storage.rollups import EVER

# Rows of functions and versions; what is beyond, by name, is left out.
MOST_VERSIONS: Final = 5_000

_BACKLOG: Final = """
SELECT
  (SELECT count(*) FROM (SELECT FROM durable_callback WHERE status = 'STARTED' LIMIT %(cap)s) c),
  (SELECT extract(epoch FROM clock_timestamp() - min(created_at)) FROM durable_callback WHERE status = 'STARTED'),
  (SELECT count(*) FROM (SELECT FROM durable_outbox WHERE status = 'PENDING' LIMIT %(cap)s) o),
  (SELECT extract(epoch FROM clock_timestamp() - min(next_try_at)) FROM durable_outbox WHERE status = 'PENDING'),
  (SELECT count(*) FILTER (WHERE status = 'FAILED') FROM (
     SELECT status FROM durable_outbox WHERE status <> 'PENDING' AND finished_at > clock_timestamp() - interval '1 day'
     ORDER BY finished_at DESC LIMIT %(cap)s) f),
  (SELECT extract(epoch FROM clock_timestamp() - min(wake_at)) FROM durable_execution
   WHERE status = 'SUSPENDED' AND wake_at IS NOT NULL)
"""
# A place is taken while its execution runs under the fence that took it, or, `until_closed`, is live.
_LIMITS: Final = """
SELECT function, sum(taken), sum(waiting) FROM (
  SELECT split_part(s.limit_key, '/', 1) AS function, 1 AS taken, 0 AS waiting
  FROM (SELECT limit_key, execution_id, fence, until_closed FROM durable_slot
        WHERE execution_id IS NOT NULL LIMIT %(cap)s) s
  JOIN durable_execution e ON e.id = s.execution_id
  WHERE CASE WHEN s.until_closed THEN e.closed_at IS NULL ELSE e.status = 'RUNNING' AND e.fence = s.fence END
  UNION ALL
  SELECT split_part(concurrency_key, '/', 1), 0, 1
  FROM (SELECT concurrency_key FROM durable_execution
        WHERE status = 'PENDING' AND ready_at IS NULL AND concurrency_key IS NOT NULL LIMIT %(cap)s) p
) either GROUP BY 1 ORDER BY 1
"""
_SO_FAR: Final = """
SELECT function, started, succeeded, failed, timed_out, stopped, seconds_sum, durations FROM durable_rollup
WHERE width_seconds = %(ever)s ORDER BY starts_at, function, version LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for the outside, and how late the oldest of it is, in seconds: 0 when nothing is late."""

    callbacks_open: int
    oldest_callback_seconds: float
    outbox_waiting: int
    outbox_late_seconds: float
    outbox_given_up: int  # in the last day
    timers_late_seconds: float


@dataclass(frozen=True, slots=True)
class LimitUse:
    """The limits of one function, all keys together: places that are taken, executions that wait for one."""

    function: str
    taken: int
    waiting: int


@dataclass(slots=True)
class SoFar:
    """What was ever counted of a function. `ended` is by status; `durations` is `{bin: count}`."""

    started: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    seconds_sum: float = 0.0
    durations: dict[int, int] = field(default_factory=dict)


def backlog() -> Backlog:
    """Look at callbacks, messages and timers."""
    row = _rows(_BACKLOG)[0]
    return Backlog(
        callbacks_open=row[0],
        oldest_callback_seconds=_late(row[1]),
        outbox_waiting=row[2],
        outbox_late_seconds=_late(row[3]),
        outbox_given_up=row[4],
        timers_late_seconds=_late(row[5]),
    )


def limits() -> list[LimitUse]:
    """Return the limits in use, by function."""
    return [LimitUse(row[0], int(row[1]), int(row[2])) for row in _rows(_LIMITS)]


def so_far() -> dict[str, SoFar]:
    """Return what was counted of each function since there are counts; it only grows."""
    found: dict[str, SoFar] = {}
    for function, started, *ended, seconds, durations in _rows(_SO_FAR, ever=EVER, most=MOST_VERSIONS):
        total = found.setdefault(function, SoFar())
        total.started += started
        total.seconds_sum += seconds
        for status, count in zip(("SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"), ended, strict=True):
            total.ended[status] = total.ended.get(status, 0) + count
        for place, count in _decoded(durations).items():
            total.durations[int(place)] = total.durations.get(int(place), 0) + int(count)
    return found


def _decoded(durations: Any) -> dict[str, Any]:
    # Django's connection leaves `jsonb` as text.
    found: dict[str, Any] = json.loads(durations) if isinstance(durations, str) else durations
    return found


def _late(seconds: Any) -> float:
    return max(0.0, float(seconds or 0.0))


def _rows(sql: str, **params: int) -> Sequence[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"cap": CAP} | params)
        return list(cursor.fetchall())
