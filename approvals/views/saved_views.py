"""Views of the inbox that people keep."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from approvals.rendering import inbox_page
from approvals.views.common import person_page, user_of
from durable_engine.queries.saved_views import APPROVALS
from durable_engine.services.actors import APPROVALS as CHANNEL
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError, SavedViewNotFound
from durable_engine.services.saved_views import delete_view, save_view


@person_page
@require_POST
def view_save(request: HttpRequest) -> HttpResponse:
    """Keep the list as it is filtered."""
    # Read and written again: what is kept is a query that the inbox understands.
    query = inbox_page.kept_query(request.POST.get("query", ""))
    actor = Actor.of_user(user_of(request), CHANNEL)
    name, shared = request.POST.get("name", ""), request.POST.get("shared") == "1"
    try:
        save_view(name, query, actor=actor, shared=shared, page=APPROVALS)
    except DurableServiceError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The view “%(name)s” is kept.") % {"name": name.strip()})
    return redirect(inbox_page.view_url(query))


@person_page
@require_POST
def view_delete(request: HttpRequest, view_id: UUID) -> HttpResponse:
    """Delete a view of one's own, or a shared one with the right to."""
    of_anybody = request.user.has_perm("durable_engine.delete_savedview")
    try:
        delete_view(view_id, actor=Actor.of_user(user_of(request), CHANNEL), of_anybody=of_anybody, page=APPROVALS)
    except SavedViewNotFound as error:
        raise Http404(str(error)) from None
    messages.success(request, _("The view is deleted."))
    return redirect("approvals:inbox")
