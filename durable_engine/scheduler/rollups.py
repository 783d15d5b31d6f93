"""Starts and ends of executions are added up by minute and hour, for charts and rates."""

from __future__ import annotations

from functools import partial

from durable_engine.scheduler.sweep import Round, repeat_briefly
from durable_engine.storage import rollups

EVERY_SECONDS = 5.0
BATCH = 2_000


def sweep(this: Round) -> None:
    """Add up what is new."""
    for feed in (rollups.STARTS, rollups.ENDS):
        repeat_briefly(partial(rollups.roll_up, this.connection, feed, BATCH), BATCH)
