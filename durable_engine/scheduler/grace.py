"""When the scheduler may declare workers lost."""

from __future__ import annotations

import time
from collections.abc import Callable

from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.server import seconds_since_server_start


class OutageGrace:
    """After an outage of Postgres every worker looks dead, because none could say that it lives.

    So nobody is declared lost before this scheduler has seen Postgres answer for one whole lease without a gap, and
    the server itself has been up for longer than that.
    """

    def __init__(self, lease_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._good_since: float | None = None
        self._last_good = 0.0

    def good_tick(self) -> None:
        """Postgres answered a whole round. A round that hung for long counts as a gap, too."""
        now = self._clock()
        if self._good_since is None or now - self._last_good > self._lease_seconds:
            self._good_since = now
        self._last_good = now

    def bad_tick(self) -> None:
        """Postgres did not answer."""
        self._good_since = None

    def is_over(self, connection: EngineConnection) -> bool:
        """Whether silence of a worker can be believed."""
        now = self._clock()
        if self._good_since is None or now - self._last_good > self._lease_seconds:
            return False
        if now - self._good_since < self._lease_seconds:
            return False
        return seconds_since_server_start(connection) > self._lease_seconds
