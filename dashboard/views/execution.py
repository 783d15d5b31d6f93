"""The page of one execution: a heading and one of four tabs, refreshed together by one poll."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.execution_page import TABS, page_of
from dashboard.views.common import execution_or_404
from durable_engine.access import require_permission
from durable_engine.queries.executions import execution_revision


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_detail(request: HttpRequest, execution_id: UUID, tab: str) -> HttpResponse:
    """Show one tab."""
    # The revision before the rest: a change in between is shown again by the first poll instead of being missed.
    revision = execution_revision(execution_id)
    execution = execution_or_404(execution_id)
    return render(request, "dashboard/execution_detail.html", page_of(request, execution, revision, tab))


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_poll(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Answer 204 after one indexed read while nothing has changed, else the changed regions of a tab."""
    revision = execution_revision(execution_id)
    if revision is not None and revision == request.GET.get("v"):
        return HttpResponse(status=204)
    execution = execution_or_404(execution_id)
    tab = request.GET.get("tab", "")
    context = page_of(request, execution, revision, tab if tab in TABS else "overview")
    return render(request, "dashboard/execution_poll.html", context)
