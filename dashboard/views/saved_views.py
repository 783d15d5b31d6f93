"""Views of the executions list that people keep."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from dashboard.filters import ListFilters
from durable_engine.access import require_permission
from durable_engine.queries.saved_views import views_for
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError, SavedViewNotFound
from durable_engine.services.saved_views import delete_view, save_view


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def saved_view_list(request: HttpRequest) -> HttpResponse:
    """List the views that the person sees, with what each filters."""
    views = views_for(request.user.pk or 0)
    rows = [(view, ListFilters.of_query_string(view.query).chips()) for view in views]
    return render(request, "dashboard/saved_view_list.html", {"section": "settings", "rows": rows})


@require_permission("durable_engine.view_execution")
@require_POST
def saved_view_save(request: HttpRequest) -> HttpResponse:
    """Keep the list as it is filtered."""
    # Read and written again: what is kept is a query that the list understands.
    query = ListFilters.of_query_string(request.POST.get("query", "")).query_string
    actor = Actor.of_user(request.user)  # type: ignore[arg-type]  # the decorator let no anonymous in
    name = request.POST.get("name", "")
    try:
        save_view(name, query, actor=actor, shared=request.POST.get("shared") == "1")
    except DurableServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"The view “{name.strip()}” is kept.")
    return redirect(f"{reverse('dashboard:execution-list')}{f'?{query}' if query else ''}")


@require_permission("durable_engine.view_execution")
@require_POST
def saved_view_delete(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Delete a view of one's own, or a shared one with the right to."""
    actor = Actor.of_user(request.user)  # type: ignore[arg-type]  # the decorator let no anonymous in
    try:
        delete_view(view_id, actor=actor, of_anybody=request.user.has_perm("durable_engine.delete_savedview"))
    except SavedViewNotFound as error:
        raise Http404(str(error)) from None
    messages.success(request, "The view is deleted.")
    return redirect("dashboard:saved-view-list" if "in_settings" in request.POST else "dashboard:execution-list")
