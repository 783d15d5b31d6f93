"""The store port over an execution in memory."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from uuid import uuid4

from durable_engine.core.ports import (
    Batch,
    EventType,
    Guard,
    InvocationStore,
    LeaseLost,
    NewChild,
    NewEvent,
    News,
    NewTimer,
    Outcome,
    RecordedEvent,
    Snapshot,
    Target,
)
from durable_engine.testing.memory_execution import MemoryExecution


class MemoryStore(InvocationStore):
    """One lease on an execution in memory.

    `flushes_starts` records deferred events at once, as a store does for a body that runs longer than an instant.
    """

    poll_seconds = 0.005  # of real time; whoever moves the virtual clock does not want to wait

    def __init__(self, execution: MemoryExecution, *, flushes_starts: bool = False) -> None:
        self._execution = execution
        self._fence = execution.claim()
        self._flushes_starts = flushes_starts
        self._deferred: list[Batch] = []
        self._seen = 0
        self._own: set[int] = set()

    def load(self) -> Snapshot:
        """Turn due timers into their events, then return the history."""
        with self._execution.lock:
            self._check_lease()
            self._execution.fire_due()
            self._check_lease()
            return self._snapshot()

    def defer(
        self,
        event: NewEvent,
        timer: NewTimer | None = None,
        child: NewChild | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        """Record an event, its timer and its child, before anything recorded later."""
        with self._execution.lock:
            if guard is not None:
                guard()
            timers, children = [] if timer is None else [timer], [] if child is None else [child]
            self._deferred.append(Batch([event], timers, children=children))
            if self._flushes_starts:
                self._check_lease()
                self._record(Batch())

    def checkpoint(self, batch: Batch, *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        """Record the batch; return the outside events not seen before."""
        execution = self._execution
        with execution.lock:
            if guard is not None:
                guard()
            self._check_lease()
            execution.check_keys(batch.callbacks)
            outside = self._unseen()
            self._record(batch)
            self._seen = len(execution.events)
            return outside

    def transact(self, body: Callable[[], Batch], *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        """Run the body, then record its batch: nothing here can be rolled back."""
        return self.checkpoint(body(), guard=guard)

    def refresh(self) -> News:
        """Record what was deferred, fire due timers, and return what came in."""
        execution = self._execution
        with execution.lock:
            self._check_lease()
            self._record(Batch())
            execution.fire_due()
            self._check_lease()
            outside = self._unseen()
            self._seen = len(execution.events)
            due = min(execution.timers.values(), default=None)
            return News(
                outside, frozenset(execution.timers), None if due is None else max(0.0, due - execution.clock())
            )

    def suspend(self, batch: Batch) -> Snapshot | None:
        """Record the batch and give the execution up, unless something came in or is due."""
        execution = self._execution
        with execution.lock:
            self._check_lease()
            came_in = bool(self._unseen())
            self._record(batch)
            execution.complete_invocation()
            due = execution.next_due()
            if came_in or (due is not None and due <= execution.clock()):
                execution.fire_due()
                self._check_lease()
                execution.crash_count = 1
                return self._snapshot()
            execution.crash_count = 0
            execution.status = "SUSPENDED"
            return None

    def close(self, batch: Batch, outcome: Outcome) -> None:
        """Record the batch and the end."""
        execution = self._execution
        with execution.lock:
            self._check_lease()
            self._record(batch)
            succeeded = outcome.status == "SUCCEEDED"
            event_type = EventType.EXECUTION_SUCCEEDED if succeeded else EventType.EXECUTION_FAILED
            execution.error_type, execution.error_message = outcome.error_type, outcome.error_message
            if outcome.successor is not None:
                execution.begin_successor(outcome.successor)
            execution.close(outcome.status, event_type, payload=outcome.payload, error=outcome.error)

    def pause(self, batch: Batch, kind: str, reason: str) -> None:
        """Record the batch and wait for an operator."""
        self._give_up(batch, "PAUSED")
        self._execution.pause(kind, reason)

    def release(self, batch: Batch) -> None:
        """Record the batch and hand the execution over; the claim does not count as a crash."""
        self._give_up(batch, "PENDING")
        self._execution.crash_count -= 1
        self._execution.stopping = False

    def should_release(self) -> bool:
        """Whether the process was asked to stop."""
        with self._execution.lock:
            self._check_lease()
            return self._execution.stopping

    def callback_id(self, operation_id: str) -> str:
        """Return the opaque id of a callback."""
        return callback_id(self._execution.id, operation_id)

    def find_function(self, name: str, version: int | None) -> Target:
        """Return a function that the test knows."""
        return self._execution.functions.find(name, version)

    def new_execution_id(self) -> str:
        """Return an id that no execution has."""
        return str(uuid4())

    def _snapshot(self) -> Snapshot:
        execution = self._execution
        self._seen = len(execution.events)
        return Snapshot(
            execution.id,
            execution.handler.name,
            execution.handler.version,
            execution.name,
            list(execution.events),
            frozenset(execution.timers),
            execution.crash_count,
            str(uuid4()),
        )

    def _unseen(self) -> list[RecordedEvent]:
        return [event for event in self._execution.events[self._seen :] if event.event_id not in self._own]

    def _check_lease(self) -> None:
        if self._execution.fence != self._fence or self._execution.status != "RUNNING":
            raise LeaseLost(f"the execution is {self._execution.status}")

    def _record(self, batch: Batch) -> None:
        execution = self._execution
        batches, self._deferred = [*self._deferred, batch], []
        for new in (event for each in batches for event in each.events):
            self._own.add(len(execution.events) + 1)
            execution.record(
                RecordedEvent(
                    len(execution.events) + 1,
                    str(new.event_type),
                    new.operation_id,
                    new.parent_id,
                    new.subtype,
                    new.name,
                    new.attempt,
                    new.payload,
                    new.error,
                    new.details,
                ),
                new.occurred,
            )
        execution.add_timers([timer for each in batches for timer in each.timers])
        execution.add_callbacks(batch.callbacks)
        execution.add_children([child for each in batches for child in each.children])
        execution.abandon([id for each in batches for id in each.abandoned])
        execution.tags.update(batch.tags)
        if batch.status_text is not None:
            execution.status_text = batch.status_text
        if batch.progress:
            execution.crash_count = 0

    def _give_up(self, batch: Batch, status: str) -> None:
        with self._execution.lock:
            self._check_lease()
            self._record(batch)
            self._execution.complete_invocation()
            self._execution.status = status


def callback_id(execution_id: str, operation_id: str) -> str:
    """Return the id under which tests complete a callback."""
    return base64.urlsafe_b64encode(f"{execution_id}|{operation_id}".encode()).decode()


def parse_callback_id(text: str) -> tuple[str, str]:
    """Return the execution id and operation id of a callback id."""
    execution_id, _, operation_id = base64.urlsafe_b64decode(text).decode().partition("|")
    return execution_id, operation_id
