"""What people do with a request besides deciding it. Each is a form of its own, or a button that posts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.models import Group as AuthGroup
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST
from uuid_utils.compat import uuid7

from approvals.forms import BreakGlassForm, DelegateForm, ExtendForm, ReasonForm, ReassignForm, SayForm
from approvals.models import ApprovalRequest
from approvals.queries.colleagues import colleagues_of
from approvals.queries.requests import RequestView
from approvals.rendering.conflicts import conflict_of
from approvals.rendering.request_page import button_label
from approvals.rules import Action
from approvals.sdk.people import Assignee, Group, User
from approvals.services import decisions, requests
from approvals.services.exceptions import InvalidAnswer
from approvals.views.common import error_lines, person_page, posted, put_errors, request_or_404, user_of
from approvals.views.request import show_request
from durable_engine.services.exceptions import DurableServiceError

MOST_GROUPS = 500

ask_or_act = require_http_methods(["GET", "HEAD", "POST"])


@dataclass(frozen=True, slots=True)
class Question:
    """The words of one action: what it is called, what it does, what is said once it is done."""

    title: str
    effect: str
    button: str
    done: str
    style: str = "button-primary"


@person_page
@require_POST
def request_claim(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Take the request for oneself."""
    done = _("You work on this now. Nobody else decides it meanwhile.")
    return _at_once(request, request_id, requests.claim_request, done)


