"""What the page of one execution shows: the heading's parts, and the parts of the chosen tab."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone

from dashboard.actions import actions_of
from dashboard.banner import banner_of
from dashboard.seen import Seen
from dashboard.statuses import execution_status
from dashboard.tabs.data import data_tab
from dashboard.tabs.history import history_tab
from dashboard.tabs.logs import logs_tab
from dashboard.tabs.relations import relations_tab
from dashboard.tabs.steps import steps_tab
from dashboard.tabs.timeline import overview_tab, timeline_tab, timeline_window
from durable_engine.queries.executions import ExecutionSummary, execution_revision
from durable_engine.queries.waiting import WaitReason, wait_reasons

# A poll of a long live execution costs the database more, so it asks less often.
POLL_SECONDS = 2
LONG_EVENTS = 2_000
LONG_POLL_SECONDS = 5
# Workers write what handlers log within a second or two, so the last records come after the end.
LAST_RECORDS_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Tab:
    """One part of the page: its word, its URL name and what makes its context."""

    label: str
    url_name: str
    context: Callable[[Seen], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class TabChoice:
    """One tab of the bar."""

    label: str
    url: str
    is_chosen: bool


TABS: Mapping[str, Tab] = {
    "overview": Tab("Overview", "detail", overview_tab),
    "timeline": Tab("Timeline", "timeline", timeline_tab),
    "steps": Tab("Steps", "steps", steps_tab),
    "history": Tab("History", "history", history_tab),
    "relations": Tab("Relations", "relations", relations_tab),
    "data": Tab("Data", "data", data_tab),
    "logs": Tab("Logs", "logs", logs_tab),
}


def revision_of_page(execution_id: UUID, tab: str) -> str | None:
    """Return a text that changes whenever the page does, None if there is no such execution."""
    return execution_revision(execution_id, with_logs=tab == "logs")


def page_of(request: HttpRequest, execution: ExecutionSummary, revision: str | None, tab: str) -> dict[str, Any]:
    """Return the context of the page, or of its refresh, for one tab."""
    seen = Seen(request, execution)
    reasons = wait_reasons(execution)
    banner = banner_of(execution, reasons, with_messages=seen.may("view_payload"))
    return {
        "section": "executions",
        # Without a name of its own it was named after its id, which is among the facts.
        # As pairs: a template that looks up `tags.items` finds a tag of that name instead.
        "tags": sorted(execution.tags.items()),
        "has_name": execution.name != str(execution.id),
        # A banner says in full what the sentence would say.
        "waiting": _sentence(reasons, execution) if banner is None else "",
        "banner": banner,
        "compare_url": seen.url("compare") if execution.status in {"FAILED", "TIMED_OUT"} else "",
        "actions": actions_of(seen),
        "tabs": [TabChoice(each.label, seen.url(each.url_name), key == tab) for key, each in TABS.items()],
        "tab": tab,
        "tab_template": f"dashboard/execution/_{tab}.html",
        "live_template": f"dashboard/execution/_{tab}_live.html",
        **_poll(seen, revision, tab),
        **TABS[tab].context(seen),
    }


def window_of(request: HttpRequest, execution: ExecutionSummary, revision: str | None) -> dict[str, Any]:
    """Return the context of another window of the timeline, and of the poll that keeps it fresh."""
    seen = Seen(request, execution)
    return _poll(seen, revision, "timeline") | timeline_window(seen)


def _poll(seen: Seen, revision: str | None, tab: str) -> dict[str, Any]:
    execution = seen.execution
    ends = None
    if tab == "logs" and execution.closed_at is not None:
        ends = int(execution.closed_at.timestamp()) + LAST_RECORDS_SECONDS
    return {
        "execution": execution,
        "revision": revision,
        "is_live": execution.closed_at is None or not is_over(ends),
        "poll_url": _poll_url(seen, tab, ends),
        "poll_seconds": LONG_POLL_SECONDS if execution.last_event_id > LONG_EVENTS else POLL_SECONDS,
        "server_now": timezone.now().isoformat(),
    }


def _sentence(reasons: Sequence[WaitReason], execution: ExecutionSummary) -> str:
    """What it waits for, unless that is no more than the badge beside it says."""
    text = reasons[0].text if reasons else ""
    return "" if text == execution_status(execution.status).label else text


def is_over(ends: object) -> bool:
    """Whether a page that polls until `ends`, in seconds since 1970, may stop; one without that time may."""
    text = str(ends)
    return not text.isdecimal() or time.time() >= int(text[:12])


def _poll_url(seen: Seen, tab: str, ends: int | None) -> str:
    """The address of the refresh: what the page itself was asked for goes with it, and when it ends."""
    asked = [(name, value) for name, value in seen.request.GET.items() if name not in {"tab", "v", "ends"}]
    last = [] if ends is None else [("ends", str(ends))]
    return f"{seen.url('poll')}?{urlencode([('tab', tab), *asked, *last])}"
