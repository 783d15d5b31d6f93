"""A scheduler's row: it says every few seconds that it lives, and how long its slowest round took meanwhile."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from uuid_utils.compat import uuid7

from durable_engine.storage import schedulers
from durable_engine.storage.connection import EngineConnection

EVERY_SECONDS = 5.0


class Presence:
    """Keeps one row up to date."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._id = uuid7()
        self._clock = clock
        self._said_at: float | None = None
        self._slowest = 0.0

    def round_took(self, connection: EngineConnection, seconds: float) -> None:
        """Take note of a round; write the row when it is time."""
        self._slowest = max(self._slowest, seconds)
        now = self._clock()
        if self._said_at is not None and now - self._said_at < EVERY_SECONDS:
            return
        self._said_at = now
        schedulers.beat(
            connection,
            self._id,
            hostname=socket.gethostname(),
            pid=os.getpid(),
            release=_release(),
            slowest_seconds=self._slowest,
        )
        self._slowest = 0.0

    def end(self, connection: EngineConnection) -> None:
        """Say that the scheduler stops."""
        if self._said_at is not None:
            schedulers.retire(connection, self._id)


def _release() -> str:
    try:
        return version("perdure")
    except PackageNotFoundError:
        return ""  # run from a checkout
