"""Crash injection at the store port: the process dies right before or right after an event becomes durable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from durable_engine.core.ports import Batch, InvocationStore, NewEvent, Outcome, RecordedEvent, Snapshot

T = TypeVar("T")


class SimulatedCrash(BaseException):
    """The process died here. Not an Exception, so no handler survives it."""


@dataclass
class CrashPlan:
    """When to die, once: at the store call that records event `event_id`, before it is durable or after."""

    event_id: int
    before: bool = False
    happened: bool = False


class CrashingStore(InvocationStore):
    """A store that dies by plan. Works over any other one, because it only counts events."""

    def __init__(self, store: InvocationStore, plan: CrashPlan) -> None:
        self._store = store
        self._plan = plan
        self._recorded = 0
        self._deferred = 0

    def load(self) -> Snapshot:
        """Load, then die when the event is in the history already."""
        snapshot = self._store.load()
        self._took(snapshot)
        return snapshot

    def defer(self, event: NewEvent) -> None:
        """Defer: nothing is durable yet."""
        self._store.defer(event)
        self._deferred += 1

    def checkpoint(self, batch: Batch) -> Sequence[RecordedEvent]:
        """Record, or die."""
        outside = self._writing(len(batch.events), lambda: self._store.checkpoint(batch))
        self._recorded += len(outside)
        return outside

    def suspend(self, batch: Batch) -> Snapshot | None:
        """Suspend, or die."""
        snapshot = self._writing(len(batch.events) + 1, lambda: self._store.suspend(batch))
        if snapshot is not None:
            self._took(snapshot)
        return snapshot

    def close(self, batch: Batch, outcome: Outcome) -> None:
        """Close, or die."""
        self._writing(len(batch.events) + 2, lambda: self._store.close(batch, outcome))

    def pause(self, batch: Batch, kind: str, reason: str) -> None:
        """Pause, or die."""
        self._writing(len(batch.events) + 1, lambda: self._store.pause(batch, kind, reason))

    def release(self, batch: Batch) -> None:
        """Release, or die."""
        self._writing(len(batch.events) + 1, lambda: self._store.release(batch))

    def should_release(self) -> bool:
        """Ask the store."""
        return self._store.should_release()

    def callback_id(self, operation_id: str) -> str:
        """Ask the store."""
        return self._store.callback_id(operation_id)

    def _took(self, snapshot: Snapshot) -> None:
        self._recorded = snapshot.events[-1].event_id
        self._die_if(not self._plan.before and self._recorded >= self._plan.event_id)

    def _writing(self, count: int, write: Callable[[], T]) -> T:
        after = self._recorded + self._deferred + count
        self._die_if(self._plan.before and after >= self._plan.event_id)
        result = write()
        self._recorded, self._deferred = after, 0
        self._die_if(after >= self._plan.event_id)
        return result

    def _die_if(self, reached: bool) -> None:
        if reached and not self._plan.happened:
            self._plan.happened = True
            raise SimulatedCrash
