"""Charts of what happened over time."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.metrics import MetricsFilter, metrics_page
from durable_engine.access import require_permission


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Show starts, outcomes and durations of a time."""
    now = timezone.now()
    context = metrics_page(MetricsFilter.of_request(request.GET, now), now)
    return render(request, "dashboard/metrics.html", context)
