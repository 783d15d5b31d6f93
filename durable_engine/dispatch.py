"""The only place that signals Celery or pokes the scheduler. Everything sent is a hint: Postgres holds the truth.

A broker that is down, or hangs, must not slow down whoever has just committed. So one background thread a process
talks to it, callers wait for that thread a fifth of a second at most, and after a failure nobody tries for a while.
What is lost here is found again by the scheduler's sweep for undispatched executions.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

# The two modules are what a first message needs: a third of a second that belongs to the start of a process, not into
# somebody's first commit.
import celery.app.amqp  # noqa: F401
import kombu.transport.redis  # noqa: F401
from celery import Celery
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction

from durable_engine.models import Execution

TASK = "durable_engine.run_execution"
QUEUE = "durable"
POKES = "scheduler-pokes"

# How long a caller waits for the broker, all hints of one call together.
PATIENCE_SECONDS = 0.2
# How long nobody tries after a failure; then one call tries alone.
BREAK_SECONDS = 2.0
# What the background thread waits for one answer of the broker.
SOCKET_SECONDS = 1.0
# A hint makes a worker claim until nothing is ready, so a few of them start any backlog.
MOST_HINTS = 100
# Of single hints for one queue, a process sends one in so many seconds. Those in between are covered by the next:
# whoever follows it claims until nothing is ready, and what it should find was committed before it was sent.
HINT_SECONDS = 0.005
MOST_POKES = 4
MOST_JOBS = 1000

logger = logging.getLogger(__name__)


def publish(execution_ids: Iterable[UUID], *, queue: str | None = None, wait: bool = True) -> None:
    """Hint to the workers that these executions are ready; never raises, and takes 0.2 s at most.

    Call it after the commit that made them ready; without `wait` it takes no time at all. `queue` saves a look-up when
    the caller knows it. At most a hundred are sent: a worker that follows one goes on with whatever else is ready.
    """
    ids = list(execution_ids)[:MOST_HINTS]
    if not ids or not _publisher.accepts():
        return
    try:
        hints = [(each, queue) for each in ids] if queue else _with_queues(ids)
        if len(hints) == 1:
            _publisher.submit_hint(*hints[0], wait=wait)
        else:
            _publisher.submit([_hint(execution_id, name) for execution_id, name in hints], wait=wait)
    except Exception:
        logger.exception("no hint sent for %d executions; the scheduler finds them", len(ids))


def publish_on_commit(execution_ids: Sequence[UUID], *, queue: str | None = None) -> None:
    """Publish when the current transaction commits; at once when there is none."""
    transaction.on_commit(lambda: publish(execution_ids, queue=queue), robust=True)


def poke_scheduler(due_in_seconds: float | None) -> None:
    """Wake the scheduler for something that is due before it would look by itself; never raises, never waits.

    Call it after the commit that made it due. None means that nothing is due.
    """
    if due_in_seconds is not None and due_in_seconds < settings.DURABLE_SCHEDULER_TICK_SECONDS and _publisher.accepts():
        _publisher.submit([Broker.poke], wait=False)


def waiting_hints(queue: str = QUEUE) -> int | None:
    """How many hints lie in the broker for a queue; None when the broker does not answer within 0.2 s."""
    found: list[int] = []
    if not _publisher.accepts():
        return None
    _publisher.submit([lambda broker: found.append(broker.depth(queue))], wait=True)
    return found[0] if found else None


class Broker:
    """One connection to the broker, opened at its first use. For one thread. Raises what the broker's client raises."""

    def __init__(self, socket_seconds: float = SOCKET_SECONDS) -> None:
        # An app of its own: it needs neither the worker's tasks nor its patience, and a web process has no other.
        self._app = Celery("durable_engine.dispatch", set_as_current=False, fixups=[])
        self._app.config_from_object(settings.CELERY)
        self._app.conf.broker_transport_options = {
            **settings.CELERY.get("broker_transport_options", {}),
            "socket_timeout": socket_seconds,
            "socket_connect_timeout": socket_seconds,
            "retry_on_timeout": False,
            "max_retries": 0,  # of connecting; without it the client goes on for ever
        }
        self._connection: Any = None
        self._producer: Any = None

    def hint(self, execution_id: UUID, queue: str) -> None:
        """Send one message that names one execution."""
        self._connect()
        self._app.send_task(
            TASK, [str(execution_id)], producer=self._producer, queue=queue, retry=False, ignore_result=True
        )

    def poke(self) -> None:
        """Wake one scheduler. The list is capped: one poke is as good as many."""
        client = self._client()
        if client.llen(POKES) < MOST_POKES:
            client.lpush(POKES, "1")

    def wait_for_poke(self, seconds: float) -> bool:
        """Wait for a poke, and take it."""
        return self._client().brpop([POKES], timeout=seconds) is not None

    def depth(self, queue: str) -> int:
        """How many hints lie in a queue."""
        return int(self._client().llen(queue))

    def close(self) -> None:
        """Drop the connection; the next use opens another."""
        broken, self._connection, self._producer = self._connection, None, None
        if broken is not None:
            try:
                broken.release()
            except Exception:
                logger.debug("closing a broken connection to the broker", exc_info=True)

    def _connect(self) -> None:
        if self._connection is None:
            self._connection = self._app.connection_for_write()
            self._producer = self._app.amqp.Producer(self._connection, auto_declare=False)

    def _client(self) -> Any:
        # The transport's own client knows every form of URL and puts the key prefix before what it sends.
        self._connect()
        return self._connection.default_channel.client


