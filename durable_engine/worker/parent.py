"""A pool child's connection to its parent: says which worker it is, and hears when to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

logger = logging.getLogger(__name__)


class Parent:
    """The child's end. Its loss costs only speed, so nothing here raises.

    `orders` names what to do at each word of the parent; called from a thread.
    """

    def __init__(self, path: Path, orders: Mapping[str, Callable[[], None]]) -> None:
        self._orders = orders
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connection.connect(str(path))
        except OSError:
            logger.warning("no connection to the pool's parent: a death of this process is noticed by its lease")
        # A process that a step body forks must not keep the connection open after our death.
        os.register_at_fork(after_in_child=self._connection.close)
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    def announce(self, worker_id: UUID) -> None:
        """Say under which id this process claims."""
        self._send(f"worker {worker_id} {os.getpid()}\n")

    def leave(self) -> None:
        """Say that the process ends in order and holds nothing."""
        self._send("bye\n")

    def _send(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._connection.sendall(line.encode())

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._connection.makefile("r") as lines:
            for line in lines:
                if (order := self._orders.get(line.strip())) is not None:
                    order()
