"""What the failures page and the page of one group show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from dashboard.bars import Bar, bars_svg
from dashboard.statuses import EXECUTION_STATUSES, Status
from durable_engine.queries import failures
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.executions import outcome_of
from durable_engine.queries.failures import GroupView, MemberView
from durable_engine.queries.paging import Page

ROWS_A_PAGE = 50
TABS = {"OPEN": "Open", "RESOLVED": "Resolved", "MUTED": "Muted"}
DAY_HOURS = 24
WEEK_HOURS = 7 * 24
NEW = timedelta(hours=24)
# What brings each kind on again, and what it is called.
RETRIES = {"FAILED": ("redrive", "Retry"), "TIMED_OUT": ("redrive", "Retry"), "PAUSED": ("resume", "Resume")}
PAUSE_WORDS = {
    "crashes": "Worker kept dying",
    "divergence": "Code no longer matches the history",
    "undecodable": "A recorded value can't be read",
    "suspension": "Handler swallowed the signal to suspend",
}


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group, with its words and its last day as bars."""

    group: GroupView
    bars: SafeString
    day_count: int
    is_new: bool
    since_version: int | None

    @property
    def status(self) -> Status:
        """How its members ended."""
        return EXECUTION_STATUSES[self.group.kind]

    @property
    def title(self) -> str:
        """What went wrong, without the message, which not everybody may see."""
        return title_of(self.group)


def title_of(group: GroupView) -> str:
    """Return what went wrong in words."""
    if group.kind == "PAUSED":
        return PAUSE_WORDS.get(group.error_type, "Paused")
    return group.error_type or EXECUTION_STATUSES[group.kind].label


def row_of(group: GroupView, hourly: Sequence[int], latest: Mapping[str, int], now: datetime) -> GroupRow:
    """Return a group as it is shown. `latest` has the newest version of its function."""
    is_recent = now - group.first_seen < NEW
    # A first version that is the newest of several tells which deploy brought it.
    newest = latest.get(group.function, 1)
    since_version = group.first_version if group.first_version == newest > 1 else None
    label = f"{sum(hourly):,} in the last {len(hourly)} hours"
    drawn = bars_svg([Bar([("failed", count)]) for count in hourly], label, "bars bars-small")
    return GroupRow(group, drawn, sum(hourly), is_recent or since_version is not None, since_version)


def rows_of(groups: Sequence[GroupView]) -> list[GroupRow]:
    """Return groups as they are shown, in two queries."""
    now = timezone.now()
    hourly = failures.hourly_counts([group.id for group in groups], DAY_HOURS, now)
    latest = failures.latest_versions([group.function for group in groups])
    return [row_of(group, hourly[group.id], latest, now) for group in groups]


def list_page(status: str, function: str, cursor: str | None) -> dict[str, Any]:
    """Return the context of the list."""
    page = failures.list_groups(status, cursor, ROWS_A_PAGE, function=function or None)
    counts = failures.group_counts()
    return {
        "section": "failures",
        "rows": rows_of(page.items),
        "tabs": [(label, _list_url(code, function), counts[code], code == status) for code, label in TABS.items()],
        "count_cap": failures.COUNT_CAP,
        "nothing_yet": not any(counts.values()),
        "status": status,
        "function": function,
        "function_names": failures.functions_with_groups(),
        "newer_url": _list_url(status, function, page.previous) if page.previous else "",
        "older_url": _list_url(status, function, page.next) if page.next else "",
    }


def group_page(group: GroupView, cursor: str | None, *, with_messages: bool) -> dict[str, Any]:
    """Return the context of one group."""
    now = timezone.now()
    hourly = failures.hourly_counts([group.id], WEEK_HOURS, now)[group.id]
    members = failures.members_of(group.id, cursor, ROWS_A_PAGE)
    url = reverse("dashboard:failure-detail", args=[group.id])
    return {
        "section": "failures",
        "group": group,
        "title": title_of(group),
        "status": EXECUTION_STATUSES[group.kind],
        "status_label": TABS[group.status],
        "members": members.items,
        "standing": failures.count_standing(group),
        "count_cap": failures.COUNT_CAP,
        "retry_label": RETRIES[group.kind][1],
        "newest": members.items[0] if members.items and not members.previous else None,
        "error": _newest_error(members) if with_messages else None,
        "week": _week(hourly),
        "week_count": sum(hourly),
        "newer_url": f"{url}?{urlencode({'cursor': members.previous})}" if members.previous else "",
        "older_url": f"{url}?{urlencode({'cursor': members.next})}" if members.next else "",
    }


def _newest_error(members: Page[MemberView]) -> ErrorView | None:
    """The error of the newest member, shown on the first page only."""
    if not members.items or members.previous:
        return None
    outcome = outcome_of(members.items[0].id)
    return outcome.error if outcome else None


def _week(hourly: Sequence[int]) -> SafeString:
    """Seven days in steps of four hours."""
    steps = [sum(hourly[start : start + 4]) for start in range(0, len(hourly), 4)]
    bars = [Bar([("failed", count)], f"{count:,}") for count in steps]
    return bars_svg(bars, f"{sum(hourly):,} in the last seven days")


def _list_url(status: str, function: str, cursor: str | None = None) -> str:
    values = {"status": "" if status == "OPEN" else status, "function": function, "cursor": cursor or ""}
    query = urlencode({name: value for name, value in values.items() if value})
    return reverse("dashboard:failure-list") + (f"?{query}" if query else "")


def group_url(group_id: UUID) -> str:
    """Return the address of a group's page."""
    return reverse("dashboard:failure-detail", args=[group_id])
