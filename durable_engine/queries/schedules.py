"""Schedules for people: what they do, when they are due next, what became of their times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import F, OuterRef, Q, Subquery, Window
from django.db.models.functions import RowNumber

from durable_engine.models import Execution, RunOutcome, Schedule, ScheduleRun
from durable_engine.queries.paging import Page, page_of

NEWEST_RUNS: Final = 20


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """One schedule. `version` None is the newest; `next_at` None says that its rule has no further time."""

    id: UUID
    name: str
    function: str
    version: int | None
    input: str
    tags: Mapping[str, Any]
    cron: str
    timezone: str
    every_seconds: int | None
    anchor_at: datetime
    overlap: str
    catch_up: str
    next_at: datetime | None
    paused_at: datetime | None
    paused_by: str
    pause_reason: str
    revision: int
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class RunView:
    """One due time, or start by hand. `execution_status` is None when nothing was started, or it is deleted."""

    id: UUID
    due_at: datetime
    outcome: str
    decided_at: datetime
    execution_id: UUID | None
    count: int
    note: str
    started_by: str
    execution_status: str | None


_FIELDS: Final = tuple(ScheduleView.__dataclass_fields__)
_RUN_FIELDS: Final = tuple(name for name in RunView.__dataclass_fields__ if name not in {"id", "execution_status"})


def list_schedules(*, function: str | None = None) -> list[ScheduleView]:
    """Return all schedules by name, of one function if it is given."""
    rows = Schedule.objects.all() if function is None else Schedule.objects.filter(function=function)
    return [ScheduleView(*row) for row in rows.order_by("name").values_list(*_FIELDS)]


def schedule_with(schedule_id: UUID) -> ScheduleView | None:
    """Return one schedule, or None if there is none."""
    row = Schedule.objects.filter(pk=schedule_id).values_list(*_FIELDS).first()
    return None if row is None else ScheduleView(*row)


def runs_of(schedule_id: UUID, cursor: str | None = None, limit: int = 50) -> Page[RunView]:
    """Return a page of what became of a schedule's times, the newest first."""
    rows = _runs(Q(schedule=schedule_id)).values_list(*RunView.__dataclass_fields__, named=True)
    return page_of(rows, cursor, limit, field="due_at", descending=True, make=lambda row: RunView(*row))


def newest_runs(schedule_ids: Sequence[UUID]) -> dict[UUID, list[RunView]]:
    """Return the last runs of each schedule, the newest first, in one query."""
    ranked = (
        ScheduleRun.objects.filter(schedule__in=schedule_ids)
        .annotate(place=Window(RowNumber(), partition_by=F("schedule"), order_by=F("due_at").desc()))
        .filter(place__lte=NEWEST_RUNS)
        .annotate(id=F("schedule_id"), execution_status=_status())
        .order_by("schedule", "-due_at")
    )
    found: dict[UUID, list[RunView]] = defaultdict(list)
    for row in ranked.values_list(*RunView.__dataclass_fields__):
        found[row[0]].append(RunView(*row))
    return found


def troubled_schedules(since: datetime) -> list[tuple[ScheduleView, RunView]]:
    """Return the schedules that are not paused and whose newest time, since then, was refused or missed."""
    newest = ScheduleRun.objects.filter(schedule=OuterRef("pk")).order_by("-due_at")
    rows = Schedule.objects.filter(paused_at=None).annotate(
        newest_outcome=Subquery(newest.values("outcome")[:1]), newest_due=Subquery(newest.values("due_at")[:1])
    )
    bad = rows.filter(newest_outcome__in=[RunOutcome.REFUSED, RunOutcome.MISSED], newest_due__gte=since)
    views = [ScheduleView(*row) for row in bad.order_by("name").values_list(*_FIELDS)[:NEWEST_RUNS]]
    runs = newest_runs([view.id for view in views]) if views else {}
    return [(view, runs[view.id][0]) for view in views if runs.get(view.id)]


def _runs(condition: Q) -> Any:
    return ScheduleRun.objects.filter(condition).annotate(id=F("schedule_id"), execution_status=_status())


def _status() -> Subquery:
    return Subquery(Execution.objects.visible().filter(pk=OuterRef("execution_id")).values("status")[:1])


def late(schedule: ScheduleView, now: datetime) -> timedelta | None:
    """Return by how much a schedule that should have run has not, or None when it is not due or paused."""
    if schedule.paused_at is not None or schedule.next_at is None or schedule.next_at >= now:
        return None
    return now - schedule.next_at
