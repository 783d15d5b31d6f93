"""Approvals over HTTP, at /api/approvals/: what people do on the pages, with an API key that acts for one of them.

The same services decide, so a program can do exactly what its person could do in the browser. Times are ISO 8601.
Repeating a POST with the same `Idempotency-Key` counts once. Conflicts say who was first, and when.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Final
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpResponse
from django.urls import path, re_path

from approvals.api_docs import DOCUMENTED
from approvals.api_shapes import inbox_row, problem_of, request_shape, to_json
from approvals.models import ApprovalRequest
from approvals.queries.inbox import Box, InboxFilters, inbox, inbox_counts
from approvals.queries.requests import attachment_for, request_for
from approvals.sdk.exceptions import InvalidApproval
from approvals.sdk.people import Assignee, Group, Permission, User
from approvals.services.decisions import break_glass, decide
from approvals.services.exceptions import InvalidAnswer, RequestNotFound
from approvals.services.people import user_id_of
from approvals.services.requests import (
    ask_requester,
    claim_request,
    comment_on_request,
    delegate_request,
    extend_request,
    reassign_request,
    release_request,
    reply_to_question,
    withdraw_request,
)
from durable_engine.api.actions import Action, Call, api_action, by_method, unknown_path
from durable_engine.api.errors import access_denied
from durable_engine.services.exceptions import DurableServiceError, InvalidInput
from durable_engine.services.validation import parse_json

SCOPE: Final = "approve"
CHANNEL: Final = "api"
BODY_LIMIT: Final = 1024 * 1024
KINDS: Final[Mapping[str, type[User] | type[Group] | type[Permission]]] = {
    "user": User,
    "group": Group,
    "permission": Permission,
}


@dataclass(frozen=True, slots=True)
class Asking:
    """One call: who acts, and what the body says."""

    call: Call
    user: AbstractBaseUser
    body: Mapping[str, Any]

    def text(self, name: str, *, required: bool = False) -> str:
        """Return a text of the body; empty when it is not there.

        Raises:
            InvalidAnswer: it is no text, or is needed and missing.
        """
        value = self.body.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str):
            raise InvalidAnswer({name: ["This is missing." if value is None else "This must be text."]})
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false of the body."""
        value = self.body.get(name, default)
        if not isinstance(value, bool):
            raise InvalidAnswer({name: ["This must be true or false."]})
        return value

    def moment(self, name: str) -> datetime | None:
        """Return a time of the body, ISO 8601 with its zone; None when it is not there."""
        text = self.text(name)
        if not text:
            return None
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise InvalidAnswer({name: [f"{text[:40]!r} is not a time, such as 2026-03-01T12:00:00+00:00."]}) from None

    def check_function(self, request_id: UUID) -> None:
        """Refuse a key that is limited to other functions; the request then does not exist for it."""
        function = ApprovalRequest.objects.filter(pk=request_id).values_list("function", flat=True).first()
        if function is None or not self.call.caller.may_touch(function):
            raise RequestNotFound(request_id)
        self.call.about = f"approval {request_id}"


Answering = Callable[..., tuple[int, Mapping[str, Any]]]


def approvals_action(operation: str) -> Callable[[Answering], Action]:
    """Make an action of a function `(asking, **names in the path)` that returns a status and JSON values.

    What the services refuse becomes `{"error": {"code", "message", "fields"?, …}}`.
    """

    def declare(function: Answering) -> Action:
        @api_action(operation, scope=SCOPE, limit=BODY_LIMIT)
        @wraps(function)
        def answer(call: Call, **names: Any) -> HttpResponse:
            try:
                asking = Asking(call, _person_of(call), _body_of(call))
                if "request_id" in names:
                    asking.check_function(names["request_id"])
                status, value = function(asking, **names)
            except DurableServiceError as problem:
                status, value = problem_of(problem)
            return HttpResponse(to_json(value), status=status, content_type="application/json")

        answer.documented = DOCUMENTED[operation]
        return answer

    return declare


