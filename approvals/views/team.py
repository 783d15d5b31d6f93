"""What supervisors look at: what nobody can decide, what is late, who has how much to decide."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from approvals.language import in_the_reader_s_language
from approvals.queries import team as queries
from durable_engine.access import require_permission

SOON = timedelta(days=1)
ROWS = 20


@require_permission("approvals.supervise_approvalrequest")
@never_cache
@in_the_reader_s_language
@require_safe
def team(request: HttpRequest) -> HttpResponse:
    """Show the load, what is late or soon will be, and what can't be decided."""
    late = queries.breaching(SOON, request.GET.get("cursor"), ROWS)
    context = {
        "section": "approvals",
        "figures": queries.figures(),
        "unhealthy": queries.unhealthy(limit=ROWS),
        "late": late,
        "load": queries.load(),
        "newer_url": f"?cursor={late.previous}" if late.previous else "",
        "older_url": f"?cursor={late.next}" if late.next else "",
        "now": timezone.now(),
        "server_now": timezone.now().isoformat(),
    }
    return render(request, "approvals/team.html", context)


@require_permission("approvals.supervise_approvalrequest")
@never_cache
@in_the_reader_s_language
@require_safe
def team_open(request: HttpRequest) -> HttpResponse:
    """List every open request, most urgent first."""
    page = queries.pending_requests(request.GET.get("cursor"))
    context = {
        "section": "approvals",
        "rows": page.items,
        "newer_url": f"?cursor={page.previous}" if page.previous else "",
        "older_url": f"?cursor={page.next}" if page.next else "",
        "now": timezone.now(),
        "server_now": timezone.now().isoformat(),
    }
    return render(request, "approvals/team_open.html", context)
