"""Runs sweeps of installed apps, and those that feed pages, in a thread of their own: no timer waits for them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import django.db

from durable_engine.scheduler.sweep import BATCH, MOST_BATCHES
from durable_engine.storage.server import is_away

logger = logging.getLogger(__name__)


class Background:
    """The thread, and what it has been asked to run. It starts at its first use and ends with the process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked: dict[str, Callable[[], int]] = {}
        self._is_away = False
        self._thread: threading.Thread | None = None

    def ask(self, name: str, function: Callable[[], int]) -> None:
        """Have a sweep run soon; once, however often it is asked for before it has begun."""
        with self._changed:
            self._asked.setdefault(name, function)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="app sweeps", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._asked:
                    self._changed.wait()
                name = next(iter(self._asked))
                function = self._asked.pop(name)
            self._sweep(name, function)

    def _sweep(self, name: str, function: Callable[[], int]) -> None:
        try:
            django.db.close_old_connections()
            for _ in range(MOST_BATCHES):
                if function() < BATCH:
                    break
            self._is_away = False
        except Exception as problem:
            if not is_away(problem):
                logger.exception("sweep %s failed", name)
                return
            # The scheduler's own thread says so, and waits; what is due is found again.
            django.db.connections.close_all()
            if not self._is_away:
                logger.warning("Postgres is away for the sweeps of apps: %s", str(problem).strip())
            self._is_away = True


background = Background()
