"""Which sweeps the scheduler runs, in this order."""

from __future__ import annotations

from durable_engine import extensions
from durable_engine.scheduler import (
    blocked,
    bulk_actions,
    callback_timeouts,
    due_timers,
    execution_timeouts,
    expired_invocations,
    failure_groups,
    lost_workers,
    old_figures,
    outbox,
    retention,
    rollups,
    schedules,
    undispatched,
    untold_parents,
)
from durable_engine.scheduler.background import background
from durable_engine.scheduler.grace import OutageGrace
from durable_engine.scheduler.sweep import Round, Sweep
from durable_engine.storage.connection import ConnectionHolder

# First what somebody waits for to the millisecond, at every wake-up.
_OWN = (
    Sweep("due timers", due_timers.sweep, every_seconds=0.0),
    Sweep("undispatched", undispatched.sweep, every_seconds=0.0),
    Sweep("schedules", schedules.sweep, every_seconds=0.0),
    Sweep("callback timeouts", callback_timeouts.sweep, every_seconds=0.0),
    Sweep("execution timeouts", execution_timeouts.sweep, every_seconds=0.0),
    Sweep("untold parents", untold_parents.sweep),
    Sweep("blocked by limits", blocked.sweep),
    Sweep("old slots", blocked.delete_old_slots, every_seconds=60.0),
    Sweep("expired invocations", expired_invocations.sweep),
    Sweep("lost workers", lost_workers.sweep),
    Sweep("waiting schedules", schedules.sweep_waiting),
    Sweep("bulk actions", bulk_actions.sweep, every_seconds=bulk_actions.EVERY_SECONDS),
    Sweep("bulk drafts", bulk_actions.delete_drafts, every_seconds=3600.0),
    Sweep("retention", retention.sweep, every_seconds=retention.EVERY_SECONDS),
    Sweep("outbox", outbox.sweep),
    Sweep("outbox retention", outbox.forget, every_seconds=outbox.FORGET_EVERY_SECONDS),
)
# What pages add up, from histories of any size: nobody waits for it, and no timer may.
_ASIDE = (
    Sweep("failure groups", failure_groups.sweep, every_seconds=failure_groups.EVERY_SECONDS),
    Sweep("rollups", rollups.sweep, every_seconds=rollups.EVERY_SECONDS),
    Sweep("old figures", old_figures.sweep, every_seconds=old_figures.EVERY_SECONDS),
)
_connections = ConnectionHolder()  # of the background thread


def all_sweeps() -> list[Sweep]:
    """The engine's own sweeps, then those of installed apps."""
    return [*_OWN, *map(_aside, _ASIDE), *(_from_app(each) for each in extensions.sweeps())]


def _aside(sweep: Sweep) -> Sweep:
    def run(this: Round) -> None:
        background.ask(sweep.name, lambda: in_background(this.grace))

    def in_background(grace: OutageGrace) -> int:
        sweep.run(Round(_connections.get(), grace))
        return 0

    return Sweep(sweep.name, run, sweep.every_seconds)


def _from_app(theirs: extensions.Sweep) -> Sweep:
    def run(_: Round) -> None:
        background.ask(theirs.name, theirs.function)

    return Sweep(theirs.name, run, theirs.every_seconds)
