"""What a message about a request says. Made when it is sent: what is out of date by then is not sent.

A link in a mail leads to a page. No link decides anything.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.template.loader import render_to_string
from django.urls import reverse

from approvals.models import ApprovalEvent, ApprovalRequest, EventKind, RequestHealth
from approvals.queries.eligibility import actions_of
from approvals.rules import Action
from approvals.services.changes import PERDURE, changing
from approvals.services.exceptions import RequestNotFound
from approvals.services.links import make_link
from durable_engine.extensions import Message, Outgoing

# Of no use once the request is closed, or the person has answered.
ONLY_WHILE_ASKED = frozenset({"requested", "delegated", "reassigned", "reminder"})
ONLY_WHILE_OPEN = ONLY_WHILE_ASKED | {"overdue", "escalated", "unsatisfiable", "question"}
# Sent to people who may decide: the link may lead there without a login, when the handler says so.
WITH_LINK = ONLY_WHILE_ASKED | {"overdue", "escalated"}
SUBJECTS = {
    "requested": "Please decide: {title}",
    "delegated": "{actor} asks you to decide: {title}",
    "reassigned": "Please decide: {title}",
    "reminder": "Still waiting for you: {title}",
    "overdue": "Overdue: {title}",
    "escalated": "Escalated: {title}",
    "unsatisfiable": "Nobody can decide: {title}",
    "closed": "{outcome}: {title}",
    "comment": "{actor} commented: {title}",
    "question": "{actor} has a question: {title}",
    "reply": "{actor} replied: {title}",
}
OUTCOMES = {
    "APPROVED": "Approved",
    "REJECTED": "Rejected",
    "ANSWERED": "Answered",
    "EXPIRED": "Expired",
    "CANCELLED": "Withdrawn",
}

logger = logging.getLogger(__name__)


def make_message(outgoing: Outgoing) -> Message | None:
    """Return what to tell, or None when it is no longer needed."""
    payload = outgoing.payload
    request = ApprovalRequest.objects.filter(pk=payload["request_id"]).first()
    if request is None or (not request.is_open and payload["kind"] in ONLY_WHILE_OPEN):
        return None
    if outgoing.channel == "email" and not _still_concerns(request, payload):
        return None
    event = ApprovalEvent.objects.filter(request=request, seq=payload["seq"]).first()
    facts = _facts(request, event, str(payload["kind"]))
    subject = SUBJECTS[payload["kind"]].format(**facts)
    data = _data(request, event, str(payload["kind"]), str(facts["url"]))
    if request.policy.get("link") == "confirm" and payload["kind"] in WITH_LINK and outgoing.channel == "email":
        facts["url"] = settings.PUBLIC_URL + reverse("approvals:link", args=[make_link(request, payload["user_id"])])
    context = {**facts, "request": request, "subject": subject, "kind": payload["kind"]}
    return Message(
        subject=subject,
        text=render_to_string("approvals/mail/message.txt", context),
        html=render_to_string("approvals/mail/message.html", context) if outgoing.channel == "email" else "",
        data=data,
    )


def message_failed(outgoing: Outgoing, problem: str) -> None:
    """Let people see that those who are asked could not be told."""
    if outgoing.payload["kind"] not in ONLY_WHILE_OPEN:
        return
    try:
        with changing(outgoing.payload["request_id"]) as change:
            if change.request.is_open and change.request.health == RequestHealth.OK:
                reason = f"{outgoing.recipient}: {problem}"[:300]
                change.set(health=RequestHealth.NOTIFY_FAILING, health_reason=reason)
                change.record(EventKind.HEALTH, PERDURE, health=RequestHealth.NOTIFY_FAILING.value, reason=reason)
    except RequestNotFound:
        logger.info("the request of a message that was given up is gone: %s", outgoing.payload["request_id"])


def _still_concerns(request: ApprovalRequest, payload: Mapping[str, Any]) -> bool:
    user = get_user_model()._default_manager.filter(pk=payload["user_id"], is_active=True).first()
    if user is None:
        return False
    actions = actions_of(user, request)
    return Action.DECIDE in actions if payload["kind"] in ONLY_WHILE_ASKED else Action.VIEW in actions


def _facts(request: ApprovalRequest, event: ApprovalEvent | None, kind: str) -> dict[str, object]:
    data = event.data if event is not None else {}
    said = next((str(data[name]) for name in ("text", "comment", "reason") if data.get(name)), "")
    return {
        "title": " ".join(request.title.split()),
        "actor": event.actor_label if event is not None else "Perdure",
        "outcome": OUTCOMES.get(request.state, "Waiting"),
        "said": said or (request.close_reason if kind == "closed" else ""),
        "by": request.closed_by_label,
        "url": settings.PUBLIC_URL + reverse("approvals:request-detail", args=[request.pk]),
    }


def _data(request: ApprovalRequest, event: ApprovalEvent | None, kind: str, url: str) -> dict[str, object]:
    """What programs are told: facts and a reference, not what people wrote into forms."""
    return {
        "type": f"approval.{kind}",
        "timestamp": (request.opened_at if event is None else event.at).isoformat(),
        "data": {
            "request_id": str(request.pk),
            "execution_id": str(request.execution_id),
            "function": request.function,
            "execution_name": request.execution_name,
            "name": request.name,
            "title": request.title,
            "state": request.state,
            "outcome": request.outcome,
            "choice": request.choice,
            "decided_by": request.closed_by_label,
            "due_at": request.due_at.isoformat() if request.due_at else None,
            "expires_at": request.expires_at.isoformat() if request.expires_at else None,
            "digest": request.digest,
            "url": url,
        },
    }
