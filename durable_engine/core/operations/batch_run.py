"""A batch of branches: which run, when it is complete, and what becomes of those that are left behind.

The thread that called `parallel` or `map` is its coordinator: it waits, and asks the store what happened outside while
branches wait and others run. Bodies run in threads of the batch's own, so that a batch inside a batch cannot lack one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from contextvars import copy_context

from durable_engine.core.completion import custom_reason, reason_to_complete
from durable_engine.core.history import FAILED, NEW, PENDING, STARTED, SUCCEEDED
from durable_engine.core.identifiers import prefix_below
from durable_engine.core.operations.base import Scope
from durable_engine.core.operations.branch import (
    RELEASED,
    RUNNING,
    UNSTARTED,
    WAITING,
    Branch,
    Ending,
    run_body,
)
from durable_engine.core.ports import EventType
from durable_engine.core.strand import Strand
from durable_engine.core.suspension import ReleaseExecution
from durable_engine.sdk.concurrency import BatchItemStatus, CompletionItemStatus, CompletionReason, CompletionStatus
from durable_engine.sdk.config import NestingType, ParallelConfig
from durable_engine.sdk.exceptions import OrphanedChildException
from durable_engine.sdk.types import ErrorObject

# Bodies that run at a time when the author gives no max_concurrency. Each may hold a database connection.
MOST_THREADS = 64

# A branch that has just begun to wait is rarely the last one: look for due timers when the others had their turn.
SETTLE_SECONDS = 0.005


class BatchRun:
    """One run of the branches that have no outcome yet. Its fields are guarded by the invocation's `changed`.

    `under_way` counts the branches that have started and not ended: a waiting one keeps its place. `running` counts
    those of them that are in a thread or about to be.
    """

    def __init__(self, scope: Scope, parent_id: str, branches: Sequence[Branch], config: ParallelConfig) -> None:
        self.scope = scope
        self.strand = scope.strand
        self.invocation = scope.invocation
        self.changed = scope.invocation.changed
        self.parent_id = parent_id
        self.branches = branches
        self.completion = config.completion_config
        self.is_flat = config.nesting_type is NestingType.FLAT
        self.serdes = config.item_serdes or config.serdes or scope.invocation.serdes
        self.most_under_way = config.max_concurrency or len(branches)
        self.most_threads = config.max_concurrency or MOST_THREADS
        self.reason: CompletionReason | None = None
        self.failure: Exception | None = None
        self.succeeded = sum(branch.status == SUCCEEDED for branch in branches)
        self.failed = sum(branch.status == FAILED for branch in branches)
        self.under_way = 0
        self.running = 0
        self._unstarted = deque(branch for branch in branches if branch.status == UNSTARTED)
        self._ready: deque[Branch] = deque()
        self._waiting: list[Branch] = []
        self._is_released = False
        self._is_closed = False
        self._context = copy_context()
        self._threads: set[threading.Thread] = set()
        self._staff = 0  # threads that take branches
        self._coming = 0  # those of them that are about to take one
        self._look_at = 0.0
        self._changes_seen = -1

    # In the coordinator's thread

    def run(self) -> None:
        """Return when the batch is complete: with a `reason`, or the `failure` of the function that decides.

        Raises:
            SuspendExecution: nothing can run now, or the invocation ends.
        """
        try:
            while not self._is_complete():
                if self._wait():
                    self._look()
        finally:
            with self.changed:
                self._close()

    def started(self) -> list[Branch]:
        """Return the branches that had started when the batch was complete, in order."""
        return [branch for branch in self.branches if branch.status != UNSTARTED or _is_recorded(branch)]

    def abandoned(self) -> list[str]:
        """Return what the branches that are left behind wait for: nobody does any more."""
        prefixes = tuple(
            prefix_below(branch.id) for branch in self.started() if branch.status not in (SUCCEEDED, FAILED)
        )
        if not prefixes:
            return []
        with self.changed:
            operations = list(self.invocation.operations.values())
        return [each.id for each in operations if each.status in (STARTED, PENDING) and each.id.startswith(prefixes)]

    def _is_complete(self) -> bool:
        with self.changed:
            self.strand.check_writable()
            self._advance()
            if not self._is_closed and self.running == 0:
                self._end_strand()
            return self._is_closed

    def _wait(self) -> bool:
        """Wait for a change; return whether it is time to ask what happened outside."""
        with self.changed:
            if self._is_closed or self.running == 0 or self.invocation.signal is not None:
                return False
            if self._changes_seen != self.invocation.outside_changes:
                return False
            if not self._waiting:
                self.changed.wait()
                return False
            left = self._look_at - self.invocation.clock()
            return left <= 0 or not self.changed.wait(left)

    def _look(self) -> None:
        invocation = self.invocation
        with self.changed:
            pending = frozenset(invocation.pending_timers)
        news = self.strand.guarded(invocation.store.refresh)
        invocation.apply_news(news, pending)
        if invocation.plugins is not None:
            invocation.plugins.came_in(news.events)
        poll = invocation.store.poll_seconds
        with self.changed:
            self._look_at = invocation.clock() + (poll if news.next_due is None else min(poll, max(news.next_due, 0.0)))

    def _end_strand(self) -> None:
        """Nothing runs here: leave the thread to the siblings of this strand, or end the invocation."""
        self.strand.check()
        if self._is_released:
            self.strand.end(ReleaseExecution("this process was asked to stop"))
        self.strand.suspend(*(state for branch in self._waiting for state in branch.waits_for))

    def _close(self) -> None:
        """Let nothing more begin, and leave behind what runs: it can record nothing more."""
        if self._is_closed:
            return
        self._is_closed = True
        self._ready.clear()
        for branch in self.branches:
            if branch.status == RUNNING and branch.strand is not None:
                branch.strand.is_orphaned = True
        still_there = [thread for thread in self.invocation.left_behind if thread.is_alive()]
        self.invocation.left_behind[:] = [*still_there, *self._threads]
        self.changed.notify_all()  # also batches inside those branches

    # Under the lock, in any thread

    def _advance(self) -> None:
        """Decide whether the batch is complete; else let go on what can: waiting branches first, then the next."""
        invocation = self.invocation
        if self._is_closed or self._decide():
            return
        if invocation.signal is not None or invocation.halt is not None or self._is_released:
            return
        self._resume()
        before = len(self._unstarted)
        while self._unstarted and self.under_way < self.most_under_way and self.running < self.most_threads:
            self._start(self._unstarted.popleft())
        if len(self._unstarted) < before and self._decide():
            return
        try:
            while self._coming < len(self._ready) and self._staff < self.most_threads:
                self._hire()
        except RuntimeError:  # the machine has no more threads: those that are there do the work
            if self._staff == 0:
                raise

    def _decide(self) -> bool:
        try:
            if self.completion.should_complete is not None:
                self.reason = custom_reason(self.completion, self._status())
            else:
                total = len(self.branches)
                self.reason = reason_to_complete(self.completion, self.succeeded, self.failed, total)
        except Exception as error:  # noqa: BLE001 - whatever the author's function raises fails the batch
            self.failure = error
        if self.reason is not None or self.failure is not None:
            self._close()
        return self._is_closed

    def _status(self) -> CompletionStatus:
        words = {SUCCEEDED: BatchItemStatus.SUCCEEDED, FAILED: BatchItemStatus.FAILED, UNSTARTED: None}
        items = tuple(
            CompletionItemStatus(
                branch.index, branch.name, words.get(branch.status, BatchItemStatus.STARTED), branch.value
            )
            for branch in self.branches
        )
        return CompletionStatus(self.succeeded, self.failed, len(items), items)

    def _resume(self) -> None:
        if self._changes_seen == self.invocation.outside_changes:
            return
        self._changes_seen = self.invocation.outside_changes
        waiting, self._waiting = self._waiting, []
        for branch in waiting:
            if any(map(self.invocation.has_moved, branch.waits_for)):
                self._run_again(branch)
            else:
                self._waiting.append(branch)

    def _run_again(self, branch: Branch) -> None:
        branch.status = RUNNING
        self.running += 1
        self._ready.append(branch)

    def _start(self, branch: Branch) -> None:
        state = branch.state
        if state is not None and state.status == NEW:
            # Here and not in its thread, so that branches start in the order of the inputs.
            self.strand.defer(state, self.strand.event(EventType.CONTEXT_STARTED, state), tells=False)
        self.under_way += 1
        self._run_again(branch)

    def _hire(self) -> None:
        thread = threading.Thread(target=self._work, name=f"durable-branches-{self.parent_id}", daemon=True)
        thread.start()  # it waits for the lock that we hold
        self._threads.add(thread)
        self._staff += 1
        self._coming += 1

    # In the threads of the batch

    def _work(self) -> None:
        try:
            while (branch := self._take()) is not None:
                self._run(branch)
        except OrphanedChildException:
            pass  # the branch around this batch was left behind, and with it this thread
        except BaseException as error:  # noqa: BLE001 - the coordinator raises it
            self.invocation.abandon(error)
        finally:
            self.invocation.on_thread_end()

    def _take(self) -> Branch | None:
        with self.changed:
            self._coming -= 1
            if not self._ready:
                self._staff -= 1
                self._threads.discard(threading.current_thread())
                return None
            branch = self._ready.popleft()
            branch.strand = Strand(self.invocation, self.strand, is_resumed=branch.strand is not None)
            return branch

    def _run(self, branch: Branch) -> None:
        parent_id = self.parent_id if self.is_flat else branch.id
        context = self.scope.child(branch.id, parent_id, strand=branch.strand)
        # Not in the methods that record: those hold the lock, and a plugin may take its time.
        plugins = None if branch.state is None else self.invocation.plugins
        if plugins is not None and branch.state is not None:
            plugins.begun(branch.state)
        ending = self._context.copy().run(run_body, context, branch, self.serdes)
        if plugins is None:
            with self.changed:
                self._leave(ending, is_noted=self._noted(branch, ending))
            return
        with self.changed:
            is_noted = self._noted(branch, ending)
        if branch.state is not None and branch.state.status in (SUCCEEDED, FAILED):
            plugins.recorded(branch.state, ())
        with self.changed:
            self._leave(ending, is_noted=is_noted)

    def _leave(self, ending: Ending, *, is_noted: bool) -> None:
        self.running -= 1
        self._coming += 1
        if not is_noted or self._is_closed:
            return
        self._advance()
        if ending.status == WAITING or self.running == 0 or self._is_closed:
            self.changed.notify_all()

    def _noted(self, branch: Branch, ending: Ending) -> bool:
        if not self._is_closed:
            self._note(branch, ending)
            return True
        return False

    def _note(self, branch: Branch, ending: Ending) -> None:
        if ending.status == WAITING:
            self._note_waiting(branch)
            return
        branch.status = ending.status
        if ending.status == RELEASED:
            self._is_released = True
        elif ending.status in (SUCCEEDED, FAILED):
            self._note_outcome(branch, ending)

    def _note_outcome(self, branch: Branch, ending: Ending) -> None:
        succeeded = ending.status == SUCCEEDED
        if branch.state is not None:
            # Deferred: durable with the batch's own completion, or whatever else is recorded before.
            event = (
                self.strand.event(
                    EventType.CONTEXT_SUCCEEDED, branch.state, payload=ending.text, details=ending.details
                )
                if succeeded
                else self.strand.event(EventType.CONTEXT_FAILED, branch.state, error=ending.text)
            )
            self.strand.defer(branch.state, event, tells=False)
        self.under_way -= 1
        if succeeded:
            branch.value = ending.value
            self.succeeded += 1
        else:
            branch.error = ErrorObject.from_text(ending.text)
            self.failed += 1

    def _note_waiting(self, branch: Branch) -> None:
        branch.waits_for = branch.strand.suspended_at if branch.strand is not None else ()
        if any(map(self.invocation.has_moved, branch.waits_for)):
            self._run_again(branch)
            return
        branch.status = WAITING
        soon = self.invocation.clock() + SETTLE_SECONDS
        self._look_at = min(self._look_at, soon) if self._waiting else soon
        self._waiting.append(branch)


def _is_recorded(branch: Branch) -> bool:
    return branch.state is not None and branch.state.status != NEW
