"""Histories as files: one to keep, and one that somebody brings."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.history_import import imported_page
from dashboard.views.common import execution_or_404
from durable_engine.access import require_permission
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.history import history_page
from durable_engine.queries.history_file import UnreadableHistory, read_history
from durable_engine.queries.masking import masked, masked_keys_of

EVENTS_AT_ONCE = 1000
MOST_BYTES = 32 * 2**20


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_history_file(request: HttpRequest, execution_id: UUID) -> StreamingHttpResponse:
    """Send all events as JSON, in the names of the service API; payloads and errors only to those who may see them."""
    execution = execution_or_404(execution_id)
    with_data = request.user.has_perm("durable_engine.view_payload")
    disposition = f'attachment; filename="{execution_id}-history.json"'
    return StreamingHttpResponse(
        _lines(execution, with_data), content_type="application/json", headers={"Content-Disposition": disposition}
    )


@require_permission("durable_engine.view_execution")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def history_view(request: HttpRequest) -> HttpResponse:
    """Show a history that somebody brings as a file. Nothing of it is kept."""
    context: dict[str, Any] = {"section": "executions"}
    status = 200
    if request.method == "POST":
        try:
            context |= imported_page(read_history(_uploaded(request)))
        except UnreadableHistory as problem:
            context["problem"], status = str(problem), 422
    return render(request, "dashboard/history_view.html", context, status=status)


def _uploaded(request: HttpRequest) -> str:
    file = request.FILES.get("file")
    if file is None:
        raise UnreadableHistory("Choose a file.")
    if file.size is None or file.size > MOST_BYTES:
        raise UnreadableHistory(f"The file is too large; at most {MOST_BYTES // 2**20} MiB are read.")
    try:
        return bytes(file.read()).decode()
    except UnicodeDecodeError:
        raise UnreadableHistory("The file is no UTF-8 text.") from None


def _lines(execution: ExecutionSummary, with_data: bool) -> Iterator[str]:
    """One event a line. A few at a time: a history can be larger than the memory a page should take."""
    facts = {
        "DurableExecutionName": execution.name,
        "FunctionName": execution.function,
        "Version": str(execution.version),
        "ExecutionId": str(execution.id),
        "Status": execution.status,
        "StartTimestamp": execution.created_at,
        "EndTimestamp": execution.closed_at,
        "ExportTimestamp": timezone.now(),
        "IncludesData": with_data,
    }
    yield _json(facts)[:-1] + ', "Events": [\n'
    keys = masked_keys_of(execution.function, execution.version)
    after = 0
    separator = ""
    while True:
        page = history_page(execution.id, limit=EVENTS_AT_ONCE, include_data=with_data, after=after)
        for event in page.events:
            yield f"{separator}{_json(_masked(event, keys))}"
            separator = ",\n"
            after = event["EventId"]
        if not page.has_more:
            break
    yield "\n]}\n"


def _masked(value: Any, keys: frozenset[str]) -> Any:
    """An event with the masked fields of its payloads hidden."""
    if isinstance(value, dict):
        return {
            name: masked(child, keys) if name == "Payload" and isinstance(child, str) else _masked(child, keys)
            for name, child in value.items()
        }
    return [_masked(child, keys) for child in value] if isinstance(value, list) else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
