"""What all strands of one pass of a handler share: its history, its store, and what ends it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from durable_engine.core.history import PENDING, STARTED, History, OperationState
from durable_engine.core.plugins import Plugins
from durable_engine.core.ports import (
    Batch,
    EventTimes,
    InvocationStore,
    MonotonicClock,
    NewEvent,
    News,
    NewTimer,
    Outcome,
    RandomSource,
    RecordedEvent,
    Snapshot,
)
from durable_engine.core.suspension import PauseExecution
from durable_engine.sdk import registry
from durable_engine.sdk.context import ExecutionContext
from durable_engine.sdk.lambda_context import stand_in
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.serdes import SerDes


class Invocation:
    """One pass of a handler over one history.

    `signal` ends it at once: nothing may be recorded any more (the lease is lost, the store failed, the process is
    dying). `halt` lets it end in order: what has begun is still recorded, and nothing new begins.

    `lock` is that of everything that branches share; it is never held while the store is asked for anything that takes
    a round trip. `changed` is notified when a branch has ended, an event came in from outside, or the invocation ends.
    """

    def __init__(
        self,
        handler: DurableHandler,
        store: InvocationStore,
        snapshot: Snapshot,
        clock: MonotonicClock,
        random: RandomSource,
        arn: str | None,
        on_thread_end: Callable[[], None] = lambda: None,
        event_times: EventTimes | None = None,
    ) -> None:
        self.handler = handler
        self.store = store
        self.clock = clock
        self.random = random
        self.on_thread_end = on_thread_end
        self.execution_id = snapshot.execution_id
        self.arn = arn or snapshot.execution_id
        self.history = History(snapshot.events)
        self.execution_context = ExecutionContext(self.arn, self.history.tenant_id)
        self.operations = self.history.operations
        self.pending_timers = set(snapshot.pending_timers)
        self.outside_changes = 0  # how often something came in from outside
        self.serdes: SerDes[Any] | None = handler.serdes
        self.logger = logging.getLogger(f"perdure.handler.{handler.name}")
        # Claimed again without progress: whoever kills the process must be in the history, so nothing is deferred.
        self.commits_starts = snapshot.crash_count > 1
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.signal: BaseException | None = None
        self.halt: PauseExecution | None = None
        self.outcome: Outcome | None = None  # once the execution is closed
        self.tainted = False
        self.left_behind: list[threading.Thread] = []  # they may still run the body of a branch
        self._tags: dict[str, str] = {}
        self._status_text: str | None = None
        self.lambda_context = stand_in(
            handler,
            self.arn,
            self.history.tenant_id,
            snapshot.invocation_id or snapshot.execution_id,
            clock() + handler.invocation_timeout.to_seconds(),
            clock,
        )
        self.plugins = Plugins(self, snapshot, event_times()) if registry.plugins_of(handler) and event_times else None

    def apply(self, state: OperationState, events: Sequence[NewEvent], timers: Sequence[NewTimer]) -> None:
        """Take into account what a strand has recorded of its operation."""
        with self.lock:
            known = self.operations.get(state.id)
            self.operations[state.id] = state
            for event in events:
                self.history.apply(event)
            self.pending_timers.update(timer.operation_id for timer in timers)
            if known is not None and known is not state:
                # Its completion from outside was handed to another strand before we came to note that it exists.
                state.take_outcome(known)

    def apply_outside(self, events: Sequence[RecordedEvent]) -> None:
        """Take into account what came in from outside, whichever strand it was handed to."""
        with self.changed:
            for event in events:
                self.history.apply(event, event.event_id)
            self.outside_changes += 1
            self.changed.notify_all()

    def apply_news(self, news: News, pending_before: frozenset[str]) -> None:
        """Take into account what a refresh has found; `pending_before` were the pending timers before it was asked."""
        with self.changed:
            # Not simply those that are left: a strand may have started one since.
            fired = pending_before - news.pending_timers
            self.pending_timers -= fired
            if fired or news.events:
                self.apply_outside(news.events)

    def has_moved(self, state: OperationState) -> bool:
        """Whether an operation that a strand waited for lets it go on."""
        if state.status == PENDING:
            return state.id not in self.pending_timers
        return state.status != STARTED

    def take_batch(self) -> Batch:
        """Return what the statement that ends this invocation has to record."""
        tags, status_text = self.take_labels()
        return Batch(tags=tags, status_text=status_text)

    def take_labels(self) -> tuple[dict[str, str], str | None]:
        """Return the tags and the status text that no statement has taken along yet."""
        if not self._tags and self._status_text is None:
            return {}, None
        with self.lock:
            labels = self._tags, self._status_text
            self._tags, self._status_text = {}, None
            return labels

    def give_labels_back(self, tags: Mapping[str, str], status_text: str | None) -> None:
        """Let the next statement take along what a refused one has not recorded."""
        with self.lock:
            self._tags = {**tags, **self._tags}
            self._status_text = status_text if self._status_text is None else self._status_text

    def tag(self, tags: dict[str, str]) -> None:
        """Set tags with the next statement. Replayed ones are sent again: they may never have been recorded."""
        with self.changed:
            self._tags = {**self._tags, **tags}

    def set_status_text(self, text: str) -> None:
        """Set the status text with the next statement."""
        with self.lock:
            self._status_text = text

    def stop_with(self, halt: PauseExecution) -> PauseExecution:
        """Let the invocation end in order; the first reason given stays."""
        with self.changed:
            self.halt = self.halt or halt
            self.changed.notify_all()
            return self.halt

    def abandon(self, signal: BaseException) -> None:
        """End the invocation at once; the first signal stays."""
        with self.changed:
            self.signal = self.signal or signal
            self.changed.notify_all()
