"""What the page of one execution shows: the heading's parts, and the parts of the chosen tab."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from dashboard.banner import banner_of
from dashboard.history_rows import event_rows
from dashboard.statuses import execution_status
from dashboard.steps import step_rows
from dashboard.timeline import Run, build_timeline
from dashboard.timeline_svg import legend_of, timeline_svg
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.history import history
from durable_engine.queries.operations import OperationView, invocations_of, operations_of
from durable_engine.queries.waiting import waiting_for

EVENTS_A_PAGE = 200


@dataclass(frozen=True, slots=True)
class TabChoice:
    """One tab of the bar."""

    label: str
    url: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ActionChoice:
    """One button of the heading."""

    key: str
    label: str
    url: str
    style: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a tab is made from."""

    request: HttpRequest
    execution: ExecutionSummary
    operations: Sequence[OperationView]


def page_of(request: HttpRequest, execution: ExecutionSummary, revision: str | None, tab: str) -> dict[str, Any]:
    """Return the context of the page, or of its refresh, for one tab."""
    operations = operations_of(execution.id)
    with_messages = request.user.has_perm("durable_engine.view_payload")
    banner = banner_of(execution, operations, with_messages=with_messages)
    return {
        "section": "executions",
        "execution": execution,
        # Without a name of its own it was named after its id, which is among the facts.
        # As pairs: a template that looks up `tags.items` finds a tag of that name instead.
        "tags": sorted(execution.tags.items()),
        "has_name": execution.name != str(execution.id),
        # A banner says in full what the sentence would say.
        "waiting": _sentence(waiting_for(execution), execution) if banner is None else "",
        "banner": banner,
        "actions": _actions(request, execution),
        "tabs": _tabs(execution, tab),
        "tab_template": f"dashboard/execution/_{tab}.html",
        "live_template": f"dashboard/execution/_{tab}_live.html",
        "revision": revision,
        "poll_url": _poll_url(request, execution, tab),
        "server_now": timezone.now().isoformat(),
        **TABS[tab](_Seen(request, execution, operations)),
    }


def _timeline(seen: _Seen) -> dict[str, Any]:
    execution = seen.execution
    run = Run(execution.status, execution.created_at, execution.closed_at)
    timeline = build_timeline(run, seen.operations, invocations_of(execution.id), timezone.now())
    return {
        "timeline": timeline,
        "timeline_svg": timeline_svg(timeline),
        "steps_url": reverse("dashboard:execution-steps", args=[execution.id]),
        "legend": legend_of(timeline),
    }


def _steps(seen: _Seen) -> dict[str, Any]:
    may_operate = seen.request.user.has_perm("durable_engine.operate_execution")
    return {"operation_rows": step_rows(seen.execution, seen.operations, may_operate=may_operate)}


def _history(seen: _Seen) -> dict[str, Any]:
    after = _whole_number(seen.request.GET.get("after", ""))
    # One more than is shown tells whether there is another page.
    events = history(seen.execution.id, include_data=False, after=after, limit=EVENTS_A_PAGE + 1)
    rows = event_rows(events[:EVENTS_A_PAGE], seen.execution.created_at)
    return {
        "events": rows,
        "newer_url": f"?after={max(after - EVENTS_A_PAGE, 0)}" if after else "",
        "older_url": f"?after={rows[-1].id}" if len(events) > EVENTS_A_PAGE else "",
        "newer_label": "Earlier events",
        "older_label": "Later events",
    }


TABS: Mapping[str, Callable[[_Seen], dict[str, Any]]] = {
    "overview": _timeline,
    "timeline": _timeline,
    "steps": _steps,
    "history": _history,
}
URL_NAMES = {
    "overview": "execution-detail",
    "timeline": "execution-timeline",
    "steps": "execution-steps",
    "history": "execution-history",
}


def _sentence(waiting: str, execution: ExecutionSummary) -> str:
    """What it waits for, unless that is no more than the badge beside it says."""
    return "" if waiting == execution_status(execution.status).label else waiting


def _tabs(execution: ExecutionSummary, chosen: str) -> list[TabChoice]:
    return [
        TabChoice(tab.capitalize(), reverse(f"dashboard:{name}", args=[execution.id]), tab == chosen)
        for tab, name in URL_NAMES.items()
    ]


def _actions(request: HttpRequest, execution: ExecutionSummary) -> list[ActionChoice]:
    """What the person may do to it now. An ended execution can't be changed any more."""
    if execution.closed_at is not None:
        return []
    choices = []
    if request.user.has_perm("durable_engine.operate_execution"):
        key, label = ("resume", "Resume") if execution.status == "PAUSED" else ("pause", "Pause")
        choices.append(ActionChoice(key, label, reverse(f"dashboard:execution-{key}", args=[execution.id]), ""))
    if request.user.has_perm("durable_engine.stop_execution"):
        url = reverse("dashboard:execution-stop", args=[execution.id])
        choices.append(ActionChoice("stop", "Stop", url, "button-danger"))
    return choices


def _poll_url(request: HttpRequest, execution: ExecutionSummary, tab: str) -> str:
    parameters = {"tab": tab}
    if after := _whole_number(request.GET.get("after", "")):
        parameters["after"] = str(after)
    return f"{reverse('dashboard:execution-poll', args=[execution.id])}?{urlencode(parameters)}"


def _whole_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0
