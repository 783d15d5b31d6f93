"""Read what has ended, been paused or begun, in order of time, so that each row counts exactly once.

Times are given before the transaction that writes them commits, so a row may become visible behind a reader that goes
by time alone. A reader therefore stays behind the oldest transaction that may still write: see `horizon`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from durable_engine.storage.connection import EngineConnection

# A transaction older than this holds nobody up: what it then commits is missing from charts and groups of failures,
# not from lists. The engine's own transactions end after half a minute at most.
LONGEST_TRANSACTION: Final = "15 minutes"
# Between a statement's reading of the clock and the moment its transaction shows as one that writes.
MARGIN: Final = "3 seconds"

_HORIZON = """
SELECT greatest(
  least((SELECT min(xact_start) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL),
        (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database()),
        clock_timestamp()) - %s::interval,
  clock_timestamp() - %s::interval)
"""


@dataclass(frozen=True, slots=True)
class Position:
    """The last row a feed has read, or the time up to which there was none."""

    at: datetime
    id: UUID


def horizon(connection: EngineConnection) -> datetime:
    """Return a time before which no row will appear any more. Ask for it in a statement before the one that reads."""
    row = connection.execute(_HORIZON, (MARGIN, LONGEST_TRANSACTION)).fetchone()
    assert row is not None  # noqa: S101 - for the types: it selects no table
    reached: datetime = row[0]
    return reached


def take_feed(connection: EngineConnection, name: str) -> Position | None:
    """Lock a feed until the end of the transaction and return where it is; None when another scheduler has it."""
    query = "SELECT reached_at, reached_id FROM durable_feed WHERE name = %s FOR UPDATE SKIP LOCKED"
    row = connection.execute(query, (name,)).fetchone()
    if row is None:
        connection.execute(
            "INSERT INTO durable_feed (name, reached_at, reached_id) VALUES (%s, 'epoch', %s) ON CONFLICT DO NOTHING",
            (name, UUID(int=0)),
        )
        row = connection.execute(query, (name,)).fetchone()
    return None if row is None else Position(*row)


def move_feed(connection: EngineConnection, name: str, position: Position) -> None:
    """Say that everything up to here is read."""
    connection.execute(
        "UPDATE durable_feed SET reached_at = %s, reached_id = %s WHERE name = %s", (position.at, position.id, name)
    )


def start_over(connection: EngineConnection) -> None:
    """Forget all that was counted, so that the next sweeps count everything anew. What people said of groups stays."""
    with connection.transaction():
        connection.execute("DELETE FROM durable_feed")
        for table in ("durable_rollup", "durable_failure", "durable_failure_count"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("UPDATE durable_failure_group SET count = 0")
