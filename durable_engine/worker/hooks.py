"""Where the worker hangs into Celery: the life of the pool's parent and of its children."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

from celery import signals
from celery.worker import state
from django.conf import settings

from durable_engine.worker.children import Children
from durable_engine.worker.process import WorkerProcess

# Given to children through the environment, so that a platform whose pool starts fresh interpreters works too.
SOCKET_VARIABLE = "_DURABLE_WORKER_SOCKET"

logger = logging.getLogger(__name__)

_children: Children | None = None
_process: WorkerProcess | None = None
_stop_asked = False


def follow(execution_id: UUID) -> None:
    """Run what a hint names, in this process."""
    global _process
    if _process is None:
        _process = WorkerProcess(None)
    _process.follow(execution_id)


@signals.worker_init.connect
def _before_pool(**_: Any) -> None:
    global _children
    _children = Children(float(settings.CELERY["worker_soft_shutdown_timeout"]))
    os.environ[SOCKET_VARIABLE] = str(_children.path)
    _children.start()


@signals.celeryd_after_setup.connect
def _choose_queues(instance: Any, **_: Any) -> None:
    """Listen for the hints of the queues this worker claims from, and of no others."""
    instance.app.amqp.queues.select(settings.DURABLE_QUEUES)


@signals.worker_process_init.connect
def _in_child(**_: Any) -> None:
    global _process
    path = os.environ.get(SOCKET_VARIABLE)
    _process = WorkerProcess(Path(path) if path else None)


@signals.worker_ready.connect
def _chain_signals(**_: Any) -> None:
    """Stop in order at the first SIGTERM or SIGINT; at a second one, do what Celery does.

    Celery's own warm stop waits without limit, its soft one sleeps its time through even when all is done, and neither
    tells the children.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        previous = signal.getsignal(number)

        def handle(signum: int, frame: FrameType | None, previous: Any = previous) -> None:
            global _stop_asked
            if not _stop_asked:
                _stop_asked = True
                _drain()
                state.should_stop = os.EX_OK  # type: ignore[assignment]  # its type is published as None
            elif callable(previous):
                previous(signum, frame)

        signal.signal(number, handle)


@signals.worker_shutting_down.connect
def _shutting_down(**_: Any) -> None:
    _drain()


def _drain() -> None:
    if _children is not None:
        _children.drain()
    if _process is not None:  # the pool that runs tasks in the parent itself
        _process.drain()


@signals.worker_process_shutdown.connect
def _child_exits(**_: Any) -> None:
    if _process is not None:
        _process.stop()
        _process.exit_if_leaving()


@signals.worker_shutdown.connect
def _parent_exits(**_: Any) -> None:
    if _process is not None:
        _process.stop()
    if _children is not None:
        _children.close()
