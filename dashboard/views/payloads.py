"""Payloads, each fetched on demand by people who may see them: as a fragment, a page of its own, or a download."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.event_data import event_data_of
from dashboard.payloads import shown
from dashboard.views.common import execution_or_404, is_fragment
from durable_engine.access import require_permission
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.executions import input_of, outcome_of
from durable_engine.queries.operations import operations_of, payload_of


@require_permission("durable_engine.view_payload")
@never_cache
@require_safe
def execution_input(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """The input of an execution."""
    execution_or_404(execution_id)
    return _answer(request, execution_id, "Input", "input", input_of(execution_id))


@require_permission("durable_engine.view_payload")
@never_cache
@require_safe
def execution_result(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """The result of an execution, or the error that ended it."""
    execution_or_404(execution_id)
    outcome = outcome_of(execution_id)
    if outcome is None:
        raise Http404("The execution has not ended yet.")
    return _answer(request, execution_id, "Outcome", "result", outcome.result, outcome.error)


@require_permission("durable_engine.view_payload")
@never_cache
@require_safe
def operation_result(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """The recorded result of one operation."""
    operation = next((each for each in operations_of(execution_id) if each.id == operation_id), None)
    if operation is None or operation.result_event_id is None:
        raise Http404(f"Operation {operation_id} has no recorded result.")
    payload = payload_of(execution_id, operation.result_event_id)
    title = f"Result of {operation.name or operation.id}"
    return _answer(request, execution_id, title, f"{operation_id}-result", payload)


@require_permission("durable_engine.view_payload")
@never_cache
@require_safe
def event_data(request: HttpRequest, execution_id: UUID, event_id: int) -> HttpResponse:
    """The payload or error of one event."""
    data = event_data_of(execution_id, event_id)
    if data is None:
        raise Http404(f"Execution {execution_id} has no event {event_id}.")
    return _answer(request, execution_id, f"Event {event_id}", f"event-{event_id}", data.payload, data.error)


def _answer(
    request: HttpRequest, execution_id: UUID, title: str, file: str, payload: str | None, error: ErrorView | None = None
) -> HttpResponse:
    if "download" in request.GET and payload is not None:
        # Never rendered by the browser, whatever the handler stored.
        disposition = f'attachment; filename="{execution_id}-{_file_name(file)}.json"'
        return HttpResponse(payload, content_type="application/json", headers={"Content-Disposition": disposition})
    context = {
        "section": "executions",
        "title": title,
        "execution_id": execution_id,
        "payload": None if payload is None else shown(payload),
        "error": error,
        "download_url": f"{request.path}?download",
    }
    template = "dashboard/payload_fragment.html" if is_fragment(request) else "dashboard/payload.html"
    return render(request, template, context)


def _file_name(text: str) -> str:
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text)[:80]
