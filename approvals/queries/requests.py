"""One request: what it asks, who takes part, what has happened. Not visible is the same as not there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from approvals.clock import database_now
from approvals.models import (
    ApprovalEvent,
    ApprovalRequest,
    ApprovalTimer,
    Attachment,
    Candidate,
    Draft,
    TimerKind,
    Vote,
)
from approvals.queries.eligibility import Lookup, Person
from approvals.rules import Action, Standing, allowed_actions


@dataclass(frozen=True, slots=True)
class RequestView:
    """Everything a page needs about one request, for one person, at the moment `now` of the database's clock.

    `actions` is what the person may do: what the page offers is what the services accept. `standing.principals` are the
    colleagues for whom they may answer, by user id. `candidates` are those asked now (of a closed request: all who
    were). `draft` is what the person has typed and not sent.
    """

    request: ApprovalRequest
    standing: Standing
    actions: frozenset[Action]
    candidates: Sequence[Candidate]
    votes: Sequence[Vote]
    events: Sequence[ApprovalEvent]
    draft: Draft | None
    now: datetime

    @property
    def is_overdue(self) -> bool:
        """Whether it is open and should have been decided by now; never while a question is open."""
        request = self.request
        is_late = request.due_at is not None and request.due_at <= self.now
        return request.is_open and request.asked_at is None and is_late

    @property
    def approvals_given(self) -> int:
        """How many have agreed so far."""
        return sum(vote.outcome == "approve" for vote in self.votes)


def request_for(user: Person, request_id: UUID) -> RequestView | None:
    """Return a request as `user` may see it; None if there is none, or not for them. A fixed number of queries."""
    rows = ApprovalRequest.objects.select_related("requester", "closed_by", "claimed_by", "asked_by")
    request = rows.filter(pk=request_id).first()
    if request is None or not user.is_authenticated or not user.is_active:
        return None
    now = database_now()
    votes = list(Vote.objects.filter(request=request).select_related("voter", "on_behalf_of").order_by("pk"))
    lookup = Lookup(request, now, votes)
    standing = lookup.standing(user)
    actions = allowed_actions(standing)
    if Action.VIEW not in actions:
        return None
    return RequestView(
        request=request,
        standing=standing,
        actions=actions,
        candidates=lookup.entries,
        votes=votes,
        events=list(ApprovalEvent.objects.filter(request=request).order_by("seq")),
        draft=Draft.objects.filter(request=request, user=user.pk).first(),
        now=now,
    )


def revision_of(request_id: UUID) -> int | None:
    """Return the number of changes of a request, by one indexed read; None if there is none."""
    return ApprovalRequest.objects.filter(pk=request_id).values_list("revision", flat=True).first()


def attachment_for(user: Person, request_id: UUID, attachment_id: UUID) -> Attachment | None:
    """Return a file of an answer, with its content; None if there is none, or not for this person."""
    found = Attachment.objects.filter(pk=attachment_id, request=request_id).select_related("request").first()
    if found is None or not user.is_authenticated or not user.is_active:
        return None
    standing = Lookup(found.request, database_now()).standing(user)
    return found if Action.VIEW in allowed_actions(standing) else None


def request_of_callback(execution_id: UUID, operation_id: str) -> ApprovalRequest | None:
    """Return the request that answers a callback; None for a plain callback."""
    return ApprovalRequest.objects.filter(execution_id=execution_id, operation_id=operation_id).first()


def requests_of_execution(execution_id: UUID) -> list[ApprovalRequest]:
    """Return the requests of one execution in the order they were opened: for panels, without regard to who looks."""
    return list(ApprovalRequest.objects.filter(execution_id=execution_id).order_by("opened_at", "id"))


def next_times(request: ApprovalRequest) -> list[tuple[TimerKind, datetime]]:
    """Return what time will do to a pending request next, soonest first."""
    timers = ApprovalTimer.objects.filter(request=request).order_by("fire_at")
    return [(TimerKind(timer.kind), timer.fire_at) for timer in timers]


def history_of(request: ApprovalRequest) -> list[dict[str, object]]:
    """Return the history as JSON values, for the export."""
    return history_lines(ApprovalEvent.objects.filter(request=request).order_by("seq"))


def history_lines(events: Iterable[ApprovalEvent]) -> list[dict[str, object]]:
    """Return lines of a history as JSON values."""
    return [
        {
            "seq": event.seq,
            "at": event.at.isoformat(),
            "kind": event.kind,
            "actor_kind": event.actor_kind,
            "actor": event.actor_label,
            "on_behalf_of": event.on_behalf_of_label,
            "channel": event.channel,
            "data": event.data,
        }
        for event in events
    ]
