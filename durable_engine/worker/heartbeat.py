"""The lease of a worker process: its row in `worker`, kept fresh by a thread of its own.

The thread is also how a process learns what the database decided meanwhile: that an execution was stopped or given to
another worker, or that the process itself was declared lost. It only ever makes a process stop trying: what may be
written is decided by the fence alone.
"""

from __future__ import annotations

import importlib.metadata
import logging
import math
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import django.db
from django.conf import settings

from durable_engine import dispatch
from durable_engine.models import Execution, ExecutionStatus
from durable_engine.sdk import registry
from durable_engine.services.functions import register_served_functions
from durable_engine.services.remote_functions import follow_remote_functions
from durable_engine.storage import leases
from durable_engine.storage.connection import ConnectionHolder, EngineConnection
from durable_engine.storage.leases import Claim, Held, WorkerLost
from durable_engine.storage.remote_functions import show_functions
from durable_engine.storage.server import DATABASE_ERRORS

FIRST_RETRY_SECONDS = 0.1

STOPPED = "stopped in order"
DIED = "the process ended in the middle of an invocation"

logger = logging.getLogger(__name__)


class Losable(Protocol):
    """What is told that its execution is somebody else's."""

    def lose(self) -> None:
        """Write nothing more."""
        ...


@dataclass(eq=False)
class Running:
    """An invocation that this process runs now. `must_end_by` is monotonic: when its time limit is over."""

    claim: Claim
    invocation: Losable
    must_end_by: float
    lost: bool = False


