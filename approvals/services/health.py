"""Whether a pending request can still be approved by anybody: looked at whenever people or votes change."""

from __future__ import annotations

from approvals.evaluation import Ballot, can_be_met
from approvals.models import EventKind, RequestHealth, Vote
from approvals.queries.eligibility import electorate_of
from approvals.services.changes import PERDURE, Change
from approvals.services.notices import Notice


def check_health(change: Change) -> bool:
    """Record it when a request can no longer be approved, or can again; returns whether that changed."""
    request = change.request
    electorate = electorate_of(request)
    votes = Vote.objects.filter(request=request)
    ballots = [Ballot(vote.seat_id, vote.outcome, vote.choice, frozenset(vote.groups)) for vote in votes]
    waiting = set(electorate) - {ballot.seat for ballot in ballots}
    possible = bool(waiting) and can_be_met(request.policy["quorum"], ballots, electorate)
    health = RequestHealth.OK if possible else RequestHealth.UNSATISFIABLE
    if health == request.health or (possible and request.health != RequestHealth.UNSATISFIABLE):
        return False
    reason = "" if possible else f"{len(waiting)} people may still answer, and that can't reach the quorum."
    change.set(health=health, health_reason=reason)
    seq = change.record(EventKind.HEALTH, PERDURE, health=health.value, reason=reason)
    if not possible:
        told = [request.requester_id] if request.requester_id is not None else []
        change.notify(Notice("unsatisfiable", seq, told))
    return True
