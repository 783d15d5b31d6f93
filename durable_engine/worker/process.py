"""One worker process: its lease, its invocation loop, its way out."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from billiard.pool import EX_RECYCLE
from billiard.process import current_process

from durable_engine.worker.handler_log import HandlerLog
from durable_engine.worker.heartbeat import Heartbeat
from durable_engine.worker.loop import InvocationLoop
from durable_engine.worker.parent import Parent

# Longer than an orderly stop of the pool needs to reach an idle child.
LEAVE_AFTER_SECONDS = 3.0

logger = logging.getLogger(__name__)


class WorkerProcess:
    """What a process needs to run invocations; one of them exists in each pool child."""

    def __init__(self, parent_socket: Path | None) -> None:
        self._heartbeat = Heartbeat(self._announce)
        self._handler_log = HandlerLog.of_settings()
        self._handler_log.install()
        self._loop = InvocationLoop(self._heartbeat, self._handler_log)
        self._busy = False
        self._leaving = False
        orders: dict[str, Callable[[], None]] = {"drain": self._drain_in_pool, "end": self._end}
        self._parent = None if parent_socket is None else Parent(parent_socket, orders)
        self._heartbeat.start()

    def follow(self, hinted: UUID) -> None:
        """Do what a hint asks for. After an abandoned body, end the process when the task is over."""
        self._busy = True
        try:
            self._loop.follow(hinted)
        finally:
            self._busy = False
        if self._loop.tainted:
            logger.warning("a body that was abandoned is still running; this process makes room for a fresh one")
            self._leave_after_task()

    def drain(self) -> None:
        """Suspend at the next operation and take nothing new. May be called from a signal handler."""
        self._loop.stopping = True
        self._heartbeat.drain()

    def stop(self) -> None:
        """End the worker: the process is about to exit."""
        self._heartbeat.stop()
        self._handler_log.uninstall()
        if self._parent is not None:
            self._parent.leave()

    def exit_if_leaving(self) -> None:
        """Exit in the way that the pool takes for a change of processes, not for an error."""
        if self._leaving:
            os._exit(EX_RECYCLE)

    def _announce(self, worker_id: UUID) -> None:
        if self._parent is not None:
            self._parent.announce(worker_id)

    def _drain_in_pool(self) -> None:
        self.drain()
        # A pool that stops in the moment of handing out a task may forget to tell the child that it stops, and then
        # waits for it without limit.
        later = threading.Timer(LEAVE_AFTER_SECONDS, self._leave)
        later.daemon = True
        later.start()

    def _end(self) -> None:
        """The time for an orderly stop is over: give back what runs, uncounted, and leave it behind."""
        logger.warning("an invocation did not come to an operation in time; its execution goes to another worker")
        self.stop()
        os._exit(EX_RECYCLE)

    def _leave(self) -> None:
        if self._busy:
            self._leave_after_task()
        else:
            self.stop()
            os._exit(EX_RECYCLE)

    def _leave_after_task(self) -> None:
        """Make this pool process end when it asks for its next task.

        The pool offers no such order to a child. Closing the queue it reads tasks from is what its own shutdown amounts
        to; raising SystemExit or exiting inside the task would log a lost worker with a traceback.
        """
        reader = getattr(getattr(getattr(current_process(), "_target", None), "inq", None), "_reader", None)
        if reader is None:
            logger.warning("this process is no pool child and can't be replaced alone; restart the worker")
            return
        self._leaving = True
        reader.close()
