"""What a sweep is: a bounded, idempotent job over rows that are due, safe to run in several schedulers at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from durable_engine.scheduler.grace import OutageGrace
from durable_engine.storage.connection import EngineConnection

# Rows of one statement. A sweep repeats full batches, up to MOST_BATCHES, so that no sweep starves the others.
BATCH = 500
MOST_BATCHES = 20
# What nobody waits for may hold up the sweeps that somebody does wait for only this long.
SPARE_SECONDS = 0.1


@dataclass(frozen=True)
class Round:
    """What the sweeps of one round share."""

    connection: EngineConnection
    grace: OutageGrace


@dataclass(frozen=True)
class Sweep:
    """A job of the scheduler. `every_seconds`: 0 runs it at each wake-up, None once a tick."""

    name: str
    run: Callable[[Round], None]
    every_seconds: float | None = None


def repeat(batch: Callable[[], int]) -> None:
    """Run a job that returns how many rows it changed as long as its batches are full."""
    for _ in range(MOST_BATCHES):
        if batch() < BATCH:
            return


def repeat_briefly(batch: Callable[[], int], size: int) -> None:
    """Run a job that returns how many rows it read while its batches are full and a tenth of a second is not over."""
    ends = time.monotonic() + SPARE_SECONDS
    while batch() >= size and time.monotonic() < ends:
        pass
