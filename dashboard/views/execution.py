"""The page of one execution: a heading and one of its tabs, refreshed together by one poll."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.execution_page import TABS, is_over, page_of, revision_of_page, window_of
from dashboard.views.common import execution_or_404
from durable_engine.access import require_permission


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_detail(request: HttpRequest, execution_id: UUID, tab: str) -> HttpResponse:
    """Show one tab."""
    # The revision before the rest: a change in between is shown again by the first poll instead of being missed.
    revision = revision_of_page(execution_id, tab)
    execution = execution_or_404(execution_id)
    return render(request, "dashboard/execution_detail.html", page_of(request, execution, revision, tab))


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_window(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Give another window of the timeline to a page that shows one."""
    revision = revision_of_page(execution_id, "timeline")
    execution = execution_or_404(execution_id)
    return render(request, "dashboard/execution_timeline_window.html", window_of(request, execution, revision))


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_poll(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Answer 204 after one indexed read while nothing has changed, else the changed regions of a tab."""
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "overview"
    revision = revision_of_page(execution_id, tab)
    # Unchanged, but for a page that has waited long enough for what may still come.
    has_ended = "ends" in request.GET and is_over(request.GET["ends"])
    if revision is not None and revision == request.GET.get("v") and not has_ended:
        return HttpResponse(status=204)
    execution = execution_or_404(execution_id)
    context = page_of(request, execution, revision, tab)
    return render(request, "dashboard/execution_poll.html", context)
