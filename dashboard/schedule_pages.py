"""What the list of schedules and the page of one schedule show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from dashboard.bars import strip_svg
from dashboard.statuses import SCHEDULE_OUTCOMES, Status, execution_status
from durable_engine.models import CatchUpPolicy, OverlapPolicy
from durable_engine.queries.masking import masked, masked_keys_of
from durable_engine.queries.schedules import RunView, ScheduleView, late, list_schedules, newest_runs, runs_of
from durable_engine.services.recurrence import Recurrence

UPCOMING = 8
RUNS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """One schedule, its rule in words and its last times in squares."""

    schedule: ScheduleView
    rule: str
    strip: SafeString
    last: RunView | None
    last_status: Status | None
    is_late: bool


@dataclass(frozen=True, slots=True)
class RunRow:
    """What became of one due time."""

    run: RunView
    outcome: Status


def list_page() -> dict[str, Any]:
    """Return the context of the list, in two queries."""
    schedules = list_schedules()
    runs = newest_runs([schedule.id for schedule in schedules])
    return {"section": "schedules", "rows": [schedule_row(each, runs.get(each.id, [])) for each in schedules]}


def rows_of_function(function: str) -> list[ScheduleRow]:
    """Return the schedules of a function, in two queries."""
    schedules = list_schedules(function=function)
    runs = newest_runs([schedule.id for schedule in schedules])
    return [schedule_row(each, runs.get(each.id, [])) for each in schedules]


def schedule_row(schedule: ScheduleView, runs: Sequence[RunView]) -> ScheduleRow:
    """Return one schedule as it is listed."""
    oldest_first = list(reversed(runs))
    statuses = [status_of(run) for run in oldest_first]
    squares = [
        (status.tone, f"{timezone.localtime(run.due_at):%Y-%m-%d %H:%M}: {status.label.lower()}")
        for run, status in zip(oldest_first, statuses, strict=True)
    ]
    label = f"The last {len(squares)}: " + ", ".join(status.label.lower() for status in statuses)
    return ScheduleRow(
        schedule=schedule,
        rule=recurrence(schedule).in_words(),
        strip=strip_svg(squares, label) if squares else SafeString(""),
        last=runs[0] if runs else None,
        last_status=statuses[-1] if statuses else None,
        is_late=is_late(schedule, timezone.now()),
    )


def schedule_page(schedule: ScheduleView, cursor: str | None) -> dict[str, Any]:
    """Return the context of one schedule."""
    now = timezone.now()
    rule = recurrence(schedule)
    page = runs_of(schedule.id, cursor, RUNS_A_PAGE)
    url = schedule_url(schedule.id)
    return {
        "section": "schedules",
        "schedule": schedule,
        "input": masked(schedule.input, masked_keys_of(schedule.function, schedule.version)),
        "rule": rule.in_words(),
        "upcoming": [] if schedule.paused_at else rule.upcoming(now, UPCOMING),
        "is_late": is_late(schedule, now),
        "overlap": OverlapPolicy(schedule.overlap).label,
        "catch_up": CatchUpPolicy(schedule.catch_up).label,
        "runs": [RunRow(run, SCHEDULE_OUTCOMES[run.outcome]) for run in page.items],
        "newer_url": f"{url}?cursor={page.previous}" if page.previous else "",
        "older_url": f"{url}?cursor={page.next}" if page.next else "",
    }


def status_of(run: RunView) -> Status:
    """Return how a run stands: of a started one, how its execution does."""
    if run.outcome == "STARTED" and run.execution_status is not None:
        return execution_status(run.execution_status)
    return SCHEDULE_OUTCOMES[run.outcome]


def recurrence(schedule: ScheduleView) -> Recurrence:
    """Return when a schedule is due."""
    return Recurrence(schedule.cron, schedule.timezone, schedule.every_seconds, schedule.anchor_at)


def is_late(schedule: ScheduleView, now: datetime) -> bool:
    """Whether it ought to have run by now: no scheduler is at work."""
    behind = late(schedule, now)
    return behind is not None and behind.total_seconds() > 60


def schedule_url(schedule_id: UUID) -> str:
    """Return the address of a schedule's page."""
    return reverse("dashboard:schedule-detail", args=[schedule_id])
