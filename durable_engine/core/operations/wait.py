"""Waits: a timer that the store fires; nothing runs meanwhile."""

from __future__ import annotations

from durable_engine.core.history import CANCELLED, NEW, SUCCEEDED, OperationState
from durable_engine.core.operations.base import Scope, whole
from durable_engine.core.ports import EventType, NewTimer


def run_wait(scope: Scope, state: OperationState, seconds: float) -> None:
    """Return when the wait is over; suspend until then."""
    if state.status == SUCCEEDED or state.status == CANCELLED:
        return
    strand = scope.strand
    if state.status == NEW:
        strand.check_release()
        event = strand.event(EventType.WAIT_STARTED, state, details={"duration_seconds": whole(seconds)})
        # Shares the statement that suspends the execution, when nothing else keeps it running.
        strand.defer(state, event, NewTimer(state.id, "wait", seconds))
    strand.suspend(state)
