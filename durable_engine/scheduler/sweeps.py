"""Which sweeps the scheduler runs, in this order."""

from __future__ import annotations

from durable_engine import extensions
from durable_engine.scheduler import (
    callback_timeouts,
    due_timers,
    execution_timeouts,
    expired_invocations,
    lost_workers,
    undispatched,
)
from durable_engine.scheduler.sweep import BATCH, MOST_BATCHES, Round, Sweep

# First what somebody waits for to the millisecond, at every wake-up.
_OWN = (
    Sweep("due timers", due_timers.sweep, every_seconds=0.0),
    Sweep("undispatched", undispatched.sweep, every_seconds=0.0),
    Sweep("callback timeouts", callback_timeouts.sweep, every_seconds=0.0),
    Sweep("execution timeouts", execution_timeouts.sweep, every_seconds=0.0),
    Sweep("expired invocations", expired_invocations.sweep),
    Sweep("lost workers", lost_workers.sweep),
)


def all_sweeps() -> list[Sweep]:
    """The engine's own sweeps, then those of installed apps."""
    return [*_OWN, *(_from_app(each) for each in extensions.sweeps())]


def _from_app(theirs: extensions.Sweep) -> Sweep:
    def run(_: Round) -> None:
        for _batch in range(MOST_BATCHES):
            if theirs.function() < BATCH:
                return

    return Sweep(theirs.name, run, theirs.every_seconds)
