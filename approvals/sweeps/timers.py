"""Due timers: remind, escalate, mark overdue, expire, release a claim. Each in a transaction of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError

from approvals.clock import database_now
from approvals.models import ApprovalTimer, CandidateSource, EventKind, RequestState, TimerKind, Vote
from approvals.queries.eligibility import electorate_of, electorate_of_entries
from approvals.sdk.waiting import expiry_decision
from approvals.services.changes import PERDURE, Change, changing, labels_of
from approvals.services.closing import conclude, interested_in
from approvals.services.ending import close_as_ended
from approvals.services.exceptions import ExecutionEnded, NobodyCanDecide, RequestNotFound
from approvals.services.handling import end_claim
from approvals.services.health import check_health
from approvals.services.notices import Notice
from approvals.services.people import candidates_of
from approvals.services.supervising import add_candidates

BATCH = 500
# One that can't be done must not keep the sweep busy, nor hold up the others.
PUT_OFF = timedelta(minutes=1)

logger = logging.getLogger(__name__)


def tick() -> int:
    """Do what is due; returns how many timers were, or 0 when nothing at all could be done."""
    due = ApprovalTimer.objects.filter(fire_at__lte=database_now(), is_held=False).order_by("fire_at")
    found = list(due.values_list("pk", "request_id")[:BATCH])
    done = 0
    for timer_id, request_id in found:
        done += _fire(timer_id, request_id)
    return len(found) if done else 0


def _fire(timer_id: int, request_id: UUID) -> bool:
    try:
        # Who holds the request may be deciding it: the next round looks again.
        with changing(request_id, skip_locked=True) as change:
            return _act(change, timer_id)
    except RequestNotFound:
        return False
    except ExecutionEnded:
        return _end(request_id)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("timer %s of approval request %s; tried again in a minute", timer_id, request_id)
        ApprovalTimer.objects.filter(pk=timer_id).update(fire_at=database_now() + PUT_OFF)
        return True


def _act(change: Change, timer_id: int) -> bool:
    timer = ApprovalTimer.objects.filter(pk=timer_id, is_held=False, fire_at__lte=change.now).first()
    if timer is None or not change.request.is_open:
        return False
    timer.delete()
    ACTIONS[TimerKind(timer.kind)](change, timer)
    return True


def _end(request_id: UUID) -> bool:
    with changing(request_id) as change:
        return close_as_ended(change)


def _remind(change: Change, timer: ApprovalTimer) -> None:
    seq = change.record(EventKind.REMINDED, PERDURE)
    change.notify(Notice("reminder", seq, _missing(change)))


def _overdue(change: Change, timer: ApprovalTimer) -> None:
    request = change.request
    seq = change.record(EventKind.OVERDUE, PERDURE, due_at=request.due_at.isoformat() if request.due_at else None)
    told = {*_missing(change), *filter(None, [request.requester_id])}
    change.notify(Notice("overdue", seq, sorted(told)))


def _escalate(change: Change, timer: ApprovalTimer) -> None:
    request, action, people = change.request, timer.payload["action"], timer.payload["people"]
    level = request.escalation_level + 1
    change.set(escalation_level=level)
    try:
        if action == "notify":
            entries = candidates_of(people, request, change.now)
            told = sorted(electorate_of_entries(entries, excluded=()))
            change.set(watcher_ids=sorted({*request.watcher_ids, *told}))
        else:
            entries = add_candidates(
                change, people, CandidateSource.ESCALATION, replace=action == "replace", level=level
            )
            told = sorted(electorate_of_entries(entries, excluded=request.excluded_ids))
    except NobodyCanDecide as error:
        # Somebody named long ago is gone by now: seen in the history and the team view, and the request goes on.
        change.record(EventKind.ESCALATED, PERDURE, action=action, people=[], level=level, problem=str(error))
        return
    if action == "replace" and request.claimed_by_id is not None:
        end_claim(change, PERDURE)
    seq = change.record(EventKind.ESCALATED, PERDURE, action=action, people=labels_of(entries), level=level)
    change.notify(Notice("escalated", seq, told))
    check_health(change)


def _expire(change: Change, timer: ApprovalTimer) -> None:
    request = change.request
    facts = {"request_id": str(request.pk), "digest": request.digest, "decided_at": change.now.isoformat()}
    decision = expiry_decision(request.policy["on_expire"], **facts)
    told = {*electorate_of(request), *interested_in(request)}
    conclude(change, decision, by=PERDURE, state=RequestState.EXPIRED, kind=EventKind.EXPIRED, told=told)


def _unclaim(change: Change, timer: ApprovalTimer) -> None:
    until = change.request.claimed_until
    if until is not None and until <= change.now:
        end_claim(change, PERDURE)


def _missing(change: Change) -> list[int]:
    """Who is asked and has not answered."""
    voted = set(Vote.objects.filter(request=change.request).values_list("seat_id", flat=True))
    return sorted(set(electorate_of(change.request)) - voted)


ACTIONS: dict[TimerKind, Callable[[Change, ApprovalTimer], None]] = {
    TimerKind.REMIND: _remind,
    TimerKind.DUE: _overdue,
    TimerKind.ESCALATE: _escalate,
    TimerKind.EXPIRE: _expire,
    TimerKind.UNCLAIM: _unclaim,
}
