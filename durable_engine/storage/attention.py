"""Capped counts of what does not move by itself. Each reads a partial index and stops counting at the cap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zlib import crc32

from django.db import connection

from durable_engine.storage.visible import visible_sql

# What is ready is taken within milliseconds, what is due within a tick: beyond this somebody should look.
LONG_SECONDS: Final = 60.0
CAP: Final = 10_000

_PAUSED = """
SELECT pause_kind, count(*), max(paused_at) FROM (
  SELECT pause_kind, paused_at FROM durable_execution WHERE status = 'PAUSED' LIMIT %(cap)s + 1) p
GROUP BY pause_kind ORDER BY 2 DESC, 1
"""
_WAITING = """
SELECT function, version, queue, count(*), min(ready_at) FROM (
  SELECT function, version, queue, ready_at FROM durable_execution
  WHERE status = 'PENDING' AND ready_at < statement_timestamp() - %(long)s * interval '1 second' LIMIT %(cap)s + 1) p
GROUP BY 1, 2, 3 ORDER BY 5, 1, 2, 3
"""
_READY = """
SELECT queue, count(*), min(ready_at) FROM (
  SELECT queue, ready_at FROM durable_execution
  WHERE status = 'PENDING' AND ready_at <= statement_timestamp() LIMIT %(cap)s + 1) p
GROUP BY 1 ORDER BY 1
"""
# Of the four statuses of live executions each is looked at up to the cap by itself: one of them must not hide another.
_LIVE_VERSIONS = """
SELECT v.function, v.version, count(*) FROM
  unnest(ARRAY['PENDING', 'RUNNING', 'SUSPENDED', 'PAUSED']) AS live(status), LATERAL (
    SELECT function, version FROM durable_execution x WHERE x.status = live.status LIMIT %(cap)s) v
GROUP BY 1, 2 ORDER BY 1, 2
"""
_OVERDUE = """
SELECT count(*), min(wake_at) FROM (
  SELECT wake_at FROM durable_execution
  WHERE status = 'SUSPENDED' AND wake_at < statement_timestamp() - %(long)s * interval '1 second' LIMIT %(cap)s + 1) p
"""
_SILENT = """
SELECT count(*), min(w.last_seen) FROM durable_execution e JOIN durable_worker w ON w.id = e.worker_id
WHERE e.status = 'RUNNING'
  AND (w.lost_at IS NOT NULL OR w.last_seen < statement_timestamp() - %(silent)s * interval '1 second')
"""


# What changes without anybody doing anything, silence for example, is part of it.
_REVISION = """
SELECT concat_ws('.',
  (SELECT string_agg(pause_kind || n, ',') FROM (
     SELECT pause_kind, count(*) AS n FROM (
       SELECT pause_kind FROM durable_execution WHERE status = 'PAUSED' LIMIT %(cap)s + 1) p
     GROUP BY pause_kind ORDER BY 1) k),
  (SELECT count(*) || '/' || coalesce(min(ready_at)::text, '') FROM (
     SELECT ready_at FROM durable_execution
     WHERE status = 'PENDING' AND ready_at < statement_timestamp() - %(long)s * interval '1 second'
     LIMIT %(cap)s + 1) p),
  (SELECT count(*) FROM (
     SELECT 1 FROM durable_execution
     WHERE status = 'SUSPENDED' AND wake_at < statement_timestamp() - %(long)s * interval '1 second'
     LIMIT %(cap)s + 1) p),
  (SELECT string_agg(id::text || (last_seen < statement_timestamp() - %(silent)s * interval '1 second'), ','
                     ORDER BY id)
   FROM durable_worker WHERE lost_at IS NULL AND last_seen > statement_timestamp() - %(lease)s * interval '1 second'),
  (SELECT last_seen || count::text FROM durable_failure_group WHERE status = 'OPEN' ORDER BY last_seen DESC LIMIT 1),
  (SELECT max(due_at) FROM durable_schedule_run WHERE outcome IN ('REFUSED', 'MISSED')
   AND due_at > statement_timestamp() - interval '1 day'),
  (SELECT max(reached_at) FROM durable_feed WHERE name IN ('starts', 'ends')),
  (SELECT count(*) FROM durable_scheduler
   WHERE stopped_at IS NULL AND last_seen > statement_timestamp() - %(scheduler_silence)s * interval '1 second'))
"""


@dataclass(frozen=True, slots=True)
class Paused:
    """Paused executions of one kind; `count` one above the cap stands for more."""

    kind: str
    count: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """Executions that have been ready for long, of one function version in one queue."""

    function: str
    version: int
    queue: str
    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Late:
    """How many, and since when the oldest; `since` is None when there is none."""

    count: int
    since: datetime | None


def paused() -> list[Paused]:
    """Paused executions by kind, the most frequent first."""
    return [Paused(*row) for row in _rows(_PAUSED)]


def waiting_for_long() -> list[Waiting]:
    """What has been ready for more than a minute and was taken by nobody, the oldest first."""
    return [Waiting(*row) for row in _rows(_WAITING)]


def ready_by_queue() -> list[tuple[str, int, datetime]]:
    """How many executions are ready in each queue, and since when the oldest. All queues together up to the cap."""
    return [(row[0], row[1], row[2]) for row in _rows(_READY)]


def live_versions() -> dict[tuple[str, int], int]:
    """How many live executions there are by function and version: of each status not more than the cap is looked at."""
    return {(row[0], row[1]): row[2] for row in _rows(_LIVE_VERSIONS)}


def overdue_timers() -> Late:
    """Suspended executions whose timer was due more than a minute ago: no scheduler is at work."""
    return Late(*_rows(_OVERDUE)[0])


def on_silent_workers(silent_seconds: float) -> Late:
    """Running executions whose worker was not heard of for so long."""
    return Late(*_rows(_SILENT, silent=silent_seconds)[0])


def revision(silent_seconds: float, lease_seconds: float, scheduler_silence: float) -> str:
    """A text that differs when one of the above does, or which processes live."""
    found = _rows(_REVISION, silent=silent_seconds, lease=lease_seconds, scheduler_silence=scheduler_silence)
    return f"{crc32(str(found[0][0]).encode()):x}"


def _rows(sql: str, **params: float) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(visible_sql(sql), {"cap": CAP, "long": LONG_SECONDS} | params)
        return list(cursor.fetchall())
