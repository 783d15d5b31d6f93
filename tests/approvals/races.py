"""What every race of approvals shares: how often it is run, and what holds after each round.

APPROVAL_RACE_ROUNDS sets how often each race is run; 500 before a release.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from approvals.models import ApprovalEvent, ApprovalRequest, ApprovalTimer, Candidate, Vote
from approvals.services.decisions import Decided
from approvals.services.exceptions import (
    AlreadyDecided,
    AlreadyVoted,
    ClaimedByOther,
    Conflict,
    ExecutionEnded,
    NotAllowed,
    RequestExpired,
    RequestNotFound,
)
from durable_engine.models import Event

ROUNDS = int(os.environ.get("APPROVAL_RACE_ROUNDS", "8"))
REFUSALS = (
    AlreadyDecided,
    AlreadyVoted,
    ClaimedByOther,
    Conflict,
    ExecutionEnded,
    NotAllowed,
    RequestExpired,
    RequestNotFound,
)
DECIDING = ("DECIDED", "EXPIRED", "WITHDRAWN", "CANCELLED")


def completions(request: ApprovalRequest) -> list[str]:
    ends = ("CallbackSucceeded", "CallbackFailed", "CallbackTimedOut")
    found = Event.objects.filter(execution_id=request.execution_id, event_type__in=ends)
    return list(found.values_list("event_type", flat=True))


def check(request: ApprovalRequest, results: list[Any]) -> ApprovalRequest:
    """Assert what holds after every race; return the row."""
    unexpected = [each for each in results if isinstance(each, Exception) and not isinstance(each, REFUSALS)]
    assert unexpected == []
    row = ApprovalRequest.objects.get(pk=request.pk)
    events = list(ApprovalEvent.objects.filter(request=request).order_by("seq"))
    assert [event.seq for event in events] == list(range(1, row.revision + 1))
    assert sum(event.kind in DECIDING for event in events) == (0 if row.is_open else 1)
    assert len(completions(request)) <= 1
    votes = Vote.objects.filter(request=request)
    assert len({each.seat_id for each in votes}) == len(votes) == sum(event.kind == "VOTED" for event in events)
    counted = [each for each in results if isinstance(each, Decided)]
    # Whoever was told that it counted has a vote; whoever was refused has none.
    assert {each.vote.pk for each in counted} == set(votes.values_list("pk", flat=True))
    if not row.is_open:
        assert not ApprovalTimer.objects.filter(request=request).exists()
        assert not Candidate.objects.filter(request=request, is_open=True).exists()
    return row


def winners(results: list[Any]) -> int:
    return sum(not isinstance(each, Exception) for each in results)


def rounds(race: Callable[[], str]) -> Counter[str]:
    """Run a race often; returns how often it ended how."""
    return Counter(race() for _ in range(ROUNDS))
