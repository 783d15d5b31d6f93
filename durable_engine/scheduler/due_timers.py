"""Suspended executions whose earliest timer is due become PENDING. Their timers fire when they are claimed."""

from __future__ import annotations

from durable_engine import dispatch
from durable_engine.scheduler.sweep import BATCH, Round, repeat
from durable_engine.storage.outside import wake_due


def sweep(this: Round) -> None:
    """Wake what is due and send its hints."""

    def batch() -> int:
        woken = wake_due(this.connection, BATCH)
        dispatch.publish(woken)
        return len(woken)

    repeat(batch)
