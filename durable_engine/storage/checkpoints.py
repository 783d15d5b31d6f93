"""The history of one execution under one lease, in Postgres: the store behind the replay machine.

Every write is one conditional statement (`storage.statements`). What this module adds is what a statement cannot do:
find out whether a commit happened whose reply was lost, load what others appended in between, group what several
threads want to record, and give up silently once the lease is lost.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import psycopg
from uuid_utils.compat import uuid7

from durable_engine.core.ports import (
    Batch,
    EventType,
    Guard,
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
from durable_engine.storage import batches, endings
from durable_engine.storage.callback_keys import without_taken_keys
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.failpoints import hit
from durable_engine.storage.flusher import FLUSHER
from durable_engine.storage.functions import find_function
from durable_engine.storage.leases import Claim
from durable_engine.storage.reads import Position, read_gap, read_history, read_news, read_position
from durable_engine.storage.transactions import CheckpointedTransaction, execute
from durable_engine.storage.write_queue import Entry, WriteQueue

T = TypeVar("T")


# How soon an event from outside is noticed while branches wait for one and others run.
POLL_SECONDS = 0.5


class PostgresInvocation:
    """Implements `core.ports.InvocationStore` for one claim. Thread-safe.

    What threads want recorded stands in one queue; whoever gets the writer's lock first records all of it in one
    statement.

    `wake_in` is, after a suspend, the seconds until its earliest timer; None when it has none. `hint` tells the workers
    of a queue that executions are ready.
    """

    poll_seconds = POLL_SECONDS

    def __init__(
        self,
        connections: ConnectionHolder,
        claim: Claim,
        *,
        callback_id: Callable[[UUID, str], str],
        should_release: Callable[[], bool],
        hint: Callable[[Sequence[UUID], str], None],
    ) -> None:
        self.wake_in: float | None = None
        self._first_details: Mapping[str, object] = {}
        self._connections = connections
        self._claim = claim
        self._callback_id = callback_id
        self._should_release = should_release
        self._hint = hint
        self._queue = WriteQueue()
        self._problem: BaseException | None = None  # of deferred events that could not be recorded
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
        with self._queue:
            if self._claim.last_event_id == 1 and not self._seen:
                return self._first_snapshot()
            return self._retrying(self._load)

    def defer(
        self,
        event: NewEvent,
        timer: NewTimer | None = None,
        child: NewChild | None = None,
        *,
        guard: Guard | None = None,
    ) -> None:
        """See `InvocationStore.defer`."""
        self._check_ours()
        self._queue.put(Entry(batches.of(event, timer, child), is_deferred=True), guard)
        if self._queue.due_since == -math.inf:
            self.flush_deferred(time.monotonic())
        FLUSHER.watch(self)

    def checkpoint(self, batch: Batch, *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        """See `InvocationStore.checkpoint`."""
        entry = Entry(batch)
        self._queue.put(entry, guard)
        self._queue.settle(entry, self._record)
        if entry.problem is not None:
            with self._queue:  # it was refused alone: whoever records next is given what came in
                self._unseen[:0] = entry.foreign or ()
            raise entry.problem
        return entry.foreign or []

    def transact(self, body: Callable[[], Batch], *, guard: Guard | None = None) -> Sequence[RecordedEvent]:
        """See `InvocationStore.transact`."""
        foreign: list[RecordedEvent] = []

        def record(batch: Batch) -> Position:
            if self._queue:
                self._record(deliver=False)
            self._check_ours()
            if guard is not None:
                guard()
            hit("transaction.before")
            position = execute(*self._statement("checkpoint", batch, batch.events), Position._make)
            hit("transaction.recorded")
            return position or self._give_up()

        def find_out() -> Position | None:
            return self._retrying(lambda: self._after_unknown_commit(wait=True))

        def committed(position: Position) -> None:
            self._batch += 1
            foreign.extend(self._advance(position, 1))

        CheckpointedTransaction(self._queue, record, find_out, committed).run(body)
        return foreign

    def refresh(self) -> News:
        """See `InvocationStore.refresh`."""
        with self._queue:
            if self._queue:
                self._record(deliver=False)
            return self._retrying(self._refresh)

    def suspend(self, batch: Batch) -> Snapshot | None:
        """See `InvocationStore.suspend`."""
        with self._queue:
            next_invocation_id = uuid7()
            position, _ = self._write(
                "suspend",
                batch,
                ends_invocation=True,
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
        kind, last, ending = endings.of(outcome, self._claim.execution_id, self._first_details)
        with self._queue:
            position, _ = self._write(kind, batch, ends_invocation=True, last=last, **ending)
            self._finish(position)
        if outcome.successor is not None:
            self._hint([UUID(outcome.successor.execution_id)], outcome.successor.target.queue)

    def pause(self, batch: Batch, kind: str, reason: str) -> None:
        """See `InvocationStore.pause`."""
        with self._queue:
            text = reason.replace("\x00", "")
            position, _ = self._write("pause", batch, ends_invocation=True, pause_kind=kind, pause_reason=text)
            self._finish(position)

    def release(self, batch: Batch) -> None:
        """See `InvocationStore.release`."""
        with self._queue:
            position, _ = self._write("release", batch, ends_invocation=True)
            self._finish(position)

    def should_release(self) -> bool:
        """See `InvocationStore.should_release`."""
        return self._should_release()

    def callback_id(self, operation_id: str) -> str:
        """See `InvocationStore.callback_id`."""
        return self._callback_id(self._claim.execution_id, operation_id)

    def find_function(self, name: str, version: int | None) -> Target:
        """See `InvocationStore.find_function`."""
        with self._queue:
            self._check_ours()
            return self._retrying(lambda: find_function(self._connections.get(), name, version))

    def new_execution_id(self) -> str:
        """See `InvocationStore.new_execution_id`."""
        return str(uuid7())

    # -- for the worker -------------------------------------------------------------------------------------------

    @property
    def has_parent(self) -> bool:
        """Whether another execution waits for the end of this one."""
        return "invoke" in self._first_details

    def lose(self) -> None:
        """Refuse every further call: the heartbeat saw that the execution is no longer ours."""
        self._lost = True

    def flush_deferred(self, older_than: float) -> bool:
        """Record deferred events that have waited since before `older_than` (monotonic). False: none are left.

        What goes wrong is raised by the next call that waits for something to be recorded.
        """
        # Without the writer's lock, which whoever records a step wants at the same moment.
        due_since = self._queue.due_since
        if self._lost or self._problem is not None or due_since is None:
            return False
        if due_since >= older_than:
            return True
        with self._queue, contextlib.suppress(LeaseLost):
            try:
                if self._queue:
                    self._record(deliver=False)
            except Exception as problem:  # noqa: BLE001 - raised where somebody can hear of it
                self._problem = problem
        return self._queue.due_since is not None

    # -- reading --------------------------------------------------------------------------------------------------

    def _first_snapshot(self) -> Snapshot:
        """What the claim itself told. That the lease is still ours is found out by the first write, as ever."""
        self._check_ours()
        claim = self._claim
        self._seen = 1
        started = RecordedEvent(1, EventType.EXECUTION_STARTED, payload=claim.input_text, details=claim.input_details)
        return self._snapshot([started], frozenset())

    def _load(self) -> Snapshot:
        reading = read_history(self._connections.get(), self._claim) or self._give_up()
        self._unseen = []
        self._seen = reading.events[-1].event_id
        self._signal = reading.signal
        return self._snapshot(reading.events, frozenset(reading.due_in), reading.crash_count)

    def _refresh(self) -> News:
        reading = read_news(self._connections.get(), self._claim, after=self._seen) or self._give_up()
        # The row was read before the events: what came in between is in them, and its signal counts as unseen.
        self._seen = max([reading.last_event_id, *(event.event_id for event in reading.events[-1:])])
        self._signal = reading.signal
        foreign, self._unseen = [*self._unseen, *reading.events], []
        return News(foreign, frozenset(reading.due_in), min(reading.due_in.values(), default=None))

    def _snapshot(
        self, events: Sequence[RecordedEvent], timers: frozenset[str], crash_count: int | None = None
    ) -> Snapshot:
        claim = self._claim
        self._first_details = events[0].details or {}
        crashes = claim.crash_count if crash_count is None else crash_count
        named = (str(claim.execution_id), claim.function, claim.version, claim.name)
        return Snapshot(*named, events, timers, crashes, str(self._invocation_id))

    def _read_gap(self, until: int) -> list[RecordedEvent]:
        return read_gap(self._connections.get(), self._claim, after=self._seen, until=until)

    # -- writing --------------------------------------------------------------------------------------------------

    def _record(self, *, deliver: bool = True) -> list[RecordedEvent]:
        return self._advance(*self._write("checkpoint"), deliver=deliver)

    def _advance(self, position: Position, own: int, *, deliver: bool = True) -> list[RecordedEvent]:
        """Take note of where the row stands after `own` events of ours; return what others appended."""
        # More than our own: others came in before them, or, when the reply was lost and the row was read later, after.
        if position.last_event_id > self._seen + own:
            self._unseen += self._retrying(lambda: self._read_gap(position.last_event_id))
        self._seen = position.last_event_id
        if not deliver:
            return []
        # Only now: a signal counts as seen when the replay machine has what it announced. Sooner, the suspend that
        # compares it would put the execution to sleep over an event nobody has looked at.
        self._signal = position.signal
        foreign, self._unseen = self._unseen, []
        return foreign

    def _write(
        self,
        kind: str,
        batch: Batch | None = None,
        *,
        ends_invocation: bool = False,
        last: NewEvent | None = None,
        **extra: object,
    ) -> tuple[Position, int]:
        """Record the queue, then the batch, in one statement; return where the row stands, and the number of events."""

        def send(entries: Sequence[Entry]) -> tuple[Position, int]:
            whole = batches.joined([*(each.batch for each in entries), *([] if batch is None else [batch])])
            ending = [self._invocation_completed()] if ends_invocation else []
            events = [*whole.events, *ending, *([] if last is None else [last])]
            sql, params = self._statement(kind, whole, events)
            return self._commit(sql, params | extra, kind), len(events)

        group = self._queue.take()
        try:
            self._check_ours()
            position, count = without_taken_keys(group, send, self._connections, self._claim.function)
        except BaseException as problem:
            # One statement for all of them: none is recorded, and each thread has to know.
            for each in group:
                each.finish(None, problem)
            raise
        self._batch += 1
        for each in group:
            each.finish((), each.problem)
        self._hint_at([child for each in group for child in each.batch.children])
        return position, count

    def _statement(self, kind: str, batch: Batch, events: Sequence[NewEvent]) -> tuple[str, dict[str, Any]]:
        claim = self._claim
        sql, params = batches.statement(kind, claim.execution_id, events, batch)
        return sql, params | {"id": claim.execution_id, "fence": claim.fence, "batch": self._batch}

    def _hint_at(self, children: Sequence[NewChild]) -> None:
        for queue in sorted({child.target.queue for child in children}):
            self._hint([UUID(each.execution_id) for each in children if each.target.queue == queue], queue)

    def _invocation_completed(self) -> NewEvent:
        details = {"request_id": str(self._invocation_id), "started_at": self._invocation_started_at.isoformat()}
        return NewEvent(EventType.INVOCATION_COMPLETED, time.monotonic(), details=details)

    # -- commits whose outcome is unknown ---------------------------------------------------------------------------

    def _commit(self, sql: str, params: dict[str, Any], kind: str) -> Position:
        def attempt() -> Position:
            row = self._connections.get().execute(sql, params).fetchone()
            hit(f"{kind}.committed")
            return Position(*row) if row else self._after_no_row()

        hit(f"{kind}.before")
        try:
            return attempt()
        except psycopg.OperationalError:
            return self._retrying(lambda: self._after_unknown_commit() or attempt())

    def _after_no_row(self) -> Position:
        """Nothing matched: either the commit of an earlier try was ours and its reply was lost, or the lease is."""
        return self._after_unknown_commit() or self._give_up()

    def _after_unknown_commit(self, *, wait: bool = False) -> Position | None:
        """The position if our commit happened, None if it did not, `LeaseLost` otherwise."""
        found = read_position(self._connections.get(), self._claim, wait=wait)
        if found is None or found.fence != self._claim.fence:
            self._give_up()
        if found.batch == self._batch + 1:
            return found.position
        return None if found.batch == self._batch and found.position.status == "RUNNING" else self._give_up()

    def _retrying(self, action: Callable[[], T]) -> T:
        try:
            return self._connections.retrying(action, is_over=lambda: self._lost)
        except psycopg.OperationalError:
            self._give_up()

    def _check_ours(self) -> None:
        if self._lost:
            self._give_up()
        if self._problem is not None:
            raise self._problem

    def _give_up(self) -> NoReturn:
        self._lost = True
        raise LeaseLost

    def _finish(self, position: Position) -> None:
        self.wake_in = position.wake_in
        self._lost = True  # nothing more is written under this lease
        FLUSHER.forget(self)
