"""The page of one request, and the answer that is given on it."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from uuid_utils.compat import uuid7

from approvals.forms import CommentForm, SayForm
from approvals.models import ApprovalRequest, LinkToken
from approvals.queries.requests import RequestView, request_for, revision_of
from approvals.rendering import request_page
from approvals.rendering.conflicts import Conflict, conflict_of, conflict_of_closed
from approvals.rules import Action, Standing
from approvals.services import decisions
from approvals.services.drafts import save_draft
from approvals.services.exceptions import InvalidAnswer, NotAllowed
from approvals.services.forms import build_form, form_data
from approvals.views.common import error_lines, person_page, put_errors, request_or_404, split_errors, user_of
from durable_engine.services.exceptions import DurableServiceError

# Digits of the largest id of a row.
LONGEST_ID = 19


@person_page
@require_http_methods(["GET", "HEAD", "POST"])
def request_detail(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Show what is asked, and take the answer."""
    person = user_of(request)
    view = request_for(person, request_id)
    if view is None:
        return _gone(request)
    if request.method != "POST":
        return show_request(request, view)
    if "save" in request.POST:
        return _save_draft(request, view)
    try:
        decided = decide_as_posted(request, view.request, person, channel="page")
    except InvalidAnswer as error:
        return show_request(request, view, invalid=error, status=422)
    except DurableServiceError as error:
        # Read again: the page then says who was first and when, and what was typed is still there.
        view = request_for(person, request_id)
        if view is None:
            return _gone(request)
        return show_request(request, view, conflict=conflict_of(error, view.request), status=error.status_code)
    messages.success(request, what_was_done(decided))
    return redirect("approvals:inbox")


def _gone(request: HttpRequest) -> HttpResponse:
    """Answer 404, the same for what is hidden and what is not there; somebody who answered gets back what they typed.

    Between the look and the answer a request may have been given to others, or the person taken out of a group.
    """
    if request.method != "POST":
        raise Http404("There is no such request.")
    fields = form_data(request.POST)
    typed = [text for name in fields for text in fields.getlist(name)] + [request.POST.get("comment", "")]
    context = {"section": "approvals", "typed": [text for text in typed if text.strip()]}
    return render(request, "approvals/request_gone.html", context, status=404)


