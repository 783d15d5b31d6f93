"""Two transactions at once, on two connections, in an order the test decides: one is seen to wait for the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from durable_engine.storage.connection import open_engine_connection

LIMIT_SECONDS = 40.0


class Other:
    """A function that runs in another thread, on a connection of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: Exception | None = None
        self._function = function
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._function()
        except Exception as error:  # noqa: BLE001 - handed to the test
            self.error = error
        finally:
            connection.close()

    def join(self) -> Other:
        """Wait for its end; its error is kept for the test to look at."""
        self._thread.join(LIMIT_SECONDS)
        assert not self._thread.is_alive(), "the other transaction never ended"
        return self


@contextmanager
def while_open(first: Callable[[], Any], second: Callable[[], Any]) -> Iterator[Other]:
    """Run `first` in an open transaction, then `second` in another until it waits; commit `first` at the end."""
    with transaction.atomic():
        first()
        other = Other(second)
        wait_until_one_waits()
        yield other


def race(first: Callable[[], Any], second: Callable[[], Any]) -> Other:
    """`first` takes its locks, `second` comes and waits, `first` commits, `second` goes on. Returns the second."""
    with while_open(first, second) as other:
        pass
    return other.join()


def wait_until_one_waits(*, how_many: int = 1) -> None:
    """Return once Postgres shows a session of this database that waits for a lock, or so many."""
    deadline = time.monotonic() + LIMIT_SECONDS
    with open_engine_connection() as watcher:
        while time.monotonic() < deadline:
            row = watcher.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            if row is not None and row[0] >= how_many:
                return
            time.sleep(0.005)
    message = "nobody waits for a lock"
    raise AssertionError(message)
