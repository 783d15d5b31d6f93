"""Failures by what looks alike: groups, their members, their course."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet
from django.db.models.functions import TruncHour

from durable_engine.models import Failure, FailureCount, FailureGroup, FailureGroupStatus, Function
from durable_engine.models.visible import visible_condition
from durable_engine.queries.paging import Page, page_of
from durable_engine.queries.visible import of_visible

COUNT_CAP: Final = 1_000
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group. `operation` is what failed, `frame` where in the handler's own code, `message_shape` a payload.

    `reopened_at` is when something of it failed after it had been resolved.
    """

    id: UUID
    kind: str
    function: str
    operation: str
    error_type: str
    frame: str
    message_shape: str
    first_seen: datetime
    last_seen: datetime
    first_version: int
    last_version: int
    count: int
    status: str
    status_at: datetime | None
    status_by: str
    reopened_at: datetime | None


@dataclass(frozen=True, slots=True)
class MemberView:
    """One execution of a group, as it stands now. `superseded_by` took over its name, as a redriven one does."""

    id: UUID
    at: datetime
    version: int
    name: str
    status: str
    superseded_by: UUID | None
    created_at: datetime
    closed_at: datetime | None


_FIELDS: Final = tuple(GroupView.__dataclass_fields__)


def list_groups(
    status: str = FailureGroupStatus.OPEN, cursor: str | None = None, limit: int = 50, *, function: str | None = None
) -> Page[GroupView]:
    """Return a page of groups, the one that failed last first."""
    condition = Q(status=status)
    if function:
        condition &= Q(function=function)
    rows = _groups().filter(condition).values_list(*_FIELDS, named=True)
    page = page_of(rows, cursor, limit, field="last_seen", descending=True, make=lambda row: GroupView(*row))
    return replace(page, items=_as_seen(page.items))


def group_with(group_id: UUID) -> GroupView | None:
    """Return one group, or None if there is none."""
    row = _groups().filter(pk=group_id).values_list(*_FIELDS).first()
    return None if row is None else _as_seen([GroupView(*row)])[0]


def group_of_execution(execution_id: UUID) -> UUID | None:
    """Return the group that an execution's newest failure belongs to; None before the sweep has seen it."""
    rows = Failure.objects.filter(execution_id=execution_id).order_by("-at")
    return rows.values_list("group_id", flat=True).first()


def group_counts() -> dict[str, int]:
    """Return how many groups have each status; one above the cap stands for more."""
    return {
        status.value: _groups().filter(status=status).order_by()[: COUNT_CAP + 1].count()
        for status in FailureGroupStatus
    }


def recent_groups(since: datetime, limit: int) -> list[GroupView]:
    """Return the open groups that failed since then, the one that failed last first."""
    rows = _groups().filter(status=FailureGroupStatus.OPEN, last_seen__gte=since).order_by("-last_seen")
    return _as_seen([GroupView(*row) for row in rows.values_list(*_FIELDS)[:limit]])


def functions_with_groups() -> list[str]:
    """Return the names of the functions that have a group."""
    return list(_groups().order_by("function").values_list("function", flat=True).distinct())


def members_of(group_id: UUID, cursor: str | None = None, limit: int = 50) -> Page[MemberView]:
    """Return a page of a group's executions, the newest failure first; deleted ones are left out."""
    rows = (
        Failure.objects.filter(of_visible("execution"), group_id=group_id, execution__created_at__isnull=False)
        .annotate(
            id=F("execution_id"),
            name=F("execution__name"),
            status=F("execution__status"),
            superseded_by=F("execution__superseded_by"),
            created_at=F("execution__created_at"),
            closed_at=F("execution__closed_at"),
        )
        .values_list(*MemberView.__dataclass_fields__, named=True)
    )
    return page_of(rows, cursor, limit, field="at", descending=True, make=lambda row: MemberView(*row))


def standing_members(group: GroupView, limit: int) -> list[UUID]:
    """Return the executions of a group that still stand as they failed, the newest failure first: not redriven yet."""
    standing = Q(execution__status=group.kind, execution__superseded_by=None)
    rows = Failure.objects.filter(standing, of_visible("execution"), group_id=group.id)
    return list(rows.order_by("-at", "-execution_id").values_list("execution_id", flat=True)[:limit])


def count_standing(group: GroupView) -> int:
    """Return how many of a group still stand as they failed; one above the cap stands for more."""
    return len(standing_members(group, COUNT_CAP + 1))


def hourly_counts(group_ids: Sequence[UUID], hours: int, now: datetime) -> dict[UUID, list[int]]:
    """Return how many failures each group had in each of the last hours, the oldest first, in one query."""
    newest = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    oldest = newest - (hours - 1) * HOUR
    counts: dict[UUID, list[int]] = defaultdict(lambda: [0] * hours)
    for group_id, at, count in _counted(group_ids, oldest):
        place = (at - oldest) // HOUR
        if place < hours:
            counts[group_id][place] = count
    return {group_id: counts[group_id] for group_id in group_ids}


def latest_versions(functions: Sequence[str]) -> dict[str, int]:
    """Return the newest registered version of each function."""
    rows = Function.objects.filter(name__in=functions).order_by().values("name").annotate(latest=Max("version"))
    return {row["name"]: row["latest"] for row in rows}


def _groups() -> QuerySet[FailureGroup]:
    """The groups of which somebody may see an execution."""
    if visible_condition() is None:
        return FailureGroup.objects.all()
    return FailureGroup.objects.filter(Exists(Failure.objects.filter(of_visible("execution"), group_id=OuterRef("pk"))))


def _as_seen(groups: Sequence[GroupView]) -> list[GroupView]:
    """The groups with the counts and times of what may be seen of them."""
    if visible_condition() is None or not groups:
        return list(groups)
    members = Failure.objects.filter(of_visible("execution"), group_id__in=[group.id for group in groups])
    seen = members.order_by().values_list("group_id").annotate(n=Count("at"), first=Min("at"), last=Max("at"))
    facts = {group_id: (count, first, last) for group_id, count, first, last in seen}
    return [
        replace(group, count=facts[group.id][0], first_seen=facts[group.id][1], last_seen=facts[group.id][2])
        for group in groups
        if group.id in facts
    ]


def _counted(group_ids: Sequence[UUID], oldest: datetime) -> Iterable[tuple[UUID, datetime, int]]:
    if visible_condition() is None:
        rows = FailureCount.objects.filter(group_id__in=group_ids, starts_at__gte=oldest)
        return rows.values_list("group_id", "starts_at", "count")
    members = Failure.objects.filter(of_visible("execution"), group_id__in=group_ids, at__gte=oldest)
    hours = members.order_by().annotate(hour=TruncHour("at", tzinfo=UTC)).values_list("group_id", "hour")
    return hours.annotate(n=Count("at"))
