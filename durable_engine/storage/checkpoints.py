"""The history of one execution under one lease, in Postgres: the store behind the replay machine.

Every write is one conditional statement (`storage.statements`). What this module adds is what a statement cannot do:
find out whether a commit happened whose reply was lost, load what others appended in between, group what several
threads want to record, and give up silently once the lease is lost.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, NoReturn, TypeVar
from uuid import UUID

import psycopg
from uuid_utils.compat import uuid7

from durable_engine.core.ports import Batch, EventType, LeaseLost, NewEvent, Outcome, RecordedEvent, Snapshot
from durable_engine.storage import batches, statements
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.failpoints import hit
from durable_engine.storage.flusher import FLUSHER
from durable_engine.storage.leases import Claim

# How long a lost connection is retried before the invocation is abandoned. Replaying later loses nothing; giving up at
# the first blip would run every unfinished step of the process twice.
RECONNECT_SECONDS = 60.0
RECONNECT_FIRST_DELAY = 0.05
RECONNECT_LAST_DELAY = 2.0

T = TypeVar("T")

_TERMINAL_EVENTS = {"SUCCEEDED": EventType.EXECUTION_SUCCEEDED, "FAILED": EventType.EXECUTION_FAILED}


class _Position(NamedTuple):
    """Where the execution's row stands after a write."""

    last_event_id: int
    signal: int
    status: str
    invocation_started_at: datetime
    wake_in: float | None


@dataclass
class _Waiting:
    """A batch that a thread wants recorded, and what became of it."""

    batch: Batch
    foreign: Sequence[RecordedEvent] | None = None
    problem: BaseException | None = None


