"""Schedules whose time has come start their executions, each schedule in its own transaction."""

from __future__ import annotations

from durable_engine.models import RunOutcome, Schedule, ScheduleRun
from durable_engine.scheduler.each import for_each
from durable_engine.scheduler.sweep import BATCH, Round, repeat
from durable_engine.services.schedule_runs import release_waiting, run_due
from durable_engine.storage.clock import ClockTimestamp


def sweep(_: Round) -> None:
    """Decide about what is due."""
    due = Schedule.objects.filter(paused_at=None, next_at__lte=ClockTimestamp()).order_by("next_at")
    repeat(lambda: for_each("schedule", list(due.values_list("pk", flat=True)[:BATCH]), run_due))


def sweep_waiting(_: Round) -> None:
    """Start what waited for the execution before it to end."""
    waiting = ScheduleRun.objects.filter(outcome=RunOutcome.WAITING, schedule__paused_at=None)
    ids = waiting.order_by("schedule").values_list("schedule", flat=True).distinct()
    repeat(lambda: for_each("schedule", list(ids[:BATCH]), release_waiting))
