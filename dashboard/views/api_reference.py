"""The calls of the API that AWS's model has no operation for."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.api_reference import reference_page
from durable_engine.access import signed_in


@signed_in
@require_safe
def api_reference(request: HttpRequest) -> HttpResponse:
    """Show what the OpenAPI document says."""
    return render(request, "dashboard/api_reference.html", {"section": "settings", **reference_page()})
