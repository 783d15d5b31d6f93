"""Whom to tell about a change of a request. Messages are rows of the engine's outbox, written with the change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.contrib.auth import get_user_model
from django.db.models import Q

from approvals.models import ApprovalRequest, NotificationPreference
from approvals.queries.absences import away_now
from approvals.queries.eligibility import electorate_of
from durable_engine.services.outbox import NewMessage, enqueue

TOPIC = "approvals"
# A group may have thousands of members; they find the request in their inbox.
MOST_RECIPIENTS = 200
# Notice: which wish of a person it falls under.
WISHES = {
    "requested": "mail_requests",
    "delegated": "mail_requests",
    "reassigned": "mail_requests",
    "reminder": "mail_reminders",
    "overdue": "mail_reminders",
    "escalated": "mail_reminders",
    "unsatisfiable": "mail_reminders",
    "closed": "mail_outcomes",
    "comment": "mail_comments",
    "question": "mail_comments",
    "reply": "mail_comments",
}
# What programs and chats are told too; the rest is between people.
TO_ENDPOINTS = frozenset({"requested", "reminder", "overdue", "escalated", "unsatisfiable", "closed"})


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell. `seq` is its line in the history; `user_ids` None tells everybody who may decide."""

    kind: str
    seq: int
    user_ids: Iterable[int] | None = None
    but_not: Iterable[int] = field(default_factory=tuple)


def enqueue_notices(request: ApprovalRequest, notices: Iterable[Notice]) -> None:
    """Write the messages of a change, in its transaction. Nobody is told of what they did themselves."""
    messages: list[NewMessage] = []
    channels = request.policy.get("notify", [])
    for notice in notices:
        if "email" in channels:
            messages += [_mail(request, notice, user_id, address) for user_id, address in _addresses(request, notice)]
        if notice.kind in TO_ENDPOINTS:
            messages += [_to_endpoint(request, notice, each) for each in channels if each != "email"]
    enqueue(messages)


def _addresses(request: ApprovalRequest, notice: Notice) -> list[tuple[int, str]]:
    wanted = set(electorate_of(request) if notice.user_ids is None else notice.user_ids) - set(notice.but_not)
    if WISHES[notice.kind] in ("mail_requests", "mail_reminders"):
        # Whoever stands in for somebody who is away has to know.
        wanted |= {absence.substitute_id for absence in away_now(wanted).values() if absence.substitute_id is not None}
    if not wanted:
        return []
    deaf = NotificationPreference.objects.filter(Q(**{WISHES[notice.kind]: False}), user__in=wanted)
    users = get_user_model()._default_manager.filter(pk__in=wanted, is_active=True).exclude(email="")
    users = users.exclude(pk__in=deaf.values("user"))
    return list(users.order_by("pk").values_list("pk", "email")[:MOST_RECIPIENTS])


def _mail(request: ApprovalRequest, notice: Notice, user_id: int, address: str) -> NewMessage:
    payload = {"request_id": str(request.pk), "kind": notice.kind, "seq": notice.seq, "user_id": user_id}
    return NewMessage(_key(request, notice, f"email:{user_id}"), TOPIC, "email", address, payload)


def _to_endpoint(request: ApprovalRequest, notice: Notice, endpoint: str) -> NewMessage:
    channel, _, name = endpoint.partition(":")
    payload = {"request_id": str(request.pk), "kind": notice.kind, "seq": notice.seq}
    return NewMessage(_key(request, notice, endpoint), TOPIC, channel, name, payload)


def _key(request: ApprovalRequest, notice: Notice, to: str) -> str:
    return f"approval:{request.pk}:{notice.seq}:{notice.kind}:{to}"
