"""What supervisors look at: who has how much to decide, what nobody can decide, what is late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Avg, Count, F, Min, Q

from approvals.clock import database_now
from approvals.models import ApprovalRequest, Candidate, RequestHealth, RequestState
from durable_engine.queries.paging import Page, page_of

ROWS_A_PAGE = 50
MOST_LOADS = 200


@dataclass(frozen=True, slots=True)
class Load:
    """How many pending requests ask one user, group or permission, and since when the oldest does."""

    kind: str  # user, group, permission
    label: str
    pending: int
    overdue: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class ApprovalFigures:
    """Numbers of the requests that were closed in a time, and of those that are pending now.

    `seconds_to_decision` is the average over those people decided, None when there are none. `escalated` and `expired`
    count closed requests that were escalated, and that nobody decided in time.
    """

    pending: int
    overdue: int
    unhealthy: int
    decided: int
    expired: int
    escalated: int
    seconds_to_decision: float | None

    @property
    def escalation_rate(self) -> float | None:
        """The part of the closed requests that was escalated; None when there are none."""
        closed = self.decided + self.expired
        return self.escalated / closed if closed else None


def load() -> list[Load]:
    """Return who is asked how much, most first; at most 200 lines, in one query."""
    now = database_now()
    is_late = Q(request__due_at__lte=now, request__asked_at=None)
    rows = (
        Candidate.objects.filter(is_open=True, on_behalf_of=None)
        .values("user_id", "group_id", "permission", "label")
        .annotate(
            pending=Count("request", distinct=True),
            overdue=Count("request", distinct=True, filter=is_late),
            oldest_at=Min("request__opened_at"),
        )
        .order_by("-pending", "label")[:MOST_LOADS]
    )
    return [Load(_kind(row), row["label"], row["pending"], row["overdue"], row["oldest_at"]) for row in rows]


def unhealthy(cursor: str | None = None, limit: int = ROWS_A_PAGE) -> Page[ApprovalRequest]:
    """Return the pending requests that nobody can decide, or whose people could not be told."""
    return _page(_pending().exclude(health=RequestHealth.OK), cursor, limit)


def breaching(
    within: timedelta = timedelta(), cursor: str | None = None, limit: int = ROWS_A_PAGE
) -> Page[ApprovalRequest]:
    """Return the pending requests that are overdue, or will be `within` that time."""
    limit_at = database_now() + within
    return _page(_pending().filter(due_at__lte=limit_at, asked_at=None), cursor, limit)


def pending_requests(cursor: str | None = None, limit: int = ROWS_A_PAGE) -> Page[ApprovalRequest]:
    """Return every pending request, most urgent first."""
    return _page(_pending(), cursor, limit)


def stuck_count(cap: int = 100) -> int:
    """Return how many pending requests nobody can decide, or whose people could not be told; at most `cap`."""
    rows = ApprovalRequest.objects.filter(state=RequestState.PENDING).exclude(health=RequestHealth.OK)
    return rows.order_by()[:cap].values("pk").count()


def figures(since: timedelta = timedelta(days=7), *, function: str = "") -> ApprovalFigures:
    """Return the numbers of the last days: three queries."""
    now = database_now()
    of_function = Q(function=function) if function else Q()
    closed = ApprovalRequest.objects.filter(of_function, closed_at__gt=now - since).exclude(
        state__in=[RequestState.PENDING, RequestState.CANCELLED]
    )
    decided = ~Q(state=RequestState.EXPIRED)
    sums = closed.aggregate(
        decided=Count("pk", filter=decided),
        expired=Count("pk", filter=Q(state=RequestState.EXPIRED)),
        escalated=Count("pk", filter=Q(escalation_level__gt=0)),
        seconds=Avg(F("closed_at") - F("opened_at"), filter=decided),
    )
    pending = ApprovalRequest.objects.filter(of_function, state=RequestState.PENDING).aggregate(
        pending=Count("pk"),
        overdue=Count("pk", filter=Q(due_at__lte=now, asked_at=None)),
        unhealthy=Count("pk", filter=~Q(health=RequestHealth.OK)),
    )
    seconds = sums.pop("seconds")
    return ApprovalFigures(**pending, **sums, seconds_to_decision=None if seconds is None else seconds.total_seconds())


def people(search: str = "", limit: int = 20) -> list[Any]:
    """Return active users whose name begins with the text, for choosing a colleague."""
    name = get_user_model().USERNAME_FIELD
    users = get_user_model()._default_manager.filter(is_active=True)
    if search:
        users = users.filter(**{f"{name}__istartswith": search.replace("\x00", "")})
    return list(users.order_by(name)[:limit])


def _pending() -> Any:
    return ApprovalRequest.objects.filter(state=RequestState.PENDING).defer("description", "details", "form")


def _page(rows: Any, cursor: str | None, limit: int) -> Page[ApprovalRequest]:
    return page_of(rows, cursor, limit, field="urgent_at", descending=False, make=lambda row: row)


def _kind(row: Mapping[str, Any]) -> str:
    if row["user_id"] is not None:
        return "user"
    return "group" if row["group_id"] is not None else "permission"
