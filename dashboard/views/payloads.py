"""Payloads, each fetched on demand by people who may see them: as a fragment, a page of its own, or a download."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dashboard.asking import Asked, ask_or_act
from dashboard.event_data import event_data_of
from dashboard.payloads import shown
from dashboard.views.common import execution_or_404, is_fragment
from durable_engine.access import check_permission, require_permission
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.executions import ExecutionSummary, input_of, outcome_of
from durable_engine.queries.masking import masked, masked_keys_of
from durable_engine.queries.operation_windows import operation_of
from durable_engine.queries.operations import payload_of
from durable_engine.services.actors import Actor
from durable_engine.services.reveals import reveal_payload

ask = require_http_methods(["GET", "HEAD", "POST"])


@require_permission("durable_engine.view_payload")
@never_cache
@ask
def execution_input(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """The input of an execution."""
    return _answer(request, execution_or_404(execution_id), "Input", "input", input_of(execution_id))


@require_permission("durable_engine.view_payload")
@never_cache
@ask
def execution_result(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """The result of an execution, or the error that ended it."""
    execution = execution_or_404(execution_id)
    outcome = outcome_of(execution_id)
    if outcome is None:
        raise Http404("The execution has not ended yet.")
    return _answer(request, execution, "Outcome", "result", outcome.result, outcome.error)


@require_permission("durable_engine.view_payload")
@never_cache
@ask
def operation_result(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """The recorded result of one operation."""
    execution = execution_or_404(execution_id)
    operation = operation_of(execution_id, operation_id)
    if operation is None or operation.result_event_id is None:
        raise Http404(f"Operation {operation_id} has no recorded result.")
    payload = payload_of(execution_id, operation.result_event_id)
    title = f"Result of {operation.name or operation.id}"
    return _answer(request, execution, title, f"{operation_id}-result", payload)


@require_permission("durable_engine.view_payload")
@never_cache
@ask
def event_data(request: HttpRequest, execution_id: UUID, event_id: int) -> HttpResponse:
    """The payload or error of one event."""
    execution = execution_or_404(execution_id)
    data = event_data_of(execution_id, event_id)
    if data is None:
        raise Http404(f"Execution {execution_id} has no event {event_id}.")
    return _answer(request, execution, f"Event {event_id}", f"event-{event_id}", data.payload, data.error)


def _answer(
    request: HttpRequest,
    execution: ExecutionSummary,
    title: str,
    file: str,
    payload: str | None,
    error: ErrorView | None = None,
) -> HttpResponse:
    """The payload with its masked fields hidden; with `?reveal`, asked for with a reason, as it is."""
    hidden = None if payload is None else masked(payload, masked_keys_of(execution.function, execution.version))
    is_masked = hidden != payload
    if "reveal" in request.GET and is_masked:
        return _reveal(request, execution, title, file, payload or "")
    if request.method == "POST":
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if "download" in request.GET and hidden is not None:
        # Never rendered by the browser, whatever the handler stored.
        disposition = f'attachment; filename="{execution.id}-{_file_name(file)}.json"'
        return HttpResponse(hidden, content_type="application/json", headers={"Content-Disposition": disposition})
    return _page(request, execution, title, hidden, error, is_masked=is_masked)


def _reveal(request: HttpRequest, execution: ExecutionSummary, title: str, file: str, payload: str) -> HttpResponse:
    """Ask why, write the audit, show everything once."""
    check_permission(request.user, "durable_engine.reveal_payload")
    asked = Asked(
        "Reveal the masked fields?",
        "The next page shows them once. The audit keeps who revealed what, and why.",
        "Reveal",
        "",
        subject=f"{title} of {execution.name}",
    )
    revealed: list[bool] = []

    def reveal(actor: Actor, reason: str) -> None:
        reveal_payload(execution.id, file, actor=actor, reason=reason)
        revealed.append(True)

    answer = ask_or_act(request, asked, reveal, back_url=request.path, section="executions")
    # Not over a redirect: the right to see it is that of this one request.
    return _page(request, execution, title, payload, None, is_masked=False) if revealed else answer


def _page(
    request: HttpRequest,
    execution: ExecutionSummary,
    title: str,
    payload: str | None,
    error: ErrorView | None,
    *,
    is_masked: bool,
) -> HttpResponse:
    context = {
        "section": "executions",
        "title": title,
        "execution_id": execution.id,
        "payload": None if payload is None else shown(payload),
        "error": error,
        "download_url": f"{request.path}?download",
        "reveal_url": f"{request.path}?reveal" if is_masked else "",
    }
    template = "dashboard/payload_fragment.html" if is_fragment(request) else "dashboard/payload.html"
    return render(request, template, context)


def _file_name(text: str) -> str:
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text)[:80]
