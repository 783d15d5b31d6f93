"""What the threads of an invocation want recorded, in the order of their calls."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence

from durable_engine.core.ports import Batch, Guard, RecordedEvent

# Deferred text beyond this is due at once: the results of a large batch must not pile up to one huge statement.
MOST_DEFERRED_CHARACTERS = 1_048_576


class Entry:
    """A batch that is to be recorded, and what became of it. Nobody waits for a deferred one."""

    __slots__ = ("batch", "changed", "foreign", "is_deferred", "problem")

    def __init__(self, batch: Batch, *, is_deferred: bool = False) -> None:
        self.batch = batch
        self.is_deferred = is_deferred
        self.foreign: Sequence[RecordedEvent] | None = None
        self.problem: BaseException | None = None
        self.changed: threading.Event | None = None  # set for who waits for it

    @property
    def is_done(self) -> bool:
        """Whether it was recorded, or can't be."""
        return self.foreign is not None or self.problem is not None

    def finish(self, foreign: Sequence[RecordedEvent] | None, problem: BaseException | None = None) -> None:
        """Tell the thread that waits for it."""
        self.foreign, self.problem = foreign, problem
        if self.changed is not None:
            self.changed.set()


class WriteQueue:
    """Entries from many threads, and whose turn it is to write.

    One thread at a time is the writer, `with queue:`, and writes what all have brought. The others wait each for its
    own entry, not for the writer's lock: who is done goes on at once, also while the next statement is under way.

    `due_since` is since when (monotonic) the oldest deferred entry has been waiting; None when there is none.
    """

    def __init__(self) -> None:
        self.due_since: float | None = None
        self._writer = threading.Lock()  # held during a round trip
        self._lock = threading.Lock()  # never held during one, so putting an entry in waits for nobody
        self._entries: list[Entry] = []
        self._deferred_characters = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __enter__(self) -> None:
        """Become the writer, as soon as nobody else is."""
        self._writer.acquire()

    def __exit__(self, *_: object) -> None:
        self._hand_over()

    def settle(self, entry: Entry, write: Callable[[], Sequence[RecordedEvent]]) -> None:
        """Return when an entry is done, by this thread or by another that writes for it."""
        while not entry.is_done:
            if self._writer.acquire(blocking=False):
                try:
                    if not entry.is_done:
                        entry.foreign = write()
                finally:
                    self._hand_over()
            elif entry.changed is None:
                # And look again: who ended or handed over just now did not know that we wait.
                entry.changed = threading.Event()
            else:
                entry.changed.wait()
                entry.changed.clear()

    def put(self, entry: Entry, guard: Guard | None) -> None:
        """Append an entry, unless the guard raises: what it looks at has not changed before the entry has its place."""
        with self._lock:
            if guard is not None:
                guard()
            self._entries.append(entry)
            if entry.is_deferred:
                self._count(entry.batch)

    def take(self) -> list[Entry]:
        """Return all entries, in order, and forget them."""
        with self._lock:
            entries, self._entries = self._entries, []
            self.due_since = None
            self._deferred_characters = 0
        return entries

    def _hand_over(self) -> None:
        """Let one of those who brought something meanwhile be the writer."""
        self._writer.release()
        if not self._entries:  # after the release: who found the lock taken has its entry in the queue by now
            return
        with self._lock:
            waiting = next((entry.changed for entry in self._entries if entry.changed is not None), None)
        if waiting is not None:
            waiting.set()

    def _count(self, batch: Batch) -> None:
        self._deferred_characters += sum(len(event.payload or "") for event in batch.events)
        if self._deferred_characters > MOST_DEFERRED_CHARACTERS:
            self.due_since = -math.inf
        elif self.due_since is None:
            self.due_since = time.monotonic()
