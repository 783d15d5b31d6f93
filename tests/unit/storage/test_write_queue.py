from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from durable_engine.core.ports import Batch, EventType, NewEvent, RecordedEvent
from durable_engine.storage.write_queue import MOST_DEFERRED_CHARACTERS, Entry, WriteQueue

SECONDS = 40


class Writer:
    """Writes what stands in a queue; `reached` and `go` hold it up in the middle of each write."""

    def __init__(self, queue: WriteQueue) -> None:
        self.queue = queue
        self.groups: list[list[Entry]] = []
        self.reached = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def write(self) -> Sequence[RecordedEvent]:
        group = self.queue.take()
        self.reached.release()
        assert self.go.acquire(timeout=SECONDS)
        self.groups.append(group)
        for entry in group:
            entry.finish(())
        return ()


def settling(queue: WriteQueue, writer: Writer, entry: Entry) -> threading.Thread:
    queue.put(entry, None)
    thread = threading.Thread(target=queue.settle, args=(entry, writer.write), daemon=True)
    thread.start()
    return thread


def test_what_comes_while_one_writes_is_written_together_by_the_next() -> None:
    queue = WriteQueue()
    writer = Writer(queue)
    entries = [Entry(Batch()) for _ in range(4)]

    threads = [settling(queue, writer, entries[0])]
    assert writer.reached.acquire(timeout=SECONDS)
    threads += [settling(queue, writer, entry) for entry in entries[1:]]
    writer.go.release()
    assert writer.reached.acquire(timeout=SECONDS)
    writer.go.release()
    for thread in threads:
        thread.join(SECONDS)

    assert writer.groups == [entries[:1], entries[1:]]


def test_who_is_done_goes_on_while_the_next_one_writes() -> None:
    queue = WriteQueue()
    writer = Writer(queue)
    first, second, third = (Entry(Batch()) for _ in range(3))

    with queue:  # both are in the queue before anybody can write
        threads = [settling(queue, writer, first), settling(queue, writer, second)]
    assert writer.reached.acquire(timeout=SECONDS)
    late = settling(queue, writer, third)
    writer.go.release()
    assert writer.reached.acquire(timeout=SECONDS)  # the third writes now, and is held up
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()
    assert late.is_alive()
    writer.go.release()
    late.join(SECONDS)


def test_an_entry_whose_guard_raises_has_no_place_in_the_queue() -> None:
    queue = WriteQueue()

    def refuse() -> None:
        raise RuntimeError("too late")

    with pytest.raises(RuntimeError, match="too late"):
        queue.put(Entry(Batch()), refuse)

    assert not queue
    assert queue.take() == []


def test_many_threads_lose_no_entry_and_write_none_twice() -> None:
    queue = WriteQueue()
    written: list[Entry] = []
    ready = threading.Barrier(8)

    def write() -> Sequence[RecordedEvent]:
        group = queue.take()
        written.extend(group)
        for entry in group:
            entry.finish(())
        return ()

    def work() -> None:
        ready.wait(SECONDS)
        for _ in range(300):
            entry = Entry(Batch())
            queue.put(entry, None)
            queue.settle(entry, write)
            assert entry.is_done

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not any(thread.is_alive() for thread in threads)
    assert len(written) == len(set(map(id, written))) == 8 * 300


def test_deferred_text_beyond_a_limit_is_due_at_once() -> None:
    queue = WriteQueue()
    large = NewEvent(EventType.CONTEXT_SUCCEEDED, 0.0, "1-1", payload="x" * (MOST_DEFERRED_CHARACTERS + 1))
    queue.put(Entry(Batch([NewEvent(EventType.CONTEXT_STARTED, 0.0, "1")]), is_deferred=True), None)
    assert queue.due_since is not None
    assert queue.due_since > 0
    queue.put(Entry(Batch([large]), is_deferred=True), None)

    assert queue.due_since == float("-inf")
