"""Hears pokes: somebody has just made something due earlier than the scheduler would look by itself."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from durable_engine.dispatch import Broker

LISTEN_SECONDS = 5.0
# Longer than a listening, or every quiet spell would look like an outage.
SOCKET_SECONDS = 8.0
RETRY_SECONDS = 1.0

logger = logging.getLogger(__name__)


class PokeListener:
    """A thread that waits for pokes at the broker. While the broker is down the scheduler sleeps its tick through."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._broker = Broker(SOCKET_SECONDS)

    def start(self) -> None:
        """Listen from now on, for the life of the process."""
        threading.Thread(target=self._run, name="pokes", daemon=True).start()

    def _run(self) -> None:
        hears = True
        while True:
            try:
                if self._broker.wait_for_poke(LISTEN_SECONDS):
                    self._wake()
                hears = True
            except Exception as problem:  # noqa: BLE001 - whatever the broker's client raises
                self._broker.close()
                if hears:
                    logger.warning("the broker is away, sleeping without pokes: %s", problem)
                hears = False
                time.sleep(RETRY_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
