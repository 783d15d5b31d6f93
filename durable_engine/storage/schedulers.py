"""The rows by which schedulers say that they live. No sweep reads them: a scheduler works without its row."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from durable_engine.storage.connection import EngineConnection

# Rows of schedulers that were not heard of for this long say nothing to anybody.
FORGET_AFTER: Final = "7 days"

_BEAT = """
WITH gone AS (
  DELETE FROM durable_scheduler WHERE last_seen < clock_timestamp() - %(forget)s::interval
)
INSERT INTO durable_scheduler (id, hostname, pid, release, started_at, last_seen, slowest_round_seconds)
VALUES (%(id)s, %(hostname)s, %(pid)s, %(release)s, clock_timestamp(), clock_timestamp(), %(slowest)s)
ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, slowest_round_seconds = excluded.slowest_round_seconds
"""


def beat(
    connection: EngineConnection, scheduler_id: UUID, *, hostname: str, pid: int, release: str, slowest_seconds: float
) -> None:
    """Say that the scheduler lives; the first call makes its row."""
    params = {"id": scheduler_id, "hostname": hostname, "pid": pid, "release": release, "slowest": slowest_seconds}
    connection.execute(_BEAT, params | {"forget": FORGET_AFTER})


def retire(connection: EngineConnection, scheduler_id: UUID) -> None:
    """Mark a scheduler that stops in order."""
    connection.execute("UPDATE durable_scheduler SET stopped_at = clock_timestamp() WHERE id = %s", (scheduler_id,))
