"""Rollups, hourly counts of failures and past times of schedules that no page reaches back to are deleted."""

from __future__ import annotations

from datetime import timedelta

from durable_engine.models import RunOutcome, ScheduleRun
from durable_engine.scheduler.sweep import Round
from durable_engine.storage import failures, rollups
from durable_engine.storage.clock import ClockTimestamp

EVERY_SECONDS = 3600.0
KEEP_RUNS = timedelta(days=90)


def sweep(this: Round) -> None:
    """Delete what is too old."""
    rollups.forget_old(this.connection)
    failures.forget_old(this.connection)
    ScheduleRun.objects.filter(due_at__lt=ClockTimestamp() - KEEP_RUNS).exclude(outcome=RunOutcome.WAITING).delete()
