"""The home page: what needs a person now."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.home import home_page
from durable_engine.access import require_permission, signed_in
from durable_engine.queries.attention import attention_revision


@signed_in
@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show what needs a person, and how the processes are; to people who only decide, what waits for them."""
    if not request.user.has_perm("durable_engine.view_execution"):
        return redirect("approvals:inbox")
    # The revision before the rest: a change in between is shown again by the first poll instead of being missed.
    revision = attention_revision()
    return render(request, "dashboard/home.html", {**home_page(), "version": revision})


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def home_poll(request: HttpRequest) -> HttpResponse:
    """Answer 204 after one read while nothing has changed, else the changed regions."""
    revision = attention_revision()
    if revision == request.GET.get("v"):
        return HttpResponse(status=204)
    return render(request, "dashboard/home_poll.html", {**home_page(), "version": revision})
