"""The processes: workers, schedulers, queues, limits, and what nobody serves."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from durable_engine.access import require_permission
from durable_engine.queries.attention import COUNT_CAP
from durable_engine.queries.fleet import fleet
from durable_engine.queries.limits import limits_in_use


@require_permission("durable_engine.view_worker")
@never_cache
@require_safe
def worker_list(request: HttpRequest) -> HttpResponse:
    """Show what is at work, and what waits for it."""
    context = {"section": "workers", "fleet": fleet(), "limits": limits_in_use(), "count_cap": COUNT_CAP}
    return render(request, "dashboard/worker_list.html", context)