class Heartbeat:
    """Registers the process as a worker, keeps its lease, and gives back what the process can't go on with.

    Survives any outage of Postgres, and being declared lost: the process then goes on as a new worker. `announce` is
    called with each new worker id.
    """

    def __init__(self, announce: Callable[[UUID], None]) -> None:
        self._announce = announce
        self._connections = ConnectionHolder()
        self._lock = threading.RLock()  # the connection and the id; held during a round trip
        self._claiming = threading.Lock()  # a claim under way; taken after the other lock, never before
        self._claimed: UUID | None = None
        self._ended = threading.Event()
        self._hurry = threading.Event()
        self._worker_id: UUID | None = None
        self._last_beat = 0.0
        self._running: list[Running] = []
        self._given_up: list[Claim] = []
        self._strays_possible = False
        self._draining = False
        self._drain_shown = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Start the thread; the worker's row appears as soon as Postgres answers."""
        self._thread.start()

    def worker_id(self) -> UUID | None:
        """Return the id to claim with, made sure not to be lost; None while Postgres is away, and after `stop`."""
        with self._lock:
            if self._ended.is_set():
                return None
            # A process that was stopped for a while must not claim under an id that was declared lost meanwhile.
            if self._worker_id is None or time.monotonic() - self._last_beat > settings.DURABLE_LEASE_SECONDS / 2:
                try:
                    self._beat()
                except DATABASE_ERRORS:
                    self._connections.discard()
                    return None
            return self._worker_id

    def claim(self, take: Callable[[UUID], Claim | None]) -> Claim | None:
        """Claim with `take`, which is given the worker id; None when there is nothing to take or no id to take it with.

        What it returns is known to be ours from the moment of its commit: it is no stray.
        """
        worker_id = self.worker_id()
        if worker_id is None:
            return None
        with self._claiming:
            self._claimed = None
            claim = take(worker_id)
            if claim is not None:
                self._claimed = claim.execution_id
            return claim

    @contextmanager
    def running(self, claim: Claim, invocation: Losable, *, may_block: bool = True) -> Iterator[None]:
        """Watch over an invocation while it runs. One that a dying process leaves stays, for `stop` to give back.

        Unless it `may_block` the process for longer than its time limit, the process is not ended for that.
        """
        must_end_by = time.monotonic() + claim.invocation_seconds if may_block else math.inf
        entry = Running(claim, invocation, must_end_by)
        self._running.append(entry)
        try:
            yield
        except Exception:
            self._running.remove(entry)
            raise
        self._running.remove(entry)

    def give_back(self, claim: Claim) -> None:
        """Give an execution back, now or when Postgres is there again; without effect if it is no longer ours."""
        self._given_up.append(claim)
        self._hurry.set()

    def look_for_strays(self) -> None:
        """Have executions looked for that are ours without our knowing: a claim whose reply was lost."""
        self._strays_possible = True
        self._hurry.set()

    def start_anew(self, reason: str) -> None:
        """Let this worker be lost, so that what it runs is counted as crashed, and go on as a new one."""
        with self._lock:
            try:
                if self._worker_id is not None:
                    self._recover(self._worker_id, reason)
                self._worker_id = None
            except DATABASE_ERRORS:
                # Not counted, but not stuck either: the row is found among the strays.
                self._connections.discard()
                self.look_for_strays()

    def drain(self) -> None:
        """Show in the worker's row that nothing new is taken. May be called from a signal handler."""
        self._draining = True

    def stop(self) -> None:
        """End the thread and the worker. What still runs is given back; while draining that counts as no crash."""
        self._ended.set()
        self._hurry.set()
        with self._lock:
            if self._worker_id is None:
                self._connections.discard()
                return
            try:
                in_order = self._draining or not self._running
                if self._draining:
                    self._given_up.extend(entry.claim for entry in self._running)
                    self._unclaim(self._connections.get())
                self._recover(self._worker_id, STOPPED if in_order else DIED)
            except DATABASE_ERRORS:
                logger.warning("Postgres is away: the scheduler recovers what this worker ran")
            finally:
                self._worker_id = None
                self._connections.discard()

    def _run(self) -> None:
        failures = 0
        while not self._ended.is_set():
            try:
                with self._lock:
                    if not self._ended.is_set():
                        self._beat()
                failures = 0
            except DATABASE_ERRORS as problem:
                self._connections.discard()
                failures += 1
                if failures == 1:
                    logger.warning("Postgres is away, the heartbeat tries on: %s", str(problem).strip())
            except Exception:
                logger.exception("a heartbeat failed")
            django.db.connections.close_all()  # those of this thread, which seldom needs them
            self._end_if_overrun()
            self._hurry.wait(self._pause(failures))
            if not failures:
                self._hurry.clear()

    def _pause(self, failures: int) -> float:
        interval = float(settings.DURABLE_HEARTBEAT_SECONDS)
        if not failures:
            return interval
        self._hurry.clear()
        longest = FIRST_RETRY_SECONDS * 2.0 ** min(failures, 10)
        return min(interval, longest) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def _beat(self) -> None:
        connection = self._connections.get()
        worker_id = self._worker_id or self._register(connection)
        running = list(self._running)
        try:
            held = leases.beat(connection, worker_id, [entry.claim.execution_id for entry in running])
        except WorkerLost:
            logger.warning("worker %s was declared lost; this process goes on as a new one", worker_id)
            held = []
            self._register(connection)
        self._last_beat = time.monotonic()
        _tell_lost(running, held)
        if follow_remote_functions(connection):
            register_served_functions()
            show_functions(connection, self._worker_id or worker_id, _served())
        if self._draining and not self._drain_shown:
            leases.drain_worker(connection, self._worker_id or worker_id)
            self._drain_shown = True
        if self._strays_possible:
            self._find_strays()
        self._unclaim(connection)

    def _register(self, connection: EngineConnection) -> UUID:
        follow_remote_functions(connection)
        register_served_functions()
        self._worker_id = leases.register_worker(
            connection,
            hostname=socket.gethostname(),
            pid=os.getpid(),
            release=_release(),
            functions=_served(),
            queues=settings.DURABLE_QUEUES,
        )
        self._drain_shown = False
        self._announce(self._worker_id)
        return self._worker_id

    def _find_strays(self) -> None:
        with self._claiming:
            known = [entry.claim.execution_id for entry in self._running]
            if self._claimed is not None:
                known.append(self._claimed)
            strays = Execution.objects.filter(worker_id=self._worker_id, status=ExecutionStatus.RUNNING)
            self._given_up.extend(_claim_of(stray) for stray in strays.exclude(pk__in=known))
            self._strays_possible = False

    def _unclaim(self, connection: EngineConnection) -> None:
        while self._given_up:
            claim = self._given_up[0]
            if leases.unclaim(connection, claim):
                dispatch.publish([claim.execution_id])
            self._given_up.pop(0)

    def _recover(self, worker_id: UUID, reason: str) -> None:
        recovered = leases.recover_worker(
            self._connections.get(),
            worker_id,
            reason,
            max_crashes=settings.DURABLE_MAX_CRASHES,
            backoff_seconds=settings.DURABLE_CRASH_BACKOFF_SECONDS,
        )
        dispatch.publish(recovered)

    def _end_if_overrun(self) -> None:
        """A body that outlives its invocation's time limit, and whose execution was taken away, blocks this process."""
        for entry in list(self._running):
            if entry.lost and time.monotonic() > entry.must_end_by:
                claim = entry.claim
                logger.error("%s %s overran its invocation_timeout; ending the process", claim.function, claim.name)
                os.kill(os.getpid(), signal.SIGKILL)


def _tell_lost(running: list[Running], held: list[Held]) -> None:
    ours = {each.execution_id: each for each in held}
    for entry in running:
        found = ours.get(entry.claim.execution_id)
        if found is None or found.fence != entry.claim.fence or found.status != ExecutionStatus.RUNNING:
            entry.lost = True
            entry.invocation.lose()


def _claim_of(execution: Execution) -> Claim:
    if execution.invocation_id is None or execution.invocation_started_at is None:
        raise ValueError(f"{execution} is RUNNING without an invocation")
    return Claim(
        execution_id=execution.pk,
        function=execution.function,
        version=execution.version,
        name=execution.name,
        fence=execution.fence,
        invocation_id=execution.invocation_id,
        crash_count=execution.crash_count,
        last_event_id=execution.last_event_id,
        signal=execution.signal,
        invocation_started_at=execution.invocation_started_at,
        invocation_seconds=0.0,
    )


def _served() -> list[str]:
    return [handler.key for handler in registry.all_handlers()]


def _release() -> str:
    try:
        return importlib.metadata.version("perdure")
    except importlib.metadata.PackageNotFoundError:
        return ""
