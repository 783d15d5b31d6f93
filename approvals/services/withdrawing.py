"""Take a question back: by the requester, a supervisor, or the handler itself."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser

from approvals.models import ApprovalRequest, EventKind, RequestState
from approvals.queries.eligibility import electorate_of
from approvals.rules import Action
from approvals.services.changes import PERDURE, Change, Doer, changing
from approvals.services.closing import WITHDRAWN_ERROR_TYPE, complete, interested_in
from approvals.services.exceptions import ExecutionEnded
from approvals.services.notices import Notice
from approvals.services.texts import checked_words


def withdraw_request(
    request_id: UUID, *, actor: AbstractBaseUser, reason: str, channel: str = "page"
) -> ApprovalRequest:
    """Take a question back: the handler gets `ApprovalWithdrawn` with the reason.

    Raises:
        RequestNotFound, AlreadyDecided, NotAllowed: not this person's, closed, or not theirs to withdraw.
        ExecutionEnded: the execution no longer waits for it. InvalidAnswer: no reason, or too long.
    """
    words = checked_words(reason, "reason", required=True)
    with changing(request_id) as change:
        change.require(actor, Action.WITHDRAW)
        _withdraw(change, Doer.person(actor, channel), words)
    return change.request


def withdraw_by_handler(callback_key: UUID, reason: str) -> None:
    """Take a question back for the handler that asked it; without effect once it is closed or unknown."""
    request_id = ApprovalRequest.objects.filter(callback_key=callback_key).values_list("pk", flat=True).first()
    if request_id is None:
        return
    with changing(request_id) as change:
        if change.request.is_open:
            _withdraw(change, PERDURE, reason[:2_000])


def _withdraw(change: Change, doer: Doer, reason: str) -> None:
    request = change.request
    told = [*electorate_of(request), *interested_in(request)]
    change.close(RequestState.CANCELLED, by=doer, outcome="cancelled", close_reason=reason)
    seq = change.record(EventKind.WITHDRAWN, doer, reason=reason, state=RequestState.CANCELLED.value)
    error = {"ErrorType": WITHDRAWN_ERROR_TYPE, "ErrorMessage": reason or "The question was withdrawn."}
    try:
        complete(request, doer, error=error, reason=f"withdrawn: {reason}"[:500])
    except ExecutionEnded:
        if doer.user is not None:
            raise
    change.notify(Notice("closed", seq, told, but_not=() if doer.user is None else (doer.user.pk,)))
