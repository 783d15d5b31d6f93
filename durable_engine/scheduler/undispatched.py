"""Executions that are ready but whose hint was never sent, or was lost: why the broker need not be reliable."""

from __future__ import annotations

from django.conf import settings

from durable_engine import dispatch
from durable_engine.scheduler.sweep import Round
from durable_engine.storage.outside import undispatched

# A ready execution is hinted at again after this. Postgres is the queue: the broker never holds more than a few hints,
# however long the backlog, because a worker that follows one goes on with whatever is ready.
STALE_SECONDS = 5.0
MOST_WAITING_HINTS = dispatch.MOST_HINTS


def sweep(this: Round) -> None:
    """Send hints while the broker takes them and has few."""
    waiting = [dispatch.waiting_hints(queue) for queue in settings.DURABLE_QUEUES]
    if None in waiting:
        return  # a row marked as dispatched now would wait for nothing
    room = MOST_WAITING_HINTS - sum(count or 0 for count in waiting)
    if room > 0:
        dispatch.publish(undispatched(this.connection, stale_seconds=STALE_SECONDS, limit=room))