@person_page
@require_safe
def request_changes(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Answer 204 after one read while the request is as the page showed it, else a notice.

    What is typed is left alone.
    """
    person = user_of(request)
    revision = revision_of(request_id)
    if revision is not None and constant_time_compare(request.GET.get("v", ""), _mark(person, request_id, revision)):
        return HttpResponse(status=204)
    view = request_or_404(person, request_id)
    line = request_page.lines_of(view.request, view.events)[0]
    return render(request, "approvals/request_changes.html", {"item": view.request, "line": line})


def _mark(person: AbstractBaseUser, request_id: UUID, revision: int) -> str:
    """What the page gives its refresh: only who has seen the request knows it, so that it need not be asked again."""
    return salted_hmac("approvals.request", f"{person.pk}.{request_id}.{revision}", algorithm="sha256").hexdigest()[:32]


def decide_as_posted(
    request: HttpRequest,
    item: ApprovalRequest,
    person: AbstractBaseUser,
    *,
    channel: str,
    link: LinkToken | None = None,
) -> decisions.Decided:
    """Count the answer that the page's form has sent. Raises what `decisions.decide` raises."""
    seat = request.POST.get("on_behalf_of", "")
    return decisions.decide(
        item.pk,
        actor=person,
        choice=request.POST.get("choice", ""),
        data=form_data(request.POST),
        files=form_data(request.FILES),
        comment=request.POST.get("comment", ""),
        operation_id=request.POST.get("operation_id", ""),
        digest=request.POST.get("digest", ""),
        channel=channel,
        on_behalf_of=int(seat) if seat.isdecimal() and len(seat) < LONGEST_ID else None,
        link=link,
    )


def what_was_done(decided: decisions.Decided) -> str:
    """Return the sentence that confirms an answer."""
    facts = {"title": decided.request.title}
    if decided.is_repeat:
        return _("Your answer to “%(title)s” had been counted already.") % facts
    if not decided.is_final:
        return _("Your answer to “%(title)s” counts. More people are awaited.") % facts
    match decided.vote.outcome:
        case "approve":
            return _("You approved “%(title)s”. The process goes on.") % facts
        case "reject":
            return _("You rejected “%(title)s”. The process goes on with that answer.") % facts
    return _("You answered “%(title)s”. The process goes on.") % facts


def _save_draft(request: HttpRequest, view: RequestView) -> HttpResponse:
    data = {name: values[0] if len(values) == 1 else values for name, values in form_data(request.POST).lists()}
    try:
        save_draft(view.request.pk, actor=user_of(request), data=data, comment=request.POST.get("comment", ""))
    except InvalidAnswer as error:
        return show_request(request, view, invalid=error, status=422)
    except NotAllowed:
        conflict = conflict_of_closed(view.request)
        return show_request(request, view, conflict=conflict, status=409)
    messages.success(request, _("Your draft is kept. Only you can see it."))
    return redirect("approvals:request-detail", view.request.pk)


def show_request(
    request: HttpRequest,
    view: RequestView,
    *,
    invalid: InvalidAnswer | None = None,
    conflict: Conflict | None = None,
    say: SayForm | None = None,
    link_user: AbstractBaseUser | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render the page, with what was typed when it could not be counted.

    `say` is the form of a comment. `link_user` is the person whom a link lets act, for this request and without more.
    """
    decision = _decision(request, view, link_user or user_of(request), invalid, conflict)
    context = request_page.context_of(view) | {
        "section": "approvals",
        "mark": _mark(link_user or user_of(request), view.request.pk, view.request.revision),
        "comment_form": say or SayForm(),
        "decision": decision,
        "why_not": "" if decision or not view.request.is_open else request_page.why_not(view),
        "conflict": conflict,
        "link_user": link_user,
        "errors": [*(decision["errors"] if decision else []), *(error_lines(say) if say else [])],
    }
    return render(request, "approvals/request_detail.html", context, status=status)


def _decision(
    request: HttpRequest,
    view: RequestView,
    person: AbstractBaseUser,
    invalid: InvalidAnswer | None,
    conflict: Conflict | None,
) -> dict[str, Any] | None:
    """The form of the answer, empty or with what was typed; None for people who have nothing to decide here."""
    item, may_decide = view.request, Action.DECIDE in view.actions
    if not may_decide and conflict is None:
        return None
    form, comment = _forms(request, view, invalid)
    buttons = request_page.buttons_of(item)
    return {
        "form": form,
        "comment": comment,
        "errors": error_lines(form, comment),
        "is_open": may_decide,
        "choices": buttons,
        "note": request_page.comment_note(buttons),
        "seats": _seats(person, view.standing),
        "seat": request.POST.get("on_behalf_of", ""),
        "lost_files": bool(request.FILES),
        "saved_at": view.draft.saved_at if view.draft is not None else None,
        # One for each page: sent twice it is one answer. After a refusal nothing was counted under it.
        "operation_id": request.POST.get("operation_id") if invalid else str(uuid7()),
    }


def _forms(request: HttpRequest, view: RequestView, invalid: InvalidAnswer | None) -> tuple[Form, Form]:
    """The author's form and the comment: with the draft, or as they were sent."""
    if "operation_id" not in request.POST:
        draft = view.draft
        if draft is None:
            return build_form(view.request.form), CommentForm()
        return build_form(view.request.form, initial=draft.data), CommentForm(initial={"comment": draft.comment})
    form, comment = build_form(view.request.form, request.POST, request.FILES), CommentForm(request.POST)
    own, others = split_errors(invalid, ["comment"]) if invalid else ({}, {})
    put_errors(comment, own)
    put_errors(form, others)
    return form, comment


def _seats(person: AbstractBaseUser, standing: Standing) -> list[tuple[str, str]]:
    """For whom the person may answer, when there is a choice."""
    own = [(str(person.pk), _("for yourself"))] if standing.is_candidate else []
    others = [(str(each), _("for %(person)s") % {"person": name}) for each, name in standing.principals.items()]
    return [*own, *others] if len(own) + len(others) > 1 else []