@person_page
@require_POST
def request_release(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Give the request back to everybody who is asked."""
    return _at_once(request, request_id, requests.release_request, _("Everybody who is asked can decide it again."))


@person_page
@require_POST
def request_comment(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Say something: a comment, a question to the requester, or the reply to one."""
    view = request_or_404(user_of(request), request_id)
    # The form of an answer that came too late sends its comment here.
    text = request.POST.get("text") or request.POST.get("comment") or ""
    verb, done = _saying(request.POST.get("kind", "comment"))
    try:
        verb(request_id, actor=user_of(request), text=text)
    except InvalidAnswer as error:
        form = SayForm({"text": text})
        put_errors(form, error.errors)
        return show_request(request, view, say=form, status=422)
    except DurableServiceError as error:
        form = SayForm({"text": text})
        conflict = conflict_of(error, view.request)
        return show_request(request, view, say=form, conflict=conflict, status=error.status_code)
    messages.success(request, done)
    return redirect("approvals:request-detail", request_id)


@person_page
@ask_or_act
def request_delegate(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Send the request on to a colleague."""
    view = _view_for(request, request_id, Action.DELEGATE)
    question = Question(
        _("Send this request on"),
        _("Your colleague may decide in your place, and you still can. Whoever is first counts, once."),
        _("Send it on"),
        _("Your colleague was told."),
    )
    form = DelegateForm(posted(request))

    def act(data: dict[str, Any]) -> None:
        requests.delegate_request(request_id, actor=user_of(request), to=data["to"], comment=data["comment"])

    return _ask_or_act(request, view, question, form, act)


@person_page
@ask_or_act
def request_reassign(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Give the request to other people."""
    view = _view_for(request, request_id, Action.REASSIGN)
    question = Question(
        _("Reassign this request"),
        _("Other people are asked. Answers given so far stay, and the requester still can't decide."),
        _("Reassign"),
        _("The people were told."),
    )
    names = list(AuthGroup.objects.order_by("name").values_list("name", flat=True)[:MOST_GROUPS])
    form = ReassignForm(posted(request), group_names=names)

    def act(data: dict[str, Any]) -> None:
        to: list[Assignee] = [User(name) for name in _names(data["users"])]
        to += [Group(name) for name in data["groups"]]
        actor = user_of(request)
        requests.reassign_request(request_id, actor=actor, to=to, reason=data["reason"], replace=data["replace"])

    return _ask_or_act(request, view, question, form, act, {"to": "users"})


@person_page
@ask_or_act
def request_extend(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Give people more time."""
    view = _view_for(request, request_id, Action.EXTEND)
    item = view.request
    question = Question(
        _("Give people more time"),
        _("Move when the request is due, when it ends, or both. Leave a time as it is to keep it."),
        _("Move"),
        _("The times were moved."),
    )
    form = ExtendForm(posted(request), initial={"due_at": item.due_at, "expires_at": item.expires_at})

    def act(data: dict[str, Any]) -> None:
        due_at, expires_at = (_changed(data[name], getattr(item, name)) for name in ("due_at", "expires_at"))
        actor = user_of(request)
        requests.extend_request(request_id, actor=actor, reason=data["reason"], due_at=due_at, expires_at=expires_at)

    return _ask_or_act(request, view, question, form, act)


@person_page
@ask_or_act
def request_withdraw(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Take the question back."""
    view = _view_for(request, request_id, Action.WITHDRAW)
    question = Question(
        _("Withdraw this request?"),
        _("Nobody is asked any longer. The process is told that the question was withdrawn, with your reason."),
        _("Withdraw"),
        _("The request was withdrawn."),
        "button-danger-fill",
    )

    def act(data: dict[str, Any]) -> None:
        requests.withdraw_request(request_id, actor=user_of(request), reason=data["reason"])

    return _ask_or_act(request, view, question, ReasonForm(posted(request)), act)


@person_page
@ask_or_act
def request_break_glass(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Decide alone, in an emergency."""
    view = _view_for(request, request_id, Action.BREAK_GLASS)
    item = view.request
    question = Question(
        _("Decide alone, in an emergency?"),
        _("Your decision counts at once, whoever else is asked. Everybody who was asked is told, and it stays marked."),
        _("Decide alone"),
        _("It is decided. Everybody who was asked is told."),
        "button-danger-fill",
    )
    choices = [(rule["key"], button_label(rule)) for rule in item.choices]
    form = BreakGlassForm(posted(request), choices=choices)

    def act(data: dict[str, Any]) -> None:
        decisions.break_glass(
            request_id,
            actor=user_of(request),
            choice=data["choice"],
            reason=data["reason"],
            operation_id=request.POST.get("operation_id", ""),
            digest=request.POST.get("digest", ""),
        )

    hidden = {"operation_id": request.POST.get("operation_id") or str(uuid7()), "digest": item.digest}
    return _ask_or_act(request, view, question, form, act, hidden=hidden)


def _at_once(request: HttpRequest, request_id: UUID, verb: Callable[..., ApprovalRequest], done: str) -> HttpResponse:
    view = request_or_404(user_of(request), request_id)
    try:
        verb(request_id, actor=user_of(request))
    except DurableServiceError as error:
        view = request_or_404(user_of(request), request_id)
        conflict = conflict_of(error, view.request)
        return show_request(request, view, conflict=conflict, status=error.status_code)
    messages.success(request, done)
    return redirect("approvals:request-detail", view.request.pk)


def _saying(kind: str) -> tuple[Callable[..., ApprovalRequest], str]:
    match kind:
        case "ask":
            return requests.ask_requester, _("Your question was sent. The clock stands still until it is answered.")
        case "reply":
            return requests.reply_to_question, _("Your reply was sent. The clock goes on.")
    return requests.comment_on_request, _("Your comment was added.")


def _view_for(request: HttpRequest, request_id: UUID, action: Action) -> RequestView:
    """The request, if the person may do this; a form nobody may send is not shown either."""
    view = request_or_404(user_of(request), request_id)
    if request.method != "POST" and view.request.is_open and action not in view.actions:
        raise PermissionDenied(_("You may not do this with this request."))
    return view


def _ask_or_act(
    request: HttpRequest,
    view: RequestView,
    question: Question,
    form: forms.Form,
    act: Callable[[dict[str, Any]], None],
    renamed: dict[str, str] | None = None,
    hidden: dict[str, str] | None = None,
) -> HttpResponse:
    """Show the form, or act; what the service refuses is shown with what was typed."""
    item, problem, status = view.request, "", 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                act(form.cleaned_data)
            except InvalidAnswer as error:
                put_errors(form, {(renamed or {}).get(name, name): found for name, found in error.errors.items()})
            except DurableServiceError as error:
                told = conflict_of(error, request_or_404(user_of(request), item.pk).request)
                problem, status = f"{told.title} {told.text}", error.status_code
            else:
                messages.success(request, question.done)
                return redirect("approvals:request-detail", item.pk)
    context = {
        "section": "approvals",
        "item": item,
        "question": question,
        "form": form,
        "hidden": hidden or {},
        "colleagues": colleagues_of(user_of(request)),
        "errors": error_lines(form),
        "problem": problem,
    }
    return render(request, "approvals/request_action.html", context, status=status)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _changed(typed: datetime | None, before: datetime | None) -> datetime | None:
    """A time that was left as the page showed it, by the minute, is none to move."""
    if typed is None or (before is not None and typed == before.replace(second=0, microsecond=0)):
        return None
    return typed
