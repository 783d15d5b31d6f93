"""Everything that has happened to a request: as a page, and as a file to keep."""

import csv
import json
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from approvals.models import ApprovalRequest
from approvals.queries.requests import RequestView, attachment_for, history_of
from approvals.rendering.history import line_of
from approvals.rendering.request_page import choice_labels, filled_in
from approvals.views.common import as_download, person_page, plain_cells, request_or_404, user_of

COLUMNS = ("seq", "at", "kind", "actor_kind", "actor", "on_behalf_of", "channel", "data")


@person_page
@require_safe
def request_history(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """List every event, oldest first, with what each person saw and said."""
    view = request_or_404(user_of(request), request_id)
    labels = choice_labels(view.request)
    rows = [
        (line_of(event, labels), filled_in(view.request, event.data.get("data") or {}), event.data.get("digest", ""))
        for event in view.events
    ]
    context = {"section": "approvals", "item": view.request, "rows": rows}
    return render(request, "approvals/request_history.html", context)


@person_page
@require_safe
def request_history_json(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Give the request and its history as JSON, to keep."""
    view = request_or_404(user_of(request), request_id)
    text = json.dumps(_exported(view), ensure_ascii=False, indent=2)
    return as_download(text, "application/json", f"approval-{request_id}.json")


@person_page
@require_safe
def request_history_csv(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Give the history as a table, one event a row."""
    view = request_or_404(user_of(request), request_id)
    response = as_download("", "text/csv; charset=utf-8", f"approval-{request_id}.csv")
    writer = csv.writer(response)
    writer.writerow(COLUMNS)
    for row in history_of(view.request):
        facts = {**row, "data": json.dumps(row["data"], ensure_ascii=False)}
        writer.writerow(plain_cells(facts[name] for name in COLUMNS))
    return response


@person_page
@require_safe
def request_attachment(request: HttpRequest, request_id: UUID, attachment_id: UUID) -> HttpResponse:
    """Give a file that came with an answer, never to be shown in the browser."""
    found = attachment_for(user_of(request), request_id, attachment_id)
    if found is None:
        raise Http404("There is no such file.")
    return as_download(bytes(found.content), "application/octet-stream", found.name)


def _exported(view: RequestView) -> dict[str, object]:
    item: ApprovalRequest = view.request
    return {
        "id": str(item.pk),
        "execution_id": str(item.execution_id),
        "operation_id": item.operation_id,
        "function": item.function,
        "execution_name": item.execution_name,
        "name": item.name,
        "digest": item.digest,
        "subject": {
            "title": item.title,
            "description": item.description,
            "details": item.details,
            "form": item.form,
            "choices": item.choices,
            "requester": item.requester_label,
        },
        "policy": item.policy,
        "state": item.state,
        "result": item.result,
        "history": history_of(item),
    }
