"""What the replay machine needs from the outside: a store for one invocation and a monotonic clock.

Two adapters exist: Postgres (`durable_engine.storage`) and memory (`durable_engine.testing`). Both pass the same
conformance suite, so everything promised here is promised by both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

T = TypeVar("T")


class EventType(StrEnum):
    """The closed list of event types, as AWS names them."""

    EXECUTION_STARTED = "ExecutionStarted"
    EXECUTION_SUCCEEDED = "ExecutionSucceeded"
    EXECUTION_FAILED = "ExecutionFailed"
    EXECUTION_TIMED_OUT = "ExecutionTimedOut"
    EXECUTION_STOPPED = "ExecutionStopped"
    CONTEXT_STARTED = "ContextStarted"
    CONTEXT_SUCCEEDED = "ContextSucceeded"
    CONTEXT_FAILED = "ContextFailed"
    STEP_STARTED = "StepStarted"
    STEP_SUCCEEDED = "StepSucceeded"
    STEP_FAILED = "StepFailed"
    WAIT_STARTED = "WaitStarted"
    WAIT_SUCCEEDED = "WaitSucceeded"
    WAIT_CANCELLED = "WaitCancelled"
    CALLBACK_STARTED = "CallbackStarted"
    CALLBACK_SUCCEEDED = "CallbackSucceeded"
    CALLBACK_FAILED = "CallbackFailed"
    CALLBACK_TIMED_OUT = "CallbackTimedOut"
    CHAINED_INVOKE_STARTED = "ChainedInvokeStarted"
    CHAINED_INVOKE_SUCCEEDED = "ChainedInvokeSucceeded"
    CHAINED_INVOKE_FAILED = "ChainedInvokeFailed"
    CHAINED_INVOKE_TIMED_OUT = "ChainedInvokeTimedOut"
    CHAINED_INVOKE_STOPPED = "ChainedInvokeStopped"
    INVOCATION_COMPLETED = "InvocationCompleted"


class RecordedEvent(NamedTuple):
    """One event of the history, as replay reads it. A tuple: a long history is made of many thousands.

    `payload` is the stored text, unchanged; `error` is an error object as JSON text. `details` holds the small facts
    of the event type: `duration_seconds` (waits), `next_attempt_delay_seconds` (a step that will be retried or
    polled again), `replay_children`, `timeout_seconds`, `heartbeat_timeout_seconds`, `request_id`; of an invoke
    `function` and `version` (what was started), `execution_id` (of the child execution), `tenant_id`.
    """

    event_id: int
    event_type: str
    operation_id: str | None = None
    parent_id: str | None = None
    subtype: str | None = None
    name: str | None = None
    attempt: int | None = None
    payload: str | None = None
    error: str | None = None
    details: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event to be recorded. `occurred` is a reading of the monotonic clock, in seconds: when it happened."""

    event_type: EventType
    occurred: float
    operation_id: str | None = None
    parent_id: str | None = None
    subtype: str | None = None
    name: str | None = None
    attempt: int | None = None
    payload: str | None = None
    error: str | None = None
    details: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class NewTimer:
    """A timer that starts when its event is recorded. `kind` is wait, retry or condition."""

    operation_id: str
    kind: str
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class NewCallback:
    """A callback that opens when its CallbackStarted event is recorded. Zero or None means no limit."""

    operation_id: str
    parent_id: str | None
    name: str | None
    timeout_seconds: float | None = None
    heartbeat_timeout_seconds: float | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A version of a function that exists, and what starting an execution of it takes."""

    function: str
    version: int
    queue: str
    execution_timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class NewChild:
    """An execution that starts when the ChainedInvokeStarted event of its operation is recorded, with that payload.

    Its end becomes the outcome of the operation. `invoker_trace` says where the spans of this execution are.
    """

    operation_id: str
    parent_id: str | None
    name: str | None
    execution_id: str
    target: Target
    input: str
    tenant_id: str | None = None
    invoker_trace: str | None = None


class UnknownFunction(Exception):
    """There is no function of that name, or not this version of it; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one checkpoint records, in order; all of it is committed or none.

    `abandoned` are operation ids that nobody waits for any more: their timers go, their open callbacks are cancelled.
    """

    events: Sequence[NewEvent] = ()
    timers: Sequence[NewTimer] = ()
    callbacks: Sequence[NewCallback] = ()
    children: Sequence[NewChild] = ()
    abandoned: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    status_text: str | None = None
    progress: bool = False  # an outcome that was not interrupted: the crash count starts again


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The history at the start of an invocation.

    `pending_timers` are the operation ids whose timer has not fired: a step in back-off is ready when its id is not
    among them. `crash_count` counts the claims since the last progress, this one included.
    `invocation_id` names this invocation, where the store does.
    """

    execution_id: str
    function: str
    version: int
    name: str
    events: Sequence[RecordedEvent]
    pending_timers: frozenset[str]
    crash_count: int
    invocation_id: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """What has happened outside while the invocation runs.

    `events` are those not seen before, in order. `pending_timers` are the operation ids whose timer has not fired, and
    `next_due` the seconds until the earliest of them does; None when there are none.
    """

    events: Sequence[RecordedEvent]
    pending_timers: frozenset[str]
    next_due: float | None


