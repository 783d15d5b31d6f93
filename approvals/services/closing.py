"""The end of a request: its row, its history and the engine's callback, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from approvals.clock import offset
from approvals.models import ActorKind, ApprovalRequest, EventKind, RequestState, Vote
from approvals.sdk.decision import Decision, VoteOf
from approvals.sdk.spec import GRACE_SECONDS
from approvals.services.changes import Change, Doer
from approvals.services.exceptions import ExecutionEnded
from approvals.services.notices import Notice
from durable_engine.services.actors import APPROVALS, Actor
from durable_engine.services.callbacks import complete_callback_of, move_callback_deadline
from durable_engine.services.exceptions import CallbackClosed, CallbackNotFound
from durable_engine.services.validation import MAX_CALLBACK_RESULT_BYTES

STATES = {
    "approved": RequestState.APPROVED,
    "rejected": RequestState.REJECTED,
    "answered": RequestState.ANSWERED,
}
WITHDRAWN_ERROR_TYPE = "ApprovalWithdrawn"
ANSWERED_CHOICES = {"approved": "approve", "rejected": "reject"}


def conclude(
    change: Change,
    decision: Decision,
    *,
    by: Doer,
    state: RequestState,
    kind: EventKind,
    told: Iterable[int | None],
) -> None:
    """Close the request with a decision and hand it to the handler: the callback succeeds in this transaction.

    `told` are the users that hear of it, besides the requester and those who watch.

    Raises:
        ExecutionEnded: the execution no longer waits for it.
    """
    request = change.request
    change.close(
        state,
        by=by,
        outcome=decision.outcome,
        choice=decision.choice,
        result=json.loads(decision.as_text()),
        is_break_glass=decision.is_break_glass,
    )
    seq = change.record(kind, by, outcome=decision.outcome, choice=decision.choice, state=state.value)
    complete(request, by, succeed=_fitting(decision), reason=_reason(decision))
    users = {user for user in (*told, *request.watcher_ids, request.requester_id) if user is not None}
    change.notify(Notice("closed", seq, sorted(users), but_not=_doer_ids(by)))


def complete(request: ApprovalRequest, by: Doer, **outcome: Any) -> None:
    """Complete the engine's callback in the caller's transaction.

    Raises:
        ExecutionEnded: it is closed already.
    """
    actor = Actor(by.label, None if by.user is None else by.user.pk, APPROVALS)
    try:
        complete_callback_of(request.execution_id, request.operation_id, actor=actor, **outcome)
    except (CallbackClosed, CallbackNotFound) as error:
        raise ExecutionEnded(error.problem) from error


def decision_of(
    request: ApprovalRequest, votes: Iterable[Vote], outcome: str, deciding: Vote, *, is_break_glass: bool = False
) -> Decision:
    """Return what the handler receives when `deciding` was the answer that decided."""
    return Decision(
        outcome=outcome,
        choice=deciding.choice,
        data=deciding.data,
        comment=deciding.comment,
        by=deciding.voter_label,
        votes=tuple(
            VoteOf(vote.voter_label, vote.choice, vote.comment, vote.on_behalf_of_label, vote.created_at.isoformat())
            for vote in votes
        ),
        request_id=str(request.pk),
        digest=request.digest,
        decided_at=deciding.created_at.isoformat(),
        is_break_glass=is_break_glass,
    )


def _fitting(decision: Decision) -> str:
    """A thousand long comments do not fit into a callback's result; the request keeps them."""
    text = decision.as_text()
    if len(text.encode()) <= MAX_CALLBACK_RESULT_BYTES:
        return text
    votes = tuple(VoteOf(vote.by, vote.choice, "", vote.on_behalf_of, vote.at) for vote in decision.votes)
    return replace(decision, votes=votes).as_text()


def _reason(decision: Decision) -> str:
    """Cut to what the audit keeps; the comment itself stands whole in the history."""
    text = f"{decision.choice}: {decision.comment}" if decision.comment else decision.choice or decision.outcome
    return text.encode()[:1_900].decode(errors="ignore")


def interested_in(request: ApprovalRequest) -> set[int]:
    """Return who is told of the end in any case: who wanted it, who answered, who watches."""
    voters = Vote.objects.filter(request=request, voter__isnull=False).values_list("voter", flat=True)
    found = {*voters, *request.watcher_ids, request.requester_id}
    return {user for user in found if user is not None}


def _doer_ids(by: Doer) -> tuple[int, ...]:
    return (by.user.pk,) if by.user is not None and by.kind == ActorKind.PERSON else ()


def move_deadline(request: ApprovalRequest, expires_at: datetime | None) -> None:
    """Keep the callback's own timeout behind the end of the request; None while the clocks stand still.

    Raises:
        ExecutionEnded: the execution no longer waits for it.
    """
    deadline = None if expires_at is None else expires_at - offset.value + timedelta(seconds=GRACE_SECONDS)
    try:
        move_callback_deadline(request.execution_id, request.operation_id, deadline)
    except (CallbackClosed, CallbackNotFound) as error:
        raise ExecutionEnded(error.problem) from error
