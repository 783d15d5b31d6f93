"""Marks: a handler tells the driver, within a fraction of a millisecond, that it comes to a place worth a fault."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SOCKET_VARIABLE = "CHAOS_SOCKET"
CALLBACK = "callback"
STOP = "stop"
# A body that lasts, so that the driver can freeze its process and let another one take over.
FREEZE = "freeze"
# A body before whose outcome the driver arms a failpoint that holds.
HELD = "held"


@dataclass(frozen=True)
class Mark:
    """`kind` is callback, stop, freeze or held; `program` names the execution and `name` the operation.

    `ends_at` is the machine's time at which the marked body will end.
    """

    kind: str
    program: str
    execution_id: str
    name: str
    pid: int
    ends_at: float


def send(kind: str, program: str, execution_id: str, name: str, seconds: float = 0.0) -> None:
    """Tell the driver; a mark that does not get through costs nothing."""
    text = json.dumps([kind, program, execution_id, name, os.getpid(), time.time() + seconds])
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(text.encode(), os.environ[SOCKET_VARIABLE])


class Listener:
    """Receives marks in a thread and hands them over."""

    def __init__(self, path: Path, deliver: Callable[[Mark], None]) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._deliver = deliver

    def start(self) -> None:
        """Receive from now on, for the life of the process."""
        threading.Thread(target=self._run, name="marks", daemon=True).start()

    def _run(self) -> None:
        while True:
            self._deliver(Mark(*json.loads(self._socket.recv(4096))))
