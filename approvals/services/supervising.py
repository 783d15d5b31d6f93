"""What supervisors do: give a request to other people, and more time. Answers given so far stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.utils.translation import gettext as _

from approvals.models import ApprovalRequest, ApprovalTimer, Candidate, CandidateSource, EventKind, TimerKind
from approvals.rules import Action
from approvals.sdk.exceptions import InvalidApproval
from approvals.sdk.people import Assignee, people_as_json
from approvals.services.changes import Change, Doer, changing, labels_of, urgent_at
from approvals.services.closing import move_deadline
from approvals.services.exceptions import InvalidAnswer, NobodyCanDecide
from approvals.services.handling import end_claim
from approvals.services.health import check_health
from approvals.services.notices import Notice
from approvals.services.people import candidates_of
from approvals.services.texts import checked_words

LONGEST_EXTENSION = timedelta(days=366)


def reassign_request(
    request_id: UUID,
    *,
    actor: AbstractBaseUser,
    to: Sequence[Assignee],
    reason: str,
    replace: bool = True,
    channel: str = "page",
) -> ApprovalRequest:
    """Ask other people, instead of or (`replace=False`) besides those asked so far.

    `to` holds `approvals.User`, `Group` and `Permission` objects. A request may stay undecidable: it is shown so.

    Raises:
        RequestNotFound, AlreadyDecided, NotAllowed: not this person's, closed, or they don't supervise.
        InvalidAnswer: nobody is named, a name is unknown, or there is no reason.
    """
    words = checked_words(reason, "reason", required=True)
    try:
        people = people_as_json(to, "to")
    except InvalidApproval as error:
        raise InvalidAnswer.of(to=str(error)) from error
    if not people:
        raise InvalidAnswer.of(to=_("Name at least one person or group."))
    with changing(request_id) as change:
        change.require(actor, Action.REASSIGN)
        try:
            entries = add_candidates(change, people, CandidateSource.REASSIGNED, replace=replace)
        except NobodyCanDecide as error:
            raise InvalidAnswer.of(to=str(error)) from error
        doer = Doer.person(actor, channel)
        if replace and change.request.claimed_by_id is not None:
            end_claim(change, doer)
        seq = change.record(EventKind.REASSIGNED, doer, to=labels_of(entries), replace=replace, reason=words)
        change.notify(Notice("reassigned", seq, but_not=(actor.pk,)))
        check_health(change)
    return change.request


def add_candidates(
    change: Change, people: list[dict[str, str]], source: CandidateSource, *, replace: bool, level: int = 0
) -> list[Candidate]:
    """Add entries to the list of those asked, or put them in its place; returns the new ones.

    Raises:
        NobodyCanDecide: a name is unknown.
    """
    request = change.request
    entries = candidates_of(people, request, change.now, source=source, level=level)
    now_asked = Candidate.objects.filter(request=request, is_open=True)
    if replace:
        now_asked.update(is_open=False, removed_at=change.now)
        known = set()
    else:
        known = set(now_asked.filter(on_behalf_of=None).values_list("user_id", "group_id", "permission"))
    new = [entry for entry in entries if (entry.user_id, entry.group_id, entry.permission) not in known]
    return Candidate.objects.bulk_create(new)


def extend_request(
    request_id: UUID,
    *,
    actor: AbstractBaseUser,
    reason: str,
    due_at: datetime | None = None,
    expires_at: datetime | None = None,
    channel: str = "page",
) -> ApprovalRequest:
    """Move when a request is due, when it ends, or both; None leaves a time as it is.

    Raises:
        RequestNotFound, AlreadyDecided, NotAllowed: not this person's, closed, or they don't supervise.
        InvalidAnswer: a time lies in the past, is more than a year away, or the end lies before the due time; no
            reason. ExecutionEnded: the execution no longer waits for it.
    """
    words = checked_words(reason, "reason", required=True)
    if due_at is None and expires_at is None:
        raise InvalidAnswer.of(due_at=_("Give a new due time, a new end, or both."))
    with changing(request_id) as change:
        change.require(actor, Action.EXTEND)
        request = change.request
        before = {"due_at": _text(request.due_at), "expires_at": _text(request.expires_at)}
        due, end = due_at or request.due_at, expires_at or request.expires_at
        _check_times(change, due_at, expires_at)
        if due is not None and end is not None and due > end:
            raise InvalidAnswer.of(expires_at=_("The request would end before it is due."))
        change.set(due_at=due, expires_at=end, urgent_at=urgent_at(request.opened_at, due, end))
        _move_timer(request, TimerKind.DUE, due_at)
        _move_timer(request, TimerKind.EXPIRE, expires_at)
        if expires_at is not None and request.asked_at is None:
            move_deadline(request, expires_at)
        after = {"due_at": _text(due), "expires_at": _text(end)}
        change.record(EventKind.EXTENDED, Doer.person(actor, channel), before=before, after=after, reason=words)
    return change.request


def _check_times(change: Change, due_at: datetime | None, expires_at: datetime | None) -> None:
    for name, value in (("due_at", due_at), ("expires_at", expires_at)):
        if value is None:
            continue
        if value.tzinfo is None:
            raise InvalidAnswer({name: ["Give the time with its zone."]})
        if value <= change.now:
            raise InvalidAnswer({name: [_("This lies in the past.")]})
        if value > change.now + LONGEST_EXTENSION:
            raise InvalidAnswer({name: [_("This is more than a year away.")]})


def _move_timer(request: ApprovalRequest, kind: TimerKind, fire_at: datetime | None) -> None:
    if fire_at is not None:
        defaults = {"fire_at": fire_at, "is_held": request.asked_at is not None}
        ApprovalTimer.objects.update_or_create(request=request, kind=kind, seq=0, defaults=defaults)


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
