"""The list of executions and its refresh."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.execution_list import list_page, list_refresh
from dashboard.filters import ListFilters
from durable_engine.access import require_permission

MOST_ROWS = 100


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_list(request: HttpRequest) -> HttpResponse:
    """Show one page of executions, newest first."""
    filters = ListFilters.of_request(request.GET)
    with_messages = request.user.has_perm("durable_engine.view_payload")
    context = list_page(filters, request.GET.get("cursor"), with_messages=with_messages)
    return render(request, "dashboard/execution_list.html", context)


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_list_poll(request: HttpRequest) -> HttpResponse:
    """Answer 204 while the rows on screen are as they were and nothing new matches, else the changed regions."""
    filters = ListFilters.of_request(request.GET)
    with_messages = request.user.has_perm("durable_engine.view_payload")
    ids = _ids(request.GET.get("ids", ""))
    context = list_refresh(filters, ids, request.GET.get("on_first_page") == "1", with_messages=with_messages)
    if context["version"] == request.GET.get("v"):
        return HttpResponse(status=204)
    return render(request, "dashboard/execution_list_poll.html", context)


def _ids(text: str) -> list[UUID]:
    ids = []
    for item in text.split(",")[:MOST_ROWS]:
        try:
            ids.append(UUID(item))
        except ValueError:
            continue
    return ids