Job = Callable[[Broker], object]


def _hint(execution_id: UUID, queue: str) -> Job:
    return lambda broker: broker.hint(execution_id, queue)


def _with_queues(ids: list[UUID]) -> list[tuple[UUID, str]]:
    """A hint belongs in the queue of its execution: the workers of another one would pass it over."""
    try:
        return list(Execution.objects.filter(pk__in=ids).values_list("pk", "queue"))
    except DatabaseError:
        # The caller's commit stands; a connection that broke since must not fail the next caller too.
        connection.close_if_unusable_or_obsolete()
        return [(each, QUEUE) for each in ids]


class _Breaker:
    """Closed while the broker answers. Open for a while after a failure, then one call may try."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._closed_again_at: float | None = None

    def lets_through(self) -> bool:
        with self._lock:
            if self._closed_again_at is None:
                return True
            if self._clock() < self._closed_again_at:
                return False
            # This caller probes; those who come before its outcome is known are refused.
            self._closed_again_at = self._clock() + BREAK_SECONDS
            return True

    def failed(self) -> bool:
        """Open. Returns whether it was closed before."""
        with self._lock:
            was_closed = self._closed_again_at is None
            self._closed_again_at = self._clock() + BREAK_SECONDS
            return was_closed

    def succeeded(self) -> None:
        with self._lock:
            self._closed_again_at = None


class _Publisher:
    """The background thread, its jobs and its breaker."""

    def __init__(self) -> None:
        self._breaker = _Breaker()
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._busy = False
        self._finished = 0  # jobs that are over, done or dropped; only grows
        self._submitted = 0
        self._held: dict[str, Job] = {}  # by queue: a hint that is sent when its time has come
        self._next_hint: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def accepts(self) -> bool:
        return self._breaker.lets_through()

    def submit(self, jobs: Sequence[Job], *, wait: bool) -> None:
        with self._changed:
            if len(self._jobs) + len(jobs) > MOST_JOBS:
                return
            self._jobs.extend(jobs)
            self._submitted += len(jobs)
            mine, before = self._submitted, self._finished
            self._start()
            self._changed.notify_all()
            if wait and not self._changed.wait_for(lambda: self._finished >= mine, PATIENCE_SECONDS):
                # Slow because there is much to send is no failure; not one answer in all that time is.
                stuck = self._finished == before
            else:
                return
        if stuck:
            self._fail(f"no answer within {PATIENCE_SECONDS:g} s")

    def submit_hint(self, execution_id: UUID, queue: str, *, wait: bool) -> None:
        """Send one hint, now, or shortly and for others too; who sends it now may wait for it."""
        with self._changed:
            if queue in self._held:
                return
            now = time.monotonic()
            if self._next_hint.get(queue, now) > now:
                self._held[queue] = _hint(execution_id, queue)
                self._start()
                self._changed.notify_all()
                return
            self._next_hint[queue] = now + HINT_SECONDS
        self.submit([_hint(execution_id, queue)], wait=wait)

    def flush(self) -> None:
        """Wait, a fifth of a second at most, for what is under way."""
        with self._changed:
            self._next_hint.clear()
            self._changed.notify_all()
            self._changed.wait_for(lambda: not (self._jobs or self._held or self._busy), PATIENCE_SECONDS)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="dispatch", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        broker = Broker()
        while True:
            with self._changed:
                while not self._jobs:
                    self._changed.wait(self._release_held())
                job = self._jobs.popleft()
                self._busy = True
            try:
                job(broker)
            except Exception as problem:  # noqa: BLE001 - whatever the broker's client raises
                broker.close()
                self._fail(f"{type(problem).__name__}: {problem}")
                self._drop_all()
            else:
                self._breaker.succeeded()
            with self._changed:
                self._busy = False
                self._finished += 1
                self._changed.notify_all()

    def _release_held(self) -> float | None:
        """Turn held hints whose time has come into jobs. Returns how long to wait for the next; None: there is none."""
        now = time.monotonic()
        for queue, job in list(self._held.items()):
            if self._next_hint.get(queue, now) <= now:
                del self._held[queue]
                self._next_hint[queue] = now + HINT_SECONDS
                self._jobs.append(job)
                self._submitted += 1
        if self._jobs:
            return 0.0
        return min((self._next_hint[queue] - now for queue in self._held), default=None)

    def _drop_all(self) -> None:
        with self._changed:
            self._held.clear()
            self._finished += len(self._jobs)
            self._jobs.clear()

    def _fail(self, problem: str) -> None:
        if self._breaker.failed():
            logger.warning("the broker does not take hints (%s); work waits in Postgres", problem)


def _start_over() -> None:
    """Threads and connections do not survive a fork."""
    global _publisher
    _publisher = _Publisher()


_publisher = _Publisher()
os.register_at_fork(after_in_child=_start_over)
atexit.register(lambda: _publisher.flush())
