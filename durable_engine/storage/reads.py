"""What an invocation reads of its execution: the whole history, or what others did since it last looked."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from durable_engine.core.ports import RecordedEvent
from durable_engine.storage import statements
from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.leases import Claim

_NO_LIMIT = 2**31 - 1  # an event id that no history reaches


class Reading(NamedTuple):
    """The row of an execution, events, and the seconds until each of its timers is due."""

    crash_count: int
    signal: int
    last_event_id: int
    events: list[RecordedEvent]
    due_in: dict[str, float]


class Position(NamedTuple):
    """Where the row of an execution stands after a write."""

    last_event_id: int
    signal: int
    status: str
    invocation_started_at: datetime
    wake_in: float | None


class WrittenRow(NamedTuple):
    """Which write was the last one, and where the row stands."""

    fence: int
    batch: int
    position: Position


def read_history(connection: EngineConnection, claim: Claim) -> Reading | None:
    """Fire the timers that are due, then read the whole history; None when the execution is no longer ours."""
    return _read(connection, claim, statements.LOAD_EVENTS, after=0, fire=True)


def read_news(connection: EngineConnection, claim: Claim, *, after: int) -> Reading | None:
    """Read what others appended after an event, with the timers that are due fired; None when it is no longer ours."""
    reading = _read(connection, claim, statements.LOAD_FOREIGN_EVENTS, after=after, fire=False)
    if reading is not None and any(seconds <= 0 for seconds in reading.due_in.values()):
        return _read(connection, claim, statements.LOAD_FOREIGN_EVENTS, after=after, fire=True)
    return reading


def read_gap(connection: EngineConnection, claim: Claim, *, after: int, until: int) -> list[RecordedEvent]:
    """Read what others appended between two events."""
    params = {"id": claim.execution_id, "fence": claim.fence, "after": after, "until": until}
    return list(map(RecordedEvent._make, connection.execute(statements.LOAD_FOREIGN_EVENTS, params)))


def read_event_times(connection: EngineConnection, claim: Claim) -> dict[int, datetime]:
    """Read when each event happened."""
    return dict(connection.execute(statements.LOAD_EVENT_TIMES, {"id": claim.execution_id}).fetchall())


def read_position(connection: EngineConnection, claim: Claim, *, wait: bool) -> WrittenRow | None:
    """Read how the row stands, after a commit whose reply was lost; None when it is gone.

    `wait`: first for the end of a transaction that holds the row, for that commit may be under way still.
    """
    sql = statements.LOCK_POSITION if wait else statements.READ_POSITION
    row = connection.execute(sql, {"id": claim.execution_id}).fetchone()
    return None if row is None else WrittenRow(row[0], row[1], Position._make(row[2:]))


def _read(connection: EngineConnection, claim: Claim, events_sql: str, *, after: int, fire: bool) -> Reading | None:
    params = {"id": claim.execution_id, "fence": claim.fence, "after": after, "until": _NO_LIMIT}
    with connection.pipeline():
        if fire:
            connection.execute(statements.FIRE_DUE_TIMERS, params)
        # The row before the events: a signal newer than the events we hold would hide a wake-up for ever.
        row = connection.execute(statements.LOAD_EXECUTION, params)
        events = connection.execute(events_sql, params)
        timers = connection.execute(statements.LOAD_TIMERS, params)
    found = row.fetchone()
    if found is None or found[3:] != (claim.fence, "RUNNING"):
        return None
    crash_count, signal, last_event_id = found[:3]
    return Reading(crash_count, signal, last_event_id, list(map(RecordedEvent._make, events)), dict(timers.fetchall()))
