"""Several requests reviewed on one page and answered alike; each answer is a transaction of its own."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods
from uuid_utils.compat import uuid7

from approvals.forms import CommentForm
from approvals.models import ApprovalRequest
from approvals.queries.requests import RequestView, request_for
from approvals.rendering.conflicts import conflict_of
from approvals.rules import Action
from approvals.services import decisions
from approvals.services.exceptions import InvalidAnswer
from approvals.views.common import person_page, posted, user_of
from durable_engine.services.exceptions import DurableServiceError

MOST_TOGETHER = 50
OUTCOMES = ("approve", "reject")


@dataclass(frozen=True, slots=True)
class Line:
    """One request of the page: whether it can be answered here, why not, and what became of it."""

    item: ApprovalRequest
    operation_id: str
    is_open: bool
    note: str = ""
    is_done: bool = False
    needs_comment: bool = False


@person_page
@require_http_methods(["GET", "HEAD", "POST"])
def bulk(request: HttpRequest) -> HttpResponse:
    """Show the chosen requests below each other, and answer them all alike."""
    given = request.POST if request.method == "POST" else request.GET
    ids, left_out = _ids(given.getlist("id"))
    views = [view for each in ids if (view := request_for(user_of(request), each)) is not None]
    outcome = request.POST.get("outcome", "")
    is_answer = request.method == "POST" and outcome in OUTCOMES
    lines = [_answered(request, view, outcome) if is_answer else _asked(request, view) for view in views]
    form = CommentForm(posted(request))
    if any(line.needs_comment for line in lines):
        form.add_error("comment", _("Say why."))
    context = {
        "section": "approvals",
        "lines": lines,
        "left_out": left_out,
        # Given to others, or gone, since they were ticked.
        "gone_count": len(ids) - len(views) if request.method == "POST" else 0,
        "has_open": any(line.is_open for line in lines),
        "done_count": sum(line.is_done for line in lines),
        "was_answered": is_answer,
        "form": form,
    }
    has_failed = is_answer and (context["gone_count"] or any(line.note and not line.is_done for line in lines))
    return render(request, "approvals/bulk.html", context, status=409 if has_failed else 200)


def _asked(request: HttpRequest, view: RequestView) -> Line:
    item = view.request
    if not item.policy.get("bulk") or item.form is not None:
        return Line(item, "", is_open=False, note=_("This one has to be decided on its own page."))
    if Action.DECIDE not in view.actions:
        return Line(item, "", is_open=False, note=_("You can't decide this (any more)."))
    return Line(item, request.POST.get(f"operation_id-{item.pk}") or str(uuid7()), is_open=True)


def _answered(request: HttpRequest, view: RequestView, outcome: str) -> Line:
    """Answer one of them. What is refused is told in its line, and stays to be answered again."""
    line = _asked(request, view)
    posted_id = request.POST.get(f"operation_id-{view.request.pk}", "")
    if not line.is_open and not posted_id:
        return line
    try:
        decided = decisions.decide(
            view.request.pk,
            actor=user_of(request),
            choice=_choice(view.request, outcome),
            comment=request.POST.get("comment", ""),
            operation_id=posted_id,
            digest=request.POST.get(f"digest-{view.request.pk}", ""),
            channel="bulk",
        )
    except InvalidAnswer as error:
        needs_comment = "comment" in error.errors
        return Line(line.item, line.operation_id, is_open=True, note=str(error), needs_comment=needs_comment)
    except DurableServiceError as error:
        told = _told(error, view, user_of(request))
        return Line(line.item, line.operation_id, is_open=False, note=told)
    done = _("Your answer counts.") if not decided.is_final else _done(outcome)
    return Line(decided.request, "", is_open=False, note=done, is_done=True)


def _done(outcome: str) -> str:
    return _("You approved this.") if outcome == "approve" else _("You rejected this.")


def _told(error: DurableServiceError, view: RequestView, person: Any) -> str:
    fresh = request_for(person, view.request.pk) or view
    told = conflict_of(error, fresh.request)
    return f"{told.title} {told.text}"


def _choice(item: ApprovalRequest, outcome: str) -> str:
    """The key of the request's own button with that outcome; none is refused by the service."""
    return next((str(rule["key"]) for rule in item.choices if rule["outcome"] == outcome), "")


def _ids(texts: list[str]) -> tuple[list[UUID], int]:
    found: list[UUID] = []
    for text in texts:
        try:
            each = UUID(text)
        except ValueError:
            continue
        if each not in found:
            found.append(each)
    return found[:MOST_TOGETHER], max(0, len(found) - MOST_TOGETHER)
