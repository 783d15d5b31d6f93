"""Crash injection at the store port: the process dies right before or right after an event becomes durable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from durable_engine.core.ports import (
    Batch,
    Guard,
    InvocationStore,
    NewChild,
    NewEvent,
    News,
    NewTimer,
    Outcome,
    RecordedEvent,
    Snapshot,
    Target,
)

T = TypeVar("T")


class SimulatedCrash(BaseException):
    """The process died here. Not an Exception, so no handler survives it."""


@dataclass
class CrashPlan:
    """When to die, once: at the store call that records event `event_id`, before it is durable or after.

    Or, with an `operation`, at the one that records an outcome of an operation of that name.
    """

    event_id: int = 1 << 62
    before: bool = False
    operation: str | None = None
    happened: bool = False

    def is_reached(self, last_event_id: int, events: Sequence[NewEvent]) -> bool:
        """Whether these events, of which the last has this id, are those it is about."""
        if self.operation is None:
            return last_event_id >= self.event_id
        return any(event.name == self.operation and not event.event_type.endswith("Started") for event in events)


class CrashingStore(InvocationStore):
    """A store that dies by plan. Works over any other one, because it only counts events.

    Once it is dead, every thread that comes to it dies.
    """

    def __init__(self, store: InvocationStore, plan: CrashPlan) -> None:
        self._store = store
        self.poll_seconds = store.poll_seconds
        self._plan = plan
        self._lock = threading.RLock()  # which event is the one of the plan must not depend on who is faster
        self._is_dead = False
        self._recorded = 0
        self._deferred: list[NewEvent] = []

    def load(self) -> Snapshot:
        """Load, then die when the event is in the history already."""
        snapshot = self._store.load()
        self._took(snapshot)
        return snapshot

    def defer(
        self,
        event: NewEvent,
        timer: NewTimer | None = None,
        child: NewChild | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        """Defer: nothing is durable yet."""
        with self._lock:
            self._die_if(self._is_dead)
            self._store.defer(event, timer, child, guard=guard)
            self._deferred.append(event)

    def checkpoint(self, batch: Batch, *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        """Record, or die."""
        with self._lock:
            outside = self._writing(batch.events, 0, lambda: self._store.checkpoint(batch, guard=guard))
            self._recorded += len(outside)
            return outside

    def transact(self, body: Callable[[], Batch], *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        """Run the body and record, or die right before the commit, or after it."""
        with self._lock:
            after, reached = 0, False

            def run() -> Batch:
                nonlocal after, reached
                batch = body()
                events = [*self._deferred, *batch.events]
                after = self._recorded + len(events)
                reached = self._plan.is_reached(after, events)
                self._die_if(self._plan.before and reached)
                return batch

            self._die_if(self._is_dead)
            outside = self._store.transact(run, guard=guard)
            self._recorded = after + len(outside)
            self._deferred.clear()
            self._die_if(reached)
            return outside

    def refresh(self) -> News:
        """Record what was deferred and what is due, or die."""
        with self._lock:
            news = self._writing((), 0, self._store.refresh)
            self._recorded += len(news.events)
            self._die_if(self._plan.is_reached(self._recorded, ()) and not self._plan.before)
            return news

    def suspend(self, batch: Batch) -> Snapshot | None:
        """Suspend, or die."""
        snapshot = self._writing(batch.events, 1, lambda: self._store.suspend(batch))
        if snapshot is not None:
            self._took(snapshot)
        return snapshot

    def close(self, batch: Batch, outcome: Outcome) -> None:
        """Close, or die."""
        self._writing(batch.events, 2, lambda: self._store.close(batch, outcome))

    def pause(self, batch: Batch, kind: str, reason: str) -> None:
        """Pause, or die."""
        self._writing(batch.events, 1, lambda: self._store.pause(batch, kind, reason))

    def release(self, batch: Batch) -> None:
        """Release, or die."""
        self._writing(batch.events, 1, lambda: self._store.release(batch))

    def should_release(self) -> bool:
        """Ask the store."""
        return self._store.should_release()

    def callback_id(self, operation_id: str) -> str:
        """Ask the store."""
        return self._store.callback_id(operation_id)

    def find_function(self, name: str, version: int | None) -> Target:
        """Ask the store."""
        return self._store.find_function(name, version)

    def new_execution_id(self) -> str:
        """Ask the store."""
        return self._store.new_execution_id()

    def _took(self, snapshot: Snapshot) -> None:
        self._recorded = snapshot.events[-1].event_id
        self._die_if(not self._plan.before and self._plan.is_reached(self._recorded, ()))

    def _writing(self, own: Sequence[NewEvent], more: int, write: Callable[[], T]) -> T:
        """Write what was deferred and `own` events, and `more` that the store adds."""
        with self._lock:
            events = [*self._deferred, *own]
            after = self._recorded + len(events) + more
            reached = self._plan.is_reached(after, events)
            self._die_if(self._is_dead or (self._plan.before and reached))
            result = write()
            self._recorded = after
            self._deferred.clear()
            self._die_if(reached)
            return result

    def _die_if(self, reached: bool) -> None:
        if self._is_dead or (reached and not self._plan.happened):
            self._plan.happened = self._is_dead = True
            raise SimulatedCrash
