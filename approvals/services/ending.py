"""Closes a request whose callback has ended without it: stopped, timed out, or answered by other means."""

from __future__ import annotations

from approvals.models import EventKind, RequestState
from approvals.queries.eligibility import electorate_of
from approvals.sdk.waiting import expiry_decision
from approvals.services.changes import PERDURE, Change
from approvals.services.closing import interested_in
from approvals.services.notices import Notice
from durable_engine.queries.callbacks import CallbackView, callback_by_key


def close_as_ended(change: Change) -> bool:
    """Close the request if its callback no longer waits; returns whether it did."""
    request = change.request
    if not request.is_open:
        return False
    callback = callback_by_key(request.callback_key)
    if callback is not None and callback.is_waiting:
        return False
    told = [*electorate_of(request), *interested_in(request)]
    if callback is not None and callback.status == "TIMED_OUT":
        # The engine's own timeout, which stands behind the request's: its handler applies `on_expire` in the same way.
        outcome = expiry_decision(request.policy["on_expire"]).outcome
        change.close(RequestState.EXPIRED, by=PERDURE, outcome=outcome)
        seq = change.record(EventKind.EXPIRED, PERDURE, outcome=outcome, state=RequestState.EXPIRED.value)
    else:
        reason = _reason(callback)
        change.close(RequestState.CANCELLED, by=PERDURE, outcome="cancelled", close_reason=reason)
        seq = change.record(EventKind.CANCELLED, PERDURE, reason=reason, state=RequestState.CANCELLED.value)
    change.notify(Notice("closed", seq, told))
    return True


def _reason(callback: CallbackView | None) -> str:
    if callback is None:
        return "The execution was deleted."
    if callback.status in ("SUCCEEDED", "FAILED"):
        return f"The callback was completed by {callback.completed_by or 'somebody'} outside of approvals."
    if callback.execution_status in ("PENDING", "RUNNING", "SUSPENDED", "PAUSED"):
        return "Its execution no longer waits for it: other branches were enough."
    return f"The execution has ended: {callback.execution_status.lower().replace('_', ' ')}."
