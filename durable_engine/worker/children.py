"""The parent of a worker's pool knows which child is which worker, reports a dead one at once, and tells all to stop.

Every child holds a connection to a Unix socket of the parent. The kernel closes it whatever kills the child, so the
parent learns of a death within a millisecond, where the lease would take half a minute. The scheduler's sweep remains
for the death of the whole group.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import random
import selectors
import shutil
import signal
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import django.db
import psycopg
from django.conf import settings

from durable_engine import dispatch
from durable_engine.storage import leases
from durable_engine.storage.connection import open_engine_connection

DRAIN = b"drain\n"
END = b"end\n"
LONGEST_SOCKET_PATH = 100
# The pool reaps a dead child within milliseconds; only before that can be seen what ended it.
REAP_SECONDS = 0.2
GLANCE_SECONDS = 0.0002

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Child:
    connection: socket.socket
    received: bytes = b""
    worker_id: UUID | None = None
    pid: int = 0
    left_in_order: bool = False


class Children:
    """The parent's end of the connections to its children. Made before the first fork.

    `drain` may be called from a signal handler; children that connect later are told too. After `patience_seconds`
    those that are still at work are told to give it back and leave.
    """

    def __init__(self, patience_seconds: float) -> None:
        self._patience = patience_seconds
        self._directory = Path(_short_directory())
        self.path = self._directory / "parent.sock"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.path))
        self._listener.listen(256)
        self._listener.setblocking(False)
        self._orders_out, self._orders_in = os.pipe()
        self._children: list[_Child] = []
        self._draining_since: float | None = None
        self._ended = False
        self._forgotten = False
        self._deaths: queue.SimpleQueue[tuple[UUID, str]] = queue.SimpleQueue()
        # Not epoll: a child inherits its descriptor and would take part.
        self._selector = selectors.SelectSelector()
        os.register_at_fork(after_in_child=self._forget)

    def start(self) -> None:
        """Watch, from a thread, and report the dead from another, which may have to wait for Postgres."""
        threading.Thread(target=self._watch, name="children", daemon=True).start()
        threading.Thread(target=self._report, name="dead-children", daemon=True).start()

    def drain(self) -> None:
        """Tell every child to suspend at the next operation and take nothing new. Does nothing in a child."""
        if not self._forgotten:
            os.write(self._orders_in, b"d")

    def close(self) -> None:
        """Remove the socket. Its connections end with the process."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _watch(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._orders_out, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(self._until_end()):
                try:
                    self._on_ready(key)
                except OSError:
                    logger.exception("a connection to a child failed")
            self._end_if_late()

    def _on_ready(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._listener:
            self._accept()
        elif key.data is None:
            os.read(self._orders_out, 64)
            self._begin_drain()
        else:
            self._receive(key.data)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        child = _Child(connection)
        self._children.append(child)
        self._selector.register(connection, selectors.EVENT_READ, child)
        if self._draining_since is not None:
            _send(child, DRAIN)

    def _receive(self, child: _Child) -> None:
        try:
            data = child.connection.recv(4096)
        except ConnectionError:
            data = b""
        if not data:
            self._gone(child)
            return
        *lines, child.received = (child.received + data).split(b"\n")
        for line in lines:
            word, *arguments = line.decode().split()
            if word == "worker":
                child.worker_id, child.pid = UUID(arguments[0]), int(arguments[1])
            elif word == "bye":
                child.left_in_order = True

    def _gone(self, child: _Child) -> None:
        self._selector.unregister(child.connection)
        child.connection.close()
        self._children.remove(child)
        if child.worker_id is not None and not child.left_in_order:
            self._deaths.put((child.worker_id, _exit_reason(child.pid)))

    def _begin_drain(self) -> None:
        if self._draining_since is None:
            self._draining_since = time.monotonic()
            for child in list(self._children):
                _send(child, DRAIN)

    def _until_end(self) -> float | None:
        if self._draining_since is None or self._ended:
            return None
        return max(0.0, self._draining_since + self._patience - time.monotonic())

    def _end_if_late(self) -> None:
        if self._until_end() == 0.0:
            self._ended = True
            for child in list(self._children):
                _send(child, END)

    def _report(self) -> None:
        while True:
            worker_id, reason = self._deaths.get()
            # Beyond a lease the scheduler has done it.
            until = time.monotonic() + settings.DURABLE_LEASE_SECONDS
            while not _recover(worker_id, reason) and time.monotonic() < until:
                time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - jitter

    def _forget(self) -> None:
        """In a forked child: the parent's descriptors would keep its siblings' connections open after their death."""
        if self._forgotten:  # a child's child: the numbers may belong to other files by now
            return
        self._forgotten = True
        for child in self._children:
            child.connection.close()
        self._children.clear()
        self._listener.close()
        for descriptor in (self._orders_in, self._orders_out):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _send(child: _Child, order: bytes) -> None:
    with contextlib.suppress(OSError):  # it is dying; the end of its connection follows
        child.connection.send(order, socket.MSG_DONTWAIT)


def _recover(worker_id: UUID, reason: str) -> bool:
    try:
        with contextlib.closing(open_engine_connection()) as connection:
            recovered = leases.recover_worker(
                connection,
                worker_id,
                reason,
                max_crashes=settings.DURABLE_MAX_CRASHES,
                backoff_seconds=settings.DURABLE_CRASH_BACKOFF_SECONDS,
            )
    except psycopg.Error:
        logger.warning("worker %s is dead (%s), and Postgres can't be told yet", worker_id, reason)
        return False
    logger.warning("worker %s is dead (%s); %d executions go to others", worker_id, reason, len(recovered))
    dispatch.publish(recovered)
    django.db.connections.close_all()
    return True


def _exit_reason(pid: int) -> str:
    """What ended a child, if it can still be seen: looks without reaping, which is the pool's business."""
    deadline = time.monotonic() + REAP_SECONDS
    while time.monotonic() < deadline:
        try:
            status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            break
        if status is not None:
            return f"process {pid} {_in_words(status.si_code, status.si_status)}"
        time.sleep(GLANCE_SECONDS)
    return f"process {pid} ended unexpectedly"


def _in_words(code: int, status: int) -> str:
    if code == os.CLD_EXITED:
        return f"exited with status {status}"
    return f"was killed by {signal.Signals(status).name}"


def _short_directory() -> str:
    """A directory that only this user can enter, with a path short enough for a socket in it."""
    directory = tempfile.mkdtemp(prefix="perdure-worker-")
    if len(directory) > LONGEST_SOCKET_PATH - len("/parent.sock"):
        Path(directory).rmdir()
        directory = tempfile.mkdtemp(prefix="perdure-worker-", dir="/tmp")
    return directory