@approvals_action("ListApprovalRequests")
def request_list(asking: Asking) -> tuple[int, Mapping[str, Any]]:
    """List a box of the person's inbox: mine, groups, waiting, delegated or done."""
    query = asking.call.query
    box, limit = query.get("box") or "mine", query.get("limit") or "50"
    if box not in list(Box):
        raise InvalidAnswer.of(box=f"{box[:40]!r} must be one of {', '.join(Box)}.")
    if not (limit.isascii() and limit.isdigit() and 1 <= len(limit) <= 3 and 1 <= int(limit) <= 200):
        raise InvalidAnswer.of(limit=f"{limit[:40]!r} must be a number from 1 to 200.")
    filters = InboxFilters(
        function=query.get("function", ""),
        requester=query.get("requester", ""),
        text=query.get("text", ""),
        state=query.get("state", ""),
        overdue=query.get("overdue") == "true",
    )
    page = inbox(asking.user, Box(box), query.get("cursor"), filters=filters, limit=int(limit))
    may_touch = asking.call.caller.may_touch
    items = [inbox_row(row) for row in page.items if may_touch(row.function)]
    return 200, {"items": items, "next": page.next, "previous": page.previous}


@approvals_action("CountApprovalRequests")
def request_counts(asking: Asking) -> tuple[int, Mapping[str, Any]]:
    """Count the boxes of the person's inbox, each up to 100."""
    return 200, {box.value: count for box, count in inbox_counts(asking.user).items()}


