"""The state of one pass of a handler: its history, its store, and the signal that ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from durable_engine.core import payloads
from durable_engine.core.errors import storable
from durable_engine.core.history import History, OperationState
from durable_engine.core.ports import (
    Batch,
    EventType,
    InvocationStore,
    LeaseLost,
    MonotonicClock,
    NewCallback,
    NewEvent,
    NewTimer,
    RandomSource,
    Snapshot,
)
from durable_engine.core.suspension import PauseExecution, ReleaseExecution, StoreFailed
from durable_engine.sdk.context import ExecutionContext
from durable_engine.sdk.exceptions import InvocationError, SuspendExecution, ValidationError
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.serdes import SerDes

T = TypeVar("T")


class Invocation:
    """One pass of a handler over one history.

    Once a signal has been raised it is raised again by every later operation, so a handler that swallows it can
    record nothing more.
    """

    def __init__(
        self,
        handler: DurableHandler,
        store: InvocationStore,
        snapshot: Snapshot,
        clock: MonotonicClock,
        random: RandomSource,
        arn: str | None,
    ) -> None:
        self.handler = handler
        self.store = store
        self.clock = clock
        self.random = random
        self.execution_id = snapshot.execution_id
        self.arn = arn or snapshot.execution_id
        self.execution_context = ExecutionContext(self.arn)
        self.history = History(snapshot.events)
        self.operations = self.history.operations
        self.pending_timers = set(snapshot.pending_timers)
        self.serdes: SerDes[Any] | None = handler.serdes
        self.logger = logging.getLogger(f"perdure.handler.{handler.name}")
        # Claimed again without progress: whoever kills the process must be in the history, so nothing is deferred.
        self.commits_starts = snapshot.crash_count > 1
        self.signal: BaseException | None = None
        self.suspended_at: OperationState | None = None
        self.tainted = False
        self._unflushed = Batch()
        self._tags: dict[str, str] = {}
        self._status_text: str | None = None

    # Recording

    def event(
        self,
        event_type: EventType,
        state: OperationState,
        *,
        attempt: int | None = None,
        payload: str | None = None,
        error: str | None = None,
        details: dict[str, object] | None = None,
    ) -> NewEvent:
        """Return an event of an operation that happens now."""
        return NewEvent(
            event_type,
            self.clock(),
            state.id,
            state.parent_id,
            state.subtype,
            state.name,
            attempt,
            payload,
            error,
            details,
        )

    def defer(self, state: OperationState, event: NewEvent) -> None:
        """Record a start that need not be durable yet."""
        self._guarded(lambda: self.store.defer(event))
        self._applied(state, [event])

    def checkpoint(
        self,
        state: OperationState,
        events: Sequence[NewEvent],
        timers: Sequence[NewTimer] = (),
        callbacks: Sequence[NewCallback] = (),
        *,
        progress: bool = False,
    ) -> None:
        """Record facts about an operation durably, and learn what came in from outside meanwhile."""
        batch = Batch(events, timers, callbacks, self._tags, self._status_text, progress)
        self._tags, self._status_text = {}, None
        outside = self._guarded(lambda: self.store.checkpoint(batch))
        self._applied(state, events)
        self.pending_timers.update(timer.operation_id for timer in timers)
        for event in outside:
            self.history.apply(event, event.event_id)

    def suspend_with(self, state: OperationState, event: NewEvent, timer: NewTimer) -> NoReturn:
        """Suspend, and record the operation's start in the same statement."""
        self._unflushed = Batch([event], [timer])
        self._applied(state, [event])
        self.suspend(state)

    def take_batch(self) -> Batch:
        """Return what the statement that ends this invocation has to record."""
        unflushed = self._unflushed
        return Batch(unflushed.events, unflushed.timers, (), self._tags, self._status_text)

    def tag(self, tags: dict[str, str]) -> None:
        """Set tags with the next statement. Replayed ones are sent again: they may never have been recorded."""
        self._tags = {**self._tags, **tags}

    def set_status_text(self, text: str) -> None:
        """Set the status text with the next statement."""
        self._status_text = text

    # Reading

    def read(self, state: OperationState, serdes: SerDes[Any] | None) -> Any:
        """Return the recorded result of an operation; pauses the execution when it cannot be read."""
        text = state.payload
        if text is None:
            return None
        try:
            return payloads.decoded(text, serdes, state.id, self.arn)
        except InvocationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a serdes raises, the history must not be lost over it
            self.pause_undecodable(state, error)

    # Ending

    def suspend(self, state: OperationState) -> NoReturn:
        """End the invocation until the operation has its outcome."""
        self.suspended_at = state
        self._raise(SuspendExecution(f"waiting for {state}"))

    def check_release(self) -> None:
        """Called before new work: leave it to another process when this one was asked to stop."""
        if self._guarded(self.store.should_release):
            self._raise(ReleaseExecution("this process was asked to stop"))

    def pause(self, kind: str, reason: str) -> NoReturn:
        """End the invocation and wait for an operator."""
        self._raise(PauseExecution(kind, storable(reason)))

    def pause_undecodable(self, state: OperationState, error: Exception) -> NoReturn:
        """End the invocation because a recorded payload cannot be read by today's code."""
        self.pause(
            "undecodable",
            f"Event {state.event_id}, the outcome of {state}, cannot be decoded: {type(error).__name__}: {error}\n"
            "Deploy code that can read it, then resume; or stop the execution.",
        )

    def _raise(self, signal: BaseException) -> NoReturn:
        self.signal = signal
        raise signal

    def _applied(self, state: OperationState, events: Sequence[NewEvent]) -> None:
        self.operations[state.id] = state
        for event in events:
            self.history.apply(event)

    def _guarded(self, call: Callable[[], T]) -> T:
        """Call the store; what it raises ends this invocation for good, whatever the handler makes of it."""
        try:
            return call()
        except ValidationError:  # the store refused an argument and recorded nothing
            raise
        except LeaseLost as lost:
            self.signal = lost
            raise
        except Exception as error:
            self.signal = StoreFailed(f"{type(error).__name__}: {error}")
            raise self.signal from error
        except BaseException as signal:
            self.signal = signal
            raise
