"""What several views share."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from durable_engine.queries.executions import ExecutionSummary, execution_summary


def execution_or_404(execution_id: UUID) -> ExecutionSummary:
    """Return the execution, without payloads, or answer 404."""
    execution = execution_summary(execution_id)
    if execution is None:
        raise Http404(f"There is no execution {execution_id}. It never existed, or its retention is over.")
    return execution


def is_fragment(request: HttpRequest) -> bool:
    """Whether a script asks for a part of a page."""
    return request.headers.get("HX-Request") == "true"


def conflict(request: HttpRequest, problem: str) -> HttpResponse:
    """Answer 409 with a page that says what happened instead."""
    return render(request, "409.html", {"problem": problem}, status=409)
