"""The list of executions and its refresh."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.bulk import choices_for
from dashboard.execution_list import Shown, list_now, list_page, list_refresh
from dashboard.filters import ListFilters
from durable_engine.access import require_permission
from durable_engine.queries.saved_views import views_for


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_list(request: HttpRequest) -> HttpResponse:
    """Show one page of executions, newest first."""
    filters = ListFilters.of_request(request.GET)
    with_messages = request.user.has_perm("durable_engine.view_payload")
    context = list_page(filters, request.GET.get("cursor"), with_messages=with_messages)
    context |= _views(request, filters) | {"bulk_choices": choices_for(request.user)}
    return render(request, "dashboard/execution_list.html", context)


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_list_poll(request: HttpRequest) -> HttpResponse:
    """Answer 204 while the rows on screen are as they were and nothing new matches, else the changed regions."""
    filters, shown = ListFilters.of_request(request.GET), Shown.of_request(request.GET)
    standing = list_now(filters, shown)
    if standing.version == request.GET.get("v"):
        return HttpResponse(status=204)
    with_messages = request.user.has_perm("durable_engine.view_payload")
    context = list_refresh(filters, shown, standing, with_messages=with_messages)
    context["bulk_choices"] = choices_for(request.user)
    return render(request, "dashboard/execution_list_poll.html", context)


def _views(request: HttpRequest, filters: ListFilters) -> dict[str, Any]:
    """The person's saved views, and which of them this list is."""
    views = views_for(request.user.pk) if request.user.pk is not None else []
    current = next((view for view in views if view.query == filters.query_string), None)
    return {"saved_views": views, "current_view": current}
