"""Executions whose retention is over are deleted, a bounded amount of history at a time."""

from __future__ import annotations

from django.conf import settings

from durable_engine.scheduler.sweep import Round
from durable_engine.services.deletions import delete_expired_executions

EVERY_SECONDS = 10.0
# So that a backlog of years does not hold up what is due to the millisecond.
MOST_BATCHES = 5


def sweep(_: Round) -> None:
    """Delete what is due."""
    days = settings.DURABLE_RETENTION_DAYS
    seconds = None if days is None else float(days) * 86_400
    for _batch in range(MOST_BATCHES):
        if not delete_expired_executions(seconds):
            return
