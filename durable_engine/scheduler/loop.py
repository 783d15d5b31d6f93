"""The scheduler: rounds of sweeps, and sleep until something is due.

It decides nothing that the database's clock does not decide, holds no state that matters, and may run in any number of
copies. Whatever it misses while it is down, the next round finds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import select
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType

import django.db
from django.conf import settings

from durable_engine.scheduler.grace import OutageGrace
from durable_engine.scheduler.pokes import PokeListener
from durable_engine.scheduler.presence import Presence
from durable_engine.scheduler.sweep import Round, Sweep
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.outside import next_due
from durable_engine.storage.server import DATABASE_ERRORS, is_away

FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 5.0
# What is due but can't be done must not make the loop spin.
SHORTEST_SLEEP_SECONDS = 0.002

logger = logging.getLogger(__name__)


class Scheduler:
    """Runs sweeps until it is told to stop."""

    def __init__(self, sweeps: Callable[[], Sequence[Sweep]]) -> None:
        self._sweeps = sweeps
        self._connections = ConnectionHolder()
        self._grace = OutageGrace(settings.DURABLE_LEASE_SECONDS)
        self._presence = Presence()
        self._ran_at: dict[str, float] = {}
        self._failures = 0
        self._idle_rounds_due = 0
        self._stopping = False
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_out, False)
        os.set_blocking(self._wake_in, False)

    def run(self) -> None:
        """Sweep until `stop`; outages of Postgres and of the broker are waited out, however long."""
        PokeListener(self.wake).start()
        while not self._stopping:
            self._sleep(self.round())
        self.close()

    def close(self) -> None:
        """Say that this scheduler has stopped, and close the connections of this thread."""
        if not self._failures:
            with contextlib.suppress(*DATABASE_ERRORS):  # its silence will tell
                self._presence.end(self._connections.get())
        self._connections.discard()
        django.db.connections.close_all()

    def stop(self) -> None:
        """Stop after the sweep under way. May be called from a signal handler."""
        self._stopping = True
        self.wake()

    def wake(self) -> None:
        """End the current sleep. May be called from a signal handler or another thread."""
        with contextlib.suppress(BlockingIOError):  # it is being woken more than once already
            os.write(self._wake_in, b"w")

    def stop_on_signals(self) -> None:
        """Stop at SIGTERM and SIGINT."""

        def handle(_signum: int, _frame: FrameType | None) -> None:
            self.stop()

        signal.signal(signal.SIGTERM, handle)
        signal.signal(signal.SIGINT, handle)

    def round(self) -> float:
        """Run every sweep whose time has come; return how many seconds to sleep."""
        tick = float(settings.DURABLE_SCHEDULER_TICK_SECONDS)
        began = time.monotonic()
        try:
            django.db.close_old_connections()
            this = Round(self._connections.get(), self._grace)
            for sweep in self._sweeps():
                if self._stopping:
                    return 0.0
                self._run_if_time(sweep, this, tick)
            due = next_due(this.connection)
            self._presence.round_took(this.connection, time.monotonic() - began)
        except DATABASE_ERRORS as problem:
            return self._away(problem)
        self._grace.good_tick()
        if self._failures:
            logger.info("Postgres is back")
        self._failures = 0
        return self._until(due, tick)

    def _run_if_time(self, sweep: Sweep, this: Round, tick: float) -> None:
        every = tick if sweep.every_seconds is None else sweep.every_seconds
        now = time.monotonic()
        if now - self._ran_at.get(sweep.name, -every) < every:
            return
        self._ran_at[sweep.name] = now
        try:
            sweep.run(this)
        except Exception as problem:
            if is_away(problem):
                raise
            logger.exception("sweep %s failed", sweep.name)

    def _away(self, problem: Exception) -> float:
        self._grace.bad_tick()
        self._connections.discard()
        django.db.connections.close_all()
        self._failures += 1
        if self._failures == 1:
            logger.warning("Postgres is away, trying on: %s", str(problem).strip())
        longest = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures, 10))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def _until(self, due: float | None, tick: float) -> float:
        if due is None or due > 0:
            self._idle_rounds_due = 0
            return tick if due is None else min(due, tick)
        self._idle_rounds_due += 1
        return min(tick, SHORTEST_SLEEP_SECONDS * 2.0 ** min(self._idle_rounds_due, 20))

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wake_out], [], [], seconds)[0]:
            os.read(self._wake_out, 4096)