class PostgresInvocation:
    """Implements `core.ports.InvocationStore` for one claim. Thread-safe.

    `wake_in` is, after a suspend, the seconds until its earliest timer; None when it has none.
    """

    def __init__(
        self,
        connections: ConnectionHolder,
        claim: Claim,
        *,
        callback_id: Callable[[UUID, str], str],
        should_release: Callable[[], bool],
    ) -> None:
        self.wake_in: float | None = None
        self._connections = connections
        self._claim = claim
        self._callback_id = callback_id
        self._should_release = should_release
        self._lock = threading.Lock()
        self._queue: list[_Waiting] = []
        self._deferred: list[NewEvent] = []
        self._deferred_since: float | None = None
        self._batch = 0
        self._seen = 0
        self._unseen: list[RecordedEvent] = []  # loaded, not yet handed to the replay machine
        self._signal = claim.signal
        self._invocation_id = claim.invocation_id
        self._invocation_started_at = claim.invocation_started_at
        self._lost = False

    # -- the port -------------------------------------------------------------------------------------------------

    def load(self) -> Snapshot:
        """See `InvocationStore.load`."""
        with self._lock:
            return self._retrying(self._load)

    def defer(self, event: NewEvent) -> None:
        """See `InvocationStore.defer`."""
        with self._lock:
            self._check_ours()
            self._deferred.append(event)
            if self._deferred_since is None:
                self._deferred_since = time.monotonic()
        FLUSHER.watch(self)

    def checkpoint(self, batch: Batch) -> Sequence[RecordedEvent]:
        """See `InvocationStore.checkpoint`. Whoever gets the lock first records what all waiting threads brought."""
        waiting = _Waiting(batch)
        self._queue.append(waiting)
        with self._lock:
            if waiting.foreign is None and waiting.problem is None:
                self._record_for_all(waiting)
        if waiting.problem is not None:
            raise waiting.problem
        return waiting.foreign or []

    def suspend(self, batch: Batch) -> Snapshot | None:
        """See `InvocationStore.suspend`."""
        with self._lock:
            next_invocation_id = uuid7()
            position = self._write(
                "suspend",
                batch,
                ends_invocation=True,
                least_delay=min((timer.delay_seconds for timer in batch.timers), default=None),
                signal=self._signal,
                next_invocation_id=next_invocation_id,
                invocation_seconds=self._claim.invocation_seconds,
            )
            if position.status != "RUNNING":
                self._finish(position)
                return None
            self._invocation_id = next_invocation_id
            self._invocation_started_at = position.invocation_started_at
            return self._retrying(self._load)

    def close(self, batch: Batch, outcome: Outcome) -> None:
        """See `InvocationStore.close`."""
        terminal = NewEvent(
            _TERMINAL_EVENTS[outcome.status], time.monotonic(), payload=outcome.payload, error=outcome.error
        )
        with self._lock:
            position = self._write(
                "close",
                batch,
                ends_invocation=True,
                last=terminal,
                status=outcome.status,
                error_type=outcome.error_type[:256],
                error_message=outcome.error_message.replace("\x00", "")[:512],
            )
            self._finish(position)

    def pause(self, batch: Batch, kind: str, reason: str) -> None:
        """See `InvocationStore.pause`."""
        with self._lock:
            text = reason.replace("\x00", "")
            self._finish(self._write("pause", batch, ends_invocation=True, pause_kind=kind, pause_reason=text))

    def release(self, batch: Batch) -> None:
        """See `InvocationStore.release`."""
        with self._lock:
            self._finish(self._write("release", batch, ends_invocation=True))

    def should_release(self) -> bool:
        """See `InvocationStore.should_release`."""
        return self._should_release()

    def callback_id(self, operation_id: str) -> str:
        """See `InvocationStore.callback_id`."""
        return self._callback_id(self._claim.execution_id, operation_id)

    # -- for the worker -------------------------------------------------------------------------------------------

    def lose(self) -> None:
        """Refuse every further call: the heartbeat saw that the execution is no longer ours."""
        self._lost = True

    def flush_deferred(self, older_than: float) -> bool:
        """Record deferred events that have waited since before `older_than` (monotonic). False: none are left."""
        with self._lock:
            if self._lost or self._deferred_since is None:
                return False
            if self._deferred_since < older_than:
                try:
                    self._record(Batch(), deliver=False)
                except LeaseLost:
                    return False
            return bool(self._deferred)

    # -- reading --------------------------------------------------------------------------------------------------

    def _load(self) -> Snapshot:
        params = {"id": self._claim.execution_id, "fence": self._claim.fence, "after": 0}
        connection = self._connections.get()
        with connection.pipeline():
            connection.execute(statements.FIRE_DUE_TIMERS, params)
            # The row before the events: a signal newer than the events we hold would hide a wake-up for ever.
            row = connection.execute(statements.LOAD_EXECUTION, params)
            events = connection.execute(statements.LOAD_EVENTS, params)
            timers = connection.execute(statements.LOAD_TIMERS, params)
        found = row.fetchone()
        if found is None or (found[6], found[7]) != (self._claim.fence, "RUNNING"):
            self._give_up()
        function, version, name, crash_count, signal = found[:5]
        recorded = list(map(RecordedEvent._make, events))
        self._unseen = []
        self._seen = recorded[-1].event_id
        self._signal = signal
        return Snapshot(
            execution_id=str(self._claim.execution_id),
            function=function,
            version=version,
            name=name,
            events=recorded,
            pending_timers=frozenset(operation for (operation,) in timers),
            crash_count=crash_count,
        )

    def _load_gap(self, until: int) -> list[RecordedEvent]:
        params = {"id": self._claim.execution_id, "fence": self._claim.fence, "after": self._seen, "until": until}
        rows = self._connections.get().execute(statements.LOAD_FOREIGN_EVENTS, params)
        return list(map(RecordedEvent._make, rows))

    # -- writing --------------------------------------------------------------------------------------------------

    def _record_for_all(self, first: _Waiting) -> None:
        group, self._queue = self._queue, []
        try:
            foreign = self._record(batches.joined([each.batch for each in group]))
        except BaseException as problem:
            # One statement for all of them: none is recorded, and each thread has to know.
            for each in group:
                each.problem = problem
            raise
        for each in group:
            each.foreign = ()
        first.foreign = foreign

    def _record(self, batch: Batch, *, deliver: bool = True) -> list[RecordedEvent]:
        own = len(self._deferred) + len(batch.events)
        position = self._write("checkpoint", batch)
        # More than our own: others came in before them, or, when the reply was lost and the row was read later, after.
        if position.last_event_id > self._seen + own:
            self._unseen += self._retrying(lambda: self._load_gap(position.last_event_id))
        self._seen = position.last_event_id
        if not deliver:
            return []
        # Only now: a signal counts as seen when the replay machine has what it announced. Sooner, the suspend that
        # compares it would put the execution to sleep over an event nobody has looked at.
        self._signal = position.signal
        foreign, self._unseen = self._unseen, []
        return foreign

    def _write(
        self, kind: str, batch: Batch, *, ends_invocation: bool = False, last: NewEvent | None = None, **extra: object
    ) -> _Position:
        self._check_ours()
        events = [*self._deferred, *batch.events]
        before = len(self._deferred)
        if ends_invocation:
            events.append(self._invocation_completed())
        if last is not None:
            events.append(last)
        labels = bool(batch.tags) or batch.status_text is not None
        sql = statements.write(
            kind,
            rows=batches.rows_of(events),
            timers=bool(batch.timers),
            callbacks=bool(batch.callbacks),
            labels=labels,
        )
        params = self._identity() | batches.parameters(self._claim.execution_id, events, batch, before) | extra
        position = self._commit(sql, params, kind)
        self._deferred.clear()
        self._deferred_since = None
        self._batch += 1
        return position

    def _identity(self) -> dict[str, Any]:
        return {"id": self._claim.execution_id, "fence": self._claim.fence, "batch": self._batch}

    def _invocation_completed(self) -> NewEvent:
        details = {
            "request_id": str(self._invocation_id),
            "started_at": self._invocation_started_at.isoformat(),
        }
        return NewEvent(EventType.INVOCATION_COMPLETED, time.monotonic(), details=details)

    # -- commits whose outcome is unknown ---------------------------------------------------------------------------

    def _commit(self, sql: str, params: dict[str, Any], kind: str) -> _Position:
        def attempt() -> _Position:
            row = self._connections.get().execute(sql, params).fetchone()
            hit(f"{kind}.committed")
            return _Position(*row) if row else self._after_no_row()

        hit(f"{kind}.before")
        try:
            return attempt()
        except psycopg.OperationalError:
            return self._retrying(lambda: self._after_unknown_commit() or attempt())

    def _after_no_row(self) -> _Position:
        """Nothing matched: either the commit of an earlier try was ours and its reply was lost, or the lease is."""
        return self._after_unknown_commit() or self._give_up()

    def _after_unknown_commit(self) -> _Position | None:
        """Read the row once. The position if our commit happened, None if it did not, `LeaseLost` otherwise."""
        row = self._connections.get().execute(statements.READ_POSITION, {"id": self._claim.execution_id}).fetchone()
        if row is None:
            self._give_up()
        fence, batch, status, last_event_id, signal, started_at, wake_in = row
        if fence == self._claim.fence and batch == self._batch + 1:
            return _Position(last_event_id, signal, status, started_at, wake_in)
        if fence == self._claim.fence and batch == self._batch and status == "RUNNING":
            return None
        return self._give_up()

    def _retrying(self, action: Callable[[], T]) -> T:
        """Repeat an idempotent action while Postgres is away, with jittered back-off, up to RECONNECT_SECONDS."""
        deadline = time.monotonic() + RECONNECT_SECONDS
        delay = RECONNECT_FIRST_DELAY
        while True:
            try:
                return action()
            except psycopg.OperationalError:
                self._connections.discard()
                if self._lost or time.monotonic() > deadline:
                    self._give_up()
                time.sleep(delay * (0.5 + random.random() / 2))  # noqa: S311
                delay = min(delay * 2, RECONNECT_LAST_DELAY)

    def _check_ours(self) -> None:
        if self._lost:
            self._give_up()

    def _give_up(self) -> NoReturn:
        self._lost = True
        raise LeaseLost

    def _finish(self, position: _Position) -> None:
        self.wake_in = position.wake_in
        self._lost = True  # nothing more is written under this lease
        FLUSHER.forget(self)