@approvals_action("GetApprovalRequest")
def request_detail(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Show a request as the person may see it: what is asked, what they may do, answers and history."""
    view = request_for(asking.user, request_id)
    if view is None:
        raise RequestNotFound(request_id)
    return 200, request_shape(view)


@approvals_action("GetApprovalAttachment")
def request_attachment(asking: Asking, request_id: UUID, attachment_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Give out a file of an answer, as base64."""
    found = attachment_for(asking.user, request_id, attachment_id)
    if found is None:
        raise RequestNotFound(attachment_id)
    content = b64encode(bytes(found.content)).decode()
    return 200, {"name": found.name, "size": found.size, "sha256": found.sha256, "content": content}


@approvals_action("AnswerApprovalRequest")
def request_answer(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Answer: `choice`, `digest`, and `data`, `comment`, `on_behalf_of`. Says whether that decided the request."""
    data = asking.body.get("data")
    if data is not None and not isinstance(data, dict):
        raise InvalidAnswer.of(data="This must be an object with the form's fields.")
    decided = decide(
        request_id,
        actor=asking.user,
        choice=asking.text("choice", required=True),
        digest=asking.text("digest", required=True),
        data=data,
        comment=asking.text("comment"),
        on_behalf_of=_colleague(asking),
        operation_id=_operation_id(asking),
        channel=CHANNEL,
    )
    is_final, is_repeat = decided.is_final, decided.is_repeat
    return 200, {"is_final": is_final, "is_repeat": is_repeat, "request": _shown(asking, request_id)}


@approvals_action("BreakGlassOnApprovalRequest")
def request_break_glass(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Decide alone in an emergency: `choice`, `digest`, `reason`."""
    decided = break_glass(
        request_id,
        actor=asking.user,
        choice=asking.text("choice", required=True),
        digest=asking.text("digest", required=True),
        reason=asking.text("reason", required=True),
        operation_id=_operation_id(asking),
    )
    return 200, {"is_final": True, "is_repeat": decided.is_repeat, "request": _shown(asking, request_id)}


@approvals_action("ClaimApprovalRequest")
def request_claim(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Take the request for oneself; again, to keep it longer."""
    claim_request(request_id, actor=asking.user, channel=CHANNEL)
    return 200, _shown(asking, request_id)


@approvals_action("ReleaseApprovalRequest")
def request_release(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Give the request back."""
    release_request(request_id, actor=asking.user, channel=CHANNEL)
    return 200, _shown(asking, request_id)


@approvals_action("DelegateApprovalRequest")
def request_delegate(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Send the request on to a colleague: `to`, a user name, and `comment`."""
    to, comment = asking.text("to", required=True), asking.text("comment")
    delegate_request(request_id, actor=asking.user, to=to, comment=comment, channel=CHANNEL)
    return 200, _shown(asking, request_id)


@approvals_action("CommentOnApprovalRequest")
def request_comment(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Say something: `text`."""
    comment_on_request(request_id, actor=asking.user, text=asking.text("text", required=True), channel=CHANNEL)
    return 201, _shown(asking, request_id)


@approvals_action("AskAboutApprovalRequest")
def request_question(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Ask the requester: `text`. The clocks stand still until the reply."""
    ask_requester(request_id, actor=asking.user, text=asking.text("text", required=True), channel=CHANNEL)
    return 201, _shown(asking, request_id)


@approvals_action("ReplyAboutApprovalRequest")
def request_reply(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Reply to the open question: `text`."""
    reply_to_question(request_id, actor=asking.user, text=asking.text("text", required=True), channel=CHANNEL)
    return 201, _shown(asking, request_id)


@approvals_action("ReassignApprovalRequest")
def request_reassign(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Ask others: `to`, a list of `{"user": …}` and `{"group": …}`, `reason`, and `replace`, true unless said."""
    reassign_request(
        request_id,
        actor=asking.user,
        to=_people(asking.body.get("to")),
        reason=asking.text("reason", required=True),
        replace=asking.flag("replace", default=True),
        channel=CHANNEL,
    )
    return 200, _shown(asking, request_id)


@approvals_action("ExtendApprovalRequest")
def request_extend(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Give more time: `due_at`, `expires_at`, `reason`."""
    due_at, expires_at = asking.moment("due_at"), asking.moment("expires_at")
    reason = asking.text("reason", required=True)
    extend_request(request_id, actor=asking.user, due_at=due_at, expires_at=expires_at, reason=reason, channel=CHANNEL)
    return 200, _shown(asking, request_id)


@approvals_action("WithdrawApprovalRequest")
def request_withdraw(asking: Asking, request_id: UUID) -> tuple[int, Mapping[str, Any]]:
    """Take the question back: `reason`."""
    reason = asking.text("reason", required=True)
    withdraw_request(request_id, actor=asking.user, reason=reason, channel=CHANNEL)
    return 200, _shown(asking, request_id)


def _person_of(call: Call) -> AbstractBaseUser:
    user_id = call.caller.user_id
    users = get_user_model()._default_manager.filter(is_active=True)
    user = None if user_id is None else users.filter(pk=user_id).first()
    if user is None:
        raise access_denied(
            f"{call.caller.actor.label} acts for nobody. Make one with: "
            "manage.py durable keys create NAME --scope approve --for USER"
        )
    return user


def _body_of(call: Call) -> Mapping[str, Any]:
    if not call.body.strip():
        return {}
    try:
        value = parse_json(call.body.decode(), field="body")
    except UnicodeDecodeError:
        raise InvalidInput("body", "is not UTF-8.") from None
    if not isinstance(value, dict):
        raise InvalidInput("body", "must be a JSON object.")
    return value


def _operation_id(asking: Asking) -> str:
    """The header by which clients repeat a POST safely; in the body for those that can't set one."""
    return asking.call.request.headers.get("Idempotency-Key") or asking.text("operation_id", required=True)


def _colleague(asking: Asking) -> int | None:
    name = asking.text("on_behalf_of")
    if not name:
        return None
    user_id = user_id_of(name) if "\x00" not in name else None
    if user_id is None:
        raise InvalidAnswer.of(on_behalf_of=f"There is no user named {name[:80]!r}.")
    return user_id


def _people(value: object) -> list[Assignee]:
    if not isinstance(value, list):
        raise InvalidAnswer.of(to='Give a list such as [{"user": "ana"}, {"group": "finance"}].')
    found: list[Assignee] = []
    for entry in value:
        pairs = list(entry.items()) if isinstance(entry, dict) else []
        if len(pairs) != 1 or pairs[0][0] not in KINDS:
            raise InvalidAnswer.of(to='Each entry must be {"user": …}, {"group": …} or {"permission": …}.')
        try:
            found.append(KINDS[pairs[0][0]](pairs[0][1]))
        except InvalidApproval as problem:
            raise InvalidAnswer.of(to=str(problem)) from None
    return found


def _shown(asking: Asking, request_id: UUID) -> Mapping[str, Any]:
    view = request_for(asking.user, request_id)
    if view is None:
        # What they have just done took the request away from them.
        return {"id": str(request_id)}
    return request_shape(view)


_OF_ONE: Final[Mapping[str, Action]] = {
    "votes": request_answer,
    "break-glass": request_break_glass,
    "claim": request_claim,
    "release": request_release,
    "delegate": request_delegate,
    "comments": request_comment,
    "questions": request_question,
    "replies": request_reply,
    "reassign": request_reassign,
    "extend": request_extend,
    "withdraw": request_withdraw,
}

urlpatterns = [
    path("requests", by_method(GET=request_list)),
    path("counts", by_method(GET=request_counts)),
    path("requests/<uuid:request_id>", by_method(GET=request_detail)),
    path("requests/<uuid:request_id>/attachments/<uuid:attachment_id>", by_method(GET=request_attachment)),
    *(path(f"requests/<uuid:request_id>/{name}", by_method(POST=action)) for name, action in _OF_ONE.items()),
    re_path("", unknown_path),
]
