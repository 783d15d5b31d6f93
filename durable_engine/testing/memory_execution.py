"""One execution in memory: its row, its history, its timers and callbacks, under the rules of the real tables."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from durable_engine.core.ports import (
    CallbackKeyTaken,
    EventType,
    NewCallback,
    NewChild,
    NewSuccessor,
    NewTimer,
    RecordedEvent,
)
from durable_engine.sdk.registry import DurableHandler
from durable_engine.testing.clock import VirtualClock
from durable_engine.testing.functions import KnownFunctions
from durable_engine.testing.memory_callback import MemoryCallback

CLOSED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED")
INVOKE_OUTCOMES = {
    "SUCCEEDED": EventType.CHAINED_INVOKE_SUCCEEDED,
    "FAILED": EventType.CHAINED_INVOKE_FAILED,
    "TIMED_OUT": EventType.CHAINED_INVOKE_TIMED_OUT,
    "STOPPED": EventType.CHAINED_INVOKE_STOPPED,
}
# As many claims in a row without progress pause an execution.
MAX_CRASHES = 5


class NotPossible(Exception):
    """The execution or callback is not in a state that allows this."""


@dataclass
class MemoryExecution:
    """The state that the engine keeps in Postgres. Every change goes through a method, under one lock."""

    handler: DurableHandler
    input: str
    clock: VirtualClock
    name: str = "execution-name"
    id: str = field(default_factory=lambda: str(uuid4()))
    status: str = "PENDING"
    fence: int = 0
    crash_count: int = 0
    events: list[RecordedEvent] = field(default_factory=list)
    event_times: list[float] = field(default_factory=list)
    timers: dict[str, float] = field(default_factory=dict)
    callbacks: dict[str, MemoryCallback] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    status_text: str = ""
    pause_kind: str = ""
    pause_reason: str = ""
    paused_at: float | None = None
    error_type: str = ""
    error_message: str = ""
    stopping: bool = False  # the process that runs it was asked to stop
    functions: KnownFunctions = field(default_factory=KnownFunctions)
    parent: tuple[MemoryExecution, str] | None = None  # who waits for its end, and the operation that does
    tenant_id: str | None = None
    invoker_trace: str | None = None
    children: list[MemoryExecution] = field(default_factory=list)
    successor: MemoryExecution | None = None  # goes on in its place
    # One for a whole family: a child that ends writes into its parent.
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        given = {name: vars(self)[name] for name in ("tenant_id", "invoker_trace") if vars(self)[name] is not None}
        self.append(EventType.EXECUTION_STARTED, payload=self.input, details=given or None)
        timeout = self.handler.execution_timeout
        self.expires_at = None if timeout is None else self.clock() + timeout.seconds

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self.status in CLOSED

    def append(
        self,
        event_type: EventType,
        *,
        at: float | None = None,
        operation_id: str | None = None,
        payload: str | None = None,
        error: str | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        """Record one event that is not an operation's start; it has the name and place of its operation."""
        start = next((event for event in self.events if event.operation_id == operation_id), None)
        placed = start if operation_id is not None else None
        self.record(
            RecordedEvent(
                len(self.events) + 1,
                event_type,
                operation_id,
                placed.parent_id if placed else None,
                placed.subtype if placed else None,
                placed.name if placed else None,
                None,
                payload,
                error,
                details,
            ),
            self.clock() if at is None else at,
        )

    def record(self, event: RecordedEvent, at: float) -> None:
        """Append an event, never earlier than the one before it."""
        self.events.append(event)
        self.event_times.append(max(at, self.event_times[-1]) if self.event_times else at)

    def claim(self) -> int:
        """Take the lease and return its fence.

        Raises:
            NotPossible: it is not waiting to be claimed.
        """
        with self.lock:
            if self.status != "PENDING":
                raise NotPossible(f"the execution is {self.status}")
            self.fence += 1
            self.crash_count += 1
            self.status = "RUNNING"
            return self.fence

    def recover(self, error_type: str = "Runtime.ExitError") -> None:
        """Take over from a process that died: its invocation ends with an error, and another may claim."""
        with self.lock:
            if self.status != "RUNNING":
                return
            message = "the process that ran the invocation exited"
            self.complete_invocation(json.dumps({"ErrorType": error_type, "ErrorMessage": message}))
            self.status = "PENDING"
            self.fence += 1
            if self.crash_count >= MAX_CRASHES:
                self.pause("crashes", message)

    def pause(self, kind: str, reason: str) -> None:
        """Let nothing of it happen until somebody resumes it."""
        self.status, self.pause_kind, self.pause_reason, self.paused_at = "PAUSED", kind, reason, self.clock()

    def complete_invocation(self, error: str | None = None) -> None:
        """Record the end of an invocation."""
        self.append(EventType.INVOCATION_COMPLETED, error=error)

    def add_timers(self, timers: Sequence[NewTimer]) -> None:
        """Start timers."""
        for timer in timers:
            self.timers[timer.operation_id] = self.clock() + timer.delay_seconds

    def check_keys(self, callbacks: Sequence[NewCallback]) -> None:
        """Refuse a callback whose key an open one has, of the same function and in the same family.

        Raises:
            CallbackKeyTaken: names the execution that has it.
        """
        for key in {new.key for new in callbacks if new.key is not None}:
            for member in self.root.family():
                same_function = member.handler.name == self.handler.name
                owner = next((each for each in member.callbacks.values() if same_function and each.holds(key)), None)
                if owner is not None:
                    raise CallbackKeyTaken(
                        f"the key {key!r} belongs to an open callback of {self.handler.name!r} already: operation "
                        f"{owner.operation_id} of execution {member.id}. Complete that one first, or use another key"
                    )

    def add_callbacks(self, callbacks: Sequence[NewCallback]) -> None:
        """Open callbacks."""
        now = self.clock()
        for new in callbacks:
            self.callbacks[new.operation_id] = MemoryCallback(
                new.operation_id,
                new.name,
                "STARTED",
                new.timeout_seconds,
                new.heartbeat_timeout_seconds,
                now + new.timeout_seconds if new.timeout_seconds else None,
                now + new.heartbeat_timeout_seconds if new.heartbeat_timeout_seconds else None,
                new.key,
            )

    def add_children(self, children: Sequence[NewChild]) -> None:
        """Start the executions that this one invokes."""
        for new in children:
            self.children.append(
                MemoryExecution(
                    self.functions.handler(new.target.function, new.target.version),
                    new.input,
                    self.clock,
                    new.execution_id,
                    new.execution_id,
                    functions=self.functions,
                    parent=(self, new.operation_id),
                    tenant_id=new.tenant_id,
                    invoker_trace=new.invoker_trace,
                    lock=self.lock,
                )
            )

    def times(self) -> dict[int, datetime]:
        """Return when each event happened, by the virtual clock, which begins in 1970."""
        return {number: datetime.fromtimestamp(at, UTC) for number, at in enumerate(self.event_times, 1)}

    def take_child(self, source: MemoryExecution, operation_id: str) -> None:
        """Hear of an execution that another one invoked, from now on; at once if it has ended."""
        child = next(child for child in source.children if child.parent and child.parent[1] == operation_id)
        source.children = [other for other in source.children if other is not child]
        self.children.append(child)
        newest = child.newest
        newest.parent = (self, operation_id)
        if newest.is_closed:
            newest._tell_parent(newest.events[-1].payload, newest.events[-1].error)

    @property
    def root(self) -> MemoryExecution:
        """The execution that nobody invoked, at the top of the family."""
        return self if self.parent is None else self.parent[0].root

    def family(self) -> Iterator[MemoryExecution]:
        """Return this execution and all that it invoked, and those that they did."""
        yield self
        for child in self.children:
            yield from child.family()
        if self.successor is not None:
            yield from self.successor.family()

    @property
    def newest(self) -> MemoryExecution:
        """What goes on in its place: itself, unless it continued as new."""
        return self if self.successor is None else self.successor.newest

    def begin_successor(self, new: NewSuccessor) -> None:
        """Start the execution that goes on in the place of this one, which is about to end."""
        handler = self.handler
        if new.target.version != handler.version:
            handler = self.functions.handler(new.target.function, new.target.version)
        self.successor = MemoryExecution(
            handler,
            new.input,
            self.clock,
            new.execution_id if self.name == self.id else self.name,
            new.execution_id,
            tags=dict(self.tags),
            functions=self.functions,
            parent=self.parent,
            tenant_id=self.tenant_id,
            lock=self.lock,
        )

    def abandon(self, operation_ids: Sequence[str]) -> None:
        """Forget the timers of operations that nobody waits for any more, and cancel their open callbacks."""
        for operation_id in operation_ids:
            self.timers.pop(operation_id, None)
            callback = self.callbacks.get(operation_id)
            if callback is not None and callback.status == "STARTED":
                callback.status = "CANCELLED"

    def next_due(self) -> float | None:
        """Return when something happens by itself next."""
        # While it is paused, timers and its own timeout have no effect; callbacks still time out.
        due = [] if self.status == "PAUSED" else list(self.timers.values())
        for callback in self.callbacks.values():
            if callback.status == "STARTED":
                due += [at for at in (callback.deadline, callback.heartbeat_deadline) if at is not None]
        if self.expires_at is not None and self.status != "PAUSED":
            due.append(self.expires_at)
        return None if self.is_closed else min(due, default=None)

    def fire_due(self) -> None:
        """Do what is due by now, in the order it fell due."""
        with self.lock:
            now = self.clock()
            while not self.is_closed and (due := self.next_due()) is not None and due <= now:
                self._fire_at(due)

    def _fire_at(self, due: float) -> None:
        if self.expires_at == due:
            timeout = self.handler.execution_timeout
            message = f"Execution timed out after {timeout.seconds if timeout else 0:g} seconds."
            error = json.dumps({"ErrorType": "ExecutionTimedOut", "ErrorMessage": message})
            self.close("TIMED_OUT", EventType.EXECUTION_TIMED_OUT, error=error)
            return
        for operation_id in [key for key, at in self.timers.items() if at == due]:
            self.fire_timer(operation_id, at=due)
        for callback in self.callbacks.values():
            if callback.status == "STARTED" and due == callback.deadline:
                message = f"No answer came within {callback.timeout:g} seconds."
                self._time_out(callback, "Callback.Timeout", message)
            elif callback.status == "STARTED" and due == callback.heartbeat_deadline:
                message = f"No heartbeat came for {callback.heartbeat_timeout:g} seconds."
                self._time_out(callback, "Callback.Heartbeat", message)

    def fire_timer(self, operation_id: str, *, at: float) -> None:
        """Let a timer fire: a wait gets its event, a retry becomes ready."""
        del self.timers[operation_id]
        start = next(event for event in self.events if event.operation_id == operation_id)
        if start.event_type == EventType.WAIT_STARTED:
            details = dict(start.details or {})
            self.append(EventType.WAIT_SUCCEEDED, at=at, operation_id=operation_id, details=details)
        self.wake()

    def _time_out(self, callback: MemoryCallback, error_type: str, message: str) -> None:
        callback.status = "TIMED_OUT"
        error = json.dumps({"ErrorType": error_type, "ErrorMessage": message})
        self.append(EventType.CALLBACK_TIMED_OUT, operation_id=callback.operation_id, error=error)
        self.wake()

    def complete_callback(self, operation_id: str, *, payload: str | None = None, error: str | None = None) -> None:
        """Complete a callback from outside: with a failure when `error` is given.

        Raises:
            NotPossible: it is not open.
        """
        with self.lock:
            callback = self.open_callback(operation_id)
            callback.status = "SUCCEEDED" if error is None else "FAILED"
            event_type = EventType.CALLBACK_SUCCEEDED if error is None else EventType.CALLBACK_FAILED
            self.append(event_type, operation_id=operation_id, payload=payload, error=error)
            self.wake()

    def heartbeat(self, operation_id: str) -> None:
        """Start a callback's heartbeat timeout again.

        Raises:
            NotPossible: it is not open.
        """
        with self.lock:
            callback = self.open_callback(operation_id)
            if callback.heartbeat_timeout is not None:
                callback.heartbeat_deadline = self.clock() + callback.heartbeat_timeout

    def open_callback(self, operation_id: str) -> MemoryCallback:
        """Return a callback that is open."""
        callback = self.callbacks.get(operation_id)
        if callback is None or callback.status != "STARTED":
            raise NotPossible(f"the callback is {callback.status if callback else 'unknown'}")
        return callback

    def wake(self) -> None:
        """Let a suspended execution be claimed."""
        if self.status == "SUSPENDED":
            self.status = "PENDING"

    def stop(self, message: str = "Execution stopped by user request") -> None:
        """Stop it from outside; a process that runs it finds its lease gone."""
        with self.lock:
            if not self.is_closed:
                error = json.dumps({"ErrorType": "ExecutionStopped", "ErrorMessage": message})
                self.close("STOPPED", EventType.EXECUTION_STOPPED, error=error)

    def close(
        self, status: str, event_type: EventType, *, payload: str | None = None, error: str | None = None
    ) -> None:
        """Record the end: the running invocation's, then the execution's."""
        if self.status == "RUNNING":
            self.complete_invocation()
        self.append(event_type, payload=payload, error=error)
        self.status = status
        self.timers.clear()
        for callback in self.callbacks.values():
            if callback.status == "STARTED":
                callback.status = "CANCELLED"
        self._tell_parent(payload, error)

    def _tell_parent(self, payload: str | None, error: str | None) -> None:
        if self.parent is None or self.successor is not None:
            return
        parent, operation_id = self.parent
        if not parent.is_closed:
            parent.append(INVOKE_OUTCOMES[self.status], operation_id=operation_id, payload=payload, error=error)
            parent.wake()