@dataclass(frozen=True, slots=True)
class NewSuccessor:
    """The execution that goes on in the place of one that ends: under its name, with its tags, for its parent."""

    execution_id: str
    target: Target
    input: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ends: `status` SUCCEEDED with `payload`, or FAILED with `error` (an error object as JSON).

    A `successor` starts with the end; its end is then the one that the parent is told.
    """

    status: str
    payload: str | None = None
    error: str | None = None
    error_type: str = ""
    error_message: str = ""
    successor: NewSuccessor | None = None


class LeaseLost(BaseException):
    """The execution is no longer ours: claimed by another worker, stopped or closed. Abandon, write nothing.

    Derives from BaseException so that no handler's `except Exception` keeps a zombie alive.
    """


Guard = Callable[[], None]
"""Raises when something must no longer be recorded."""


class CallbackKeyTaken(Exception):
    """The store recorded nothing: another open callback of the function has the key of one in the batch."""


class InvocationStore(Protocol):
    """The history of one execution under one lease. Every method may raise `LeaseLost`.

    Safe to call from several threads. Events are recorded in the order of the calls. A `guard` is called in the moment
    in which the call takes its place in that order: what it raises comes out, and nothing is recorded.

    `poll_seconds`: how often `refresh` is worth a call while something outside is waited for.
    """

    poll_seconds: float

    def load(self) -> Snapshot:
        """Turn due timers into their events, then return the history as it stands."""
        ...

    def defer(
        self,
        event: NewEvent,
        timer: NewTimer | None = None,
        child: NewChild | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        """Record an event, its timer and its child, before anything recorded later, at most about 20 ms from now.

        Does not wait. A quick step's start therefore shares the statement of its outcome, and a slow step's start
        becomes visible.
        """
        ...

    def checkpoint(self, batch: Batch, *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        """Record the batch, durably, before returning; return the outside events not seen before, in order.

        Raises:
            CallbackKeyTaken: nothing was recorded.
        """
        ...

    def transact(self, body: Callable[[], Batch], *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        """Run `body` in a transaction of the store's database, and record the batch that it returns in the same one.

        Both are committed or neither. Return the outside events not seen before, in order. What `body` raises comes
        out, and so does what keeps the transaction from being committed.

        Raises:
            InvalidStateError: a transaction is open already in this thread.
        """
        ...

    def refresh(self) -> News:
        """Record what was deferred, turn due timers into their events, and return what came in from outside."""
        ...

    def suspend(self, batch: Batch) -> Snapshot | None:
        """Record the batch and InvocationCompleted, and give the execution up until something happens.

        Returns None when it is suspended. When an outside event had come in unseen, or a timer is already due, the
        lease is kept, a new invocation has begun and its snapshot is returned: run the handler again.
        """
        ...

    def close(self, batch: Batch, outcome: Outcome) -> None:
        """Record the batch, InvocationCompleted and the terminal event; close callbacks and timers. One transaction."""
        ...

    def pause(self, batch: Batch, kind: str, reason: str) -> None:
        """Record the batch and InvocationCompleted and pause the execution until an operator resumes it.

        `kind` is divergence, suspension, undecodable or crashes; `reason` is text for people.
        """
        ...

    def release(self, batch: Batch) -> None:
        """Record the batch and InvocationCompleted and hand the execution to another worker at once (orderly stop).

        The claim is not counted as a crash.
        """
        ...

    def should_release(self) -> bool:
        """Whether this process was asked to stop: suspend at the next operation boundary."""
        ...

    def callback_id(self, operation_id: str) -> str:
        """The opaque id under which the outside completes the callback; the same at every call."""
        ...

    def find_function(self, name: str, version: int | None) -> Target:
        """Return the function of that name, in that version or the newest.

        Raises:
            UnknownFunction: there is none.
        """
        ...

    def new_execution_id(self) -> str:
        """An id that no execution has."""
        ...


EventTimes = Callable[[], Mapping[int, datetime]]
"""When each event that is recorded happened, by its id. Asked at the start of an invocation that has plugins."""


class MonotonicClock(Protocol):
    """Measures durations only; what is due is decided by the store."""

    def __call__(self) -> float:
        """Seconds from an arbitrary point, never going back."""
        ...


class RandomSource(Protocol):
    """Where jitter comes from; replaced by tests."""

    def __call__(self) -> float:
        """A float in [0, 1)."""
        ...


HandlerFunction = Callable[..., object]
