"""One line of control of an invocation, the handler's own or that of a branch; operations record through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

from durable_engine.core import payloads
from durable_engine.core.errors import storable
from durable_engine.core.history import OperationState
from durable_engine.core.invocation import Invocation
from durable_engine.core.ports import (
    Batch,
    CallbackKeyTaken,
    EventType,
    LeaseLost,
    NewCallback,
    NewChild,
    NewEvent,
    NewTimer,
    RecordedEvent,
    Target,
    UnknownFunction,
)
from durable_engine.core.suspension import PauseExecution, ReleaseExecution, StoreFailed, waiting
from durable_engine.sdk.exceptions import (
    InvocationError,
    OrphanedChildException,
    SuspendExecution,
    ValidationError,
)
from durable_engine.sdk.function_names import FunctionReference
from durable_engine.sdk.serdes import SerDes

T = TypeVar("T")

# The strand that runs here; not set in threads that a handler starts by itself.
CURRENT: ContextVar[Strand | None] = ContextVar("durable_engine_strand", default=None)


class Strand:
    """What one line of control has come to.

    A suspension ends the strand alone: its thread goes, its siblings run on. Once a signal has been raised it is raised
    again by every later operation, so code that swallows it can record nothing more. A strand whose batch has left it
    behind is orphaned, with those of its own branches.
    """

    __slots__ = ("guard", "invocation", "is_orphaned", "is_resumed", "parent", "signal", "suspended_at")

    def __init__(self, invocation: Invocation, parent: Strand | None = None, *, is_resumed: bool = False) -> None:
        self.invocation = invocation
        self.parent = parent
        self.is_resumed = is_resumed  # its function has run in this invocation before, up to where it suspended
        self.is_orphaned = False
        self.signal: SuspendExecution | None = None
        self.suspended_at: Sequence[OperationState] = ()
        self.guard = None if parent is None else self.check_writable

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
            self.invocation.clock(),
            state.id,
            state.parent_id,
            state.subtype,
            state.name,
            attempt,
            payload,
            error,
            details,
        )

    def defer(
        self,
        state: OperationState,
        event: NewEvent,
        timer: NewTimer | None = None,
        child: NewChild | None = None,
        *,
        tells: bool = True,
    ) -> None:
        """Record an event that need not be durable yet. Unless it `tells`, whoever calls tells plugins of it."""
        invocation = self.invocation
        self.guarded(lambda: invocation.store.defer(event, timer, child, guard=self.guard))
        invocation.apply(state, [event], () if timer is None else [timer])
        if invocation.plugins is not None and tells:
            invocation.plugins.recorded(state, [event])

    def checkpoint(
        self,
        state: OperationState,
        events: Sequence[NewEvent],
        timers: Sequence[NewTimer] = (),
        callbacks: Sequence[NewCallback] = (),
        children: Sequence[NewChild] = (),
        abandoned: Sequence[str] = (),
        *,
        progress: bool = False,
    ) -> None:
        """Record facts about an operation durably, and learn what came in from outside meanwhile.

        Raises:
            CallbackKeyTaken: nothing was recorded.
        """
        invocation = self.invocation
        tags, status_text = invocation.take_labels()
        batch = Batch(events, timers, callbacks, children, abandoned, tags, status_text, progress)
        try:
            outside = self.guarded(lambda: invocation.store.checkpoint(batch, guard=self.guard))
        except CallbackKeyTaken:
            invocation.give_labels_back(tags, status_text)
            raise
        invocation.apply(state, events, timers)
        self._after(state, events, outside)

    def transact(self, state: OperationState, body: Callable[[], NewEvent]) -> None:
        """Run a body in a transaction of the store's database, and record the event it returns in the same one.

        What the body or the commit raises comes out: nothing was recorded, and the invocation goes on.
        """
        invocation = self.invocation
        events: list[NewEvent] = []

        def run() -> Batch:
            events.append(body())
            # Tags and status text wait for the next statement: a rollback would lose them.
            return Batch(events, progress=True)

        try:
            outside = invocation.store.transact(run, guard=self.guard)
        except (Exception, OrphanedChildException):  # of the body, or of this branch: nothing was recorded
            raise
        except BaseException as signal:
            invocation.abandon(signal)
            raise
        invocation.apply(state, events, ())
        self._after(state, events, outside)

    def _after(self, state: OperationState, events: Sequence[NewEvent], outside: Sequence[RecordedEvent]) -> None:
        """Take what came in with a statement into account, and tell plugins of both."""
        invocation = self.invocation
        if outside:
            invocation.apply_outside(outside)
        if invocation.plugins is not None:
            invocation.plugins.recorded(state, events)
            invocation.plugins.came_in(outside)

    # Reading

    def read(self, state: OperationState, serdes: SerDes[Any] | None) -> Any:
        """Return the recorded result of an operation; pauses the execution when it cannot be read."""
        text = state.payload
        if text is None:
            return None
        try:
            return payloads.decoded(text, serdes, state.id, self.invocation.arn)
        except InvocationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a serdes raises, the history must not be lost over it
            self.pause_undecodable(state, error)

    def find_function(self, function: FunctionReference) -> Target:
        """Return the function that an invoke names.

        Raises:
            UnknownFunction: there is none.
        """
        return self.guarded(lambda: self.invocation.store.find_function(*function))

    # Ending

    @property
    def ending(self) -> BaseException | None:
        """What ends this strand, or the whole invocation; None while it goes on."""
        return self.invocation.signal or self.signal or self.invocation.halt

    def check(self) -> None:
        """Called before an operation: raises what this strand, or the whole invocation, has come to."""
        invocation = self.invocation
        if invocation.signal is not None:
            raise invocation.signal
        self.signal = self.signal or invocation.halt
        if self.signal is not None:
            raise self.signal
        if self.parent is not None:
            self.check_writable()

    def check_writable(self) -> None:
        """Raise when nothing may be recorded any more: the invocation is over, or this strand was left behind."""
        if self.invocation.signal is not None:
            raise self.invocation.signal
        if self.has_been_left():
            raise OrphanedChildException("the batch of this branch is complete; it can record nothing more")

    def check_unsignalled(self) -> None:
        """Called when a function has ended: one that swallowed its signal has not ended, whatever it returned."""
        if (signal := self.invocation.signal or self.signal) is not None:
            raise signal

    def has_been_left(self) -> bool:
        """Whether the batch of this strand, or one around it, was complete without it."""
        strand: Strand | None = self
        while strand is not None:
            if strand.is_orphaned:
                return True
            strand = strand.parent
        return False

    def suspend(self, *states: OperationState) -> NoReturn:
        """End this strand until one of the operations has its outcome."""
        self.suspended_at = states
        self.end(SuspendExecution(waiting(states)))

    def check_release(self) -> None:
        """Called before new work: leave it to another process when this one was asked to stop."""
        if self.guarded(self.invocation.store.should_release):
            self.end(ReleaseExecution("this process was asked to stop"))

    def pause(self, kind: str, reason: str) -> NoReturn:
        """Let the whole invocation end, each strand at its next operation, and wait for an operator."""
        self.check_writable()  # what a branch does that was left behind is nobody's business
        self.end(self.invocation.stop_with(PauseExecution(kind, storable(reason))))

    def pause_undecodable(self, state: OperationState, error: Exception) -> NoReturn:
        """End the invocation because a recorded payload cannot be read by today's code."""
        self.pause(
            "undecodable",
            f"Event {state.event_id}, the outcome of {state}, cannot be decoded: {type(error).__name__}: {error}\n"
            "Deploy code that can read it, then resume; or stop the execution.",
        )

    def end(self, signal: SuspendExecution) -> NoReturn:
        """End this strand with a signal."""
        self.signal = signal
        raise signal

    def guarded(self, call: Callable[[], T]) -> T:
        """Call the store; what it raises ends the whole invocation for good, whatever the handler makes of it."""
        try:
            return call()
        except (ValidationError, UnknownFunction, CallbackKeyTaken, OrphanedChildException):
            raise  # the store recorded nothing
        except LeaseLost as lost:
            self.invocation.abandon(lost)
            raise
        except Exception as error:
            failed = StoreFailed(f"{type(error).__name__}: {error}")
            failed.__cause__ = error
            self.invocation.abandon(failed)
            raise failed from error
        except BaseException as signal:
            self.invocation.abandon(signal)
            raise
