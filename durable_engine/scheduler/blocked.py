"""Executions that wait for a place of their concurrency limit are let go when there is one.

Workers do so at the end of their invocations. This finds what they missed: places of lost workers, of executions that
were stopped or paused from outside, and of limits that were raised.
"""

from __future__ import annotations

from durable_engine import dispatch
from durable_engine.scheduler.sweep import BATCH, Round
from durable_engine.storage import limits

OLD_SECONDS = 3600.0


def sweep(this: Round) -> None:
    """Let go what can be, under every key that somebody waits for."""
    for key, count in limits.blocked_keys(this.connection, BATCH):
        dispatch.publish(limits.let_go(this.connection, key, count))


def delete_old_slots(this: Round) -> None:
    """Forget places that nobody has taken for long."""
    limits.delete_old_slots(this.connection, OLD_SECONDS, BATCH)
