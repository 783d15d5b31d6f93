"""What strands share, in the orders in which two threads may come to it."""

from __future__ import annotations

import pytest

from durable_engine.core.history import PENDING, STARTED, SUCCEEDED, OperationState
from durable_engine.core.invocation import Invocation
from durable_engine.core.ports import EventType, NewEvent, News, NewTimer, RecordedEvent
from durable_engine.core.strand import Strand
from durable_engine.sdk import registry
from durable_engine.sdk.exceptions import OrphanedChildException
from durable_engine.sdk.execution import durable_execution
from durable_engine.testing.clock import VirtualClock
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.memory_store import MemoryStore


@pytest.fixture
def invocation() -> Invocation:
    with registry.isolated():
        handler = durable_execution(name="test-handler")(lambda event, context: None)
    clock = VirtualClock()
    store = MemoryStore(MemoryExecution(handler, "{}", clock))
    return Invocation(handler, store, store.load(), clock, lambda: 0.5, None)


def failed(operation_id: str) -> NewEvent:
    details = {"next_attempt_delay_seconds": 5}
    return NewEvent(EventType.STEP_FAILED, 0.0, operation_id, None, "Step", None, 1, details=details)


def test_a_completion_that_another_strand_was_handed_first_is_not_lost(invocation: Invocation) -> None:
    """The checkpoint that opened the callback has not returned yet when the answer comes with somebody else's."""
    state = OperationState("1-1", "CALLBACK", "Callback", None, "1")
    invocation.apply_outside([RecordedEvent(7, "CallbackSucceeded", "1-1", "1", "Callback", payload="yes")])

    invocation.apply(state, [NewEvent(EventType.CALLBACK_STARTED, 0.0, "1-1", "1", "Callback")], ())

    assert (state.status, state.payload) == (SUCCEEDED, "yes")
    assert invocation.operations["1-1"] is state


def test_a_timer_that_started_while_the_store_was_asked_is_still_pending(invocation: Invocation) -> None:
    old, new = (OperationState(id, "STEP", "Step", None, None) for id in ("1", "2"))
    invocation.apply(old, [failed("1")], [NewTimer("1", "retry", 5)])
    before = frozenset(invocation.pending_timers)
    invocation.apply(new, [failed("2")], [NewTimer("2", "retry", 5)])

    invocation.apply_news(News((), frozenset(), None), before)

    assert invocation.pending_timers == {"2"}
    assert invocation.has_moved(old)
    assert not invocation.has_moved(new)


def test_an_operation_is_not_seen_as_ended_before_its_result_is_there(invocation: Invocation) -> None:
    seen: list[tuple[str, object]] = []

    class Watched(OperationState):
        __slots__ = ()

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "status":
                seen.append((str(value), getattr(self, "payload", None)))

    state = Watched("1", "CALLBACK", "Callback", None, None)
    invocation.apply(state, [NewEvent(EventType.CALLBACK_STARTED, 0.0, "1")], ())
    invocation.apply_outside([RecordedEvent(3, "CallbackSucceeded", "1", payload="yes")])

    assert seen[1:] == [(STARTED, None), (SUCCEEDED, "yes")]


def test_a_retry_that_is_armed_again_waits_again(invocation: Invocation) -> None:
    state = OperationState("1", "STEP", "Step", None, None)
    for _ in range(2):
        invocation.apply(state, [failed("1")], [NewTimer("1", "retry", 5)])
        assert (state.status, invocation.has_moved(state)) == (PENDING, False)
        invocation.apply_news(News((), frozenset(), None), frozenset({"1"}))
        assert invocation.has_moved(state)


def test_a_strand_below_one_that_was_left_behind_can_record_nothing(invocation: Invocation) -> None:
    root = Strand(invocation)
    branch = Strand(invocation, root)
    inner = Strand(invocation, branch)
    inner.check()
    branch.is_orphaned = True

    with pytest.raises(OrphanedChildException):
        inner.check()
    state = OperationState("1-1-1", "STEP", "Step", None, None)
    with pytest.raises(OrphanedChildException):
        inner.checkpoint(state, [inner.event(EventType.STEP_SUCCEEDED, state)])
    root.check()
    assert invocation.signal is None
