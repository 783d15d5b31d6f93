"""Writes what handlers log into Postgres, for the pages: in batches, by a thread of its own, within a second."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from durable_engine.core.errors import storable
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.log_records import NewRecord, append_log_records
from durable_engine.storage.server import DATABASE_ERRORS

EVERY_SECONDS = 1.0
MOST_IN_STATEMENT = 500
# What is kept while Postgres is away or slower than the handlers are: beyond it, the oldest are lost to the pages.
MOST_WAITING = 5_000
MOST_CHARACTERS = 8_000
# They have columns of their own, or belong to every record.
COLUMNS = ("executionArn", "operationId", "operationName", "attempt")
LONGEST_ID, LONGEST_NAME, LONGEST_LEVEL = 64, 256, 16

logger = logging.getLogger(__name__)


class LogStore:
    """Takes records from any thread and writes them soon. `most` are kept of one execution, the first ones.

    The thread and its connection exist from the first record on: handlers that log nothing cost nothing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[NewRecord] = deque(maxlen=MOST_WAITING)
        self._lock = threading.Lock()
        self._some = threading.Event()  # there is something to write
        self._now = threading.Event()  # do not wait for more
        self._closed = False
        self._connections = ConnectionHolder()
        self._thread: threading.Thread | None = None

    def put(self, at: float, level: str, message: str, fields: Mapping[str, object]) -> None:
        """Take one record."""
        record = _record(at, level, message, fields)
        if record is None or self._closed:
            return
        self._waiting.append(record)
        self._some.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="handler-log", daemon=True)
                    self._thread.start()

    def hurry(self) -> None:
        """Write what there is at once: an invocation has ended, and somebody may look at its page."""
        if self._waiting:
            self._now.set()

    def close(self) -> None:
        """Write what is left, if that is soon possible, and end."""
        self._closed = True
        self._some.set()
        self._now.set()
        if self._thread is not None:
            self._thread.join(2 * EVERY_SECONDS)

    def _run(self) -> None:
        while not self._closed:
            self._some.wait()
            self._now.wait(EVERY_SECONDS)
            self._some.clear()
            self._now.clear()
            self._write()
        self._connections.discard()

    def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_STATEMENT))]
            try:
                append_log_records(self._connections.get(), batch, most=self._most)
            except DATABASE_ERRORS:
                self._connections.discard()
                self._keep(batch)
                return
            except psycopg.Error:
                # The executions were deleted in this moment, or Postgres refuses a value: not worth trying for ever.
                logger.exception("%d records of handlers are lost to the pages", len(batch))

    def _keep(self, batch: list[NewRecord]) -> None:
        """Postgres is away: try again with the next second."""
        room = MOST_WAITING - len(self._waiting)
        self._waiting.extendleft(reversed(batch[-room:] if room else []))
        self._some.set()


def _record(at: float, level: str, message: str, fields: Mapping[str, object]) -> NewRecord | None:
    try:
        execution_id = UUID(str(fields.get("executionArn", "")).rpartition("/")[2])
    except ValueError:
        return None  # of no execution that has a page
    operation_id, name, attempt = (fields.get(key) for key in COLUMNS[1:])
    more = {key: value for key, value in fields.items() if key not in COLUMNS and key != "parentId"}
    return NewRecord(
        execution_id,
        datetime.fromtimestamp(at, UTC),
        level[:LONGEST_LEVEL],
        _cut(message),
        None if operation_id is None else str(operation_id)[:LONGEST_ID],
        None if name is None else str(name)[:LONGEST_NAME],
        attempt if isinstance(attempt, int) else None,
        _json(more) if more else None,
    )


def _json(fields: Mapping[str, object]) -> str:
    text = json.dumps({str(key): _value(value) for key, value in fields.items()}, ensure_ascii=False)
    return storable(text) if len(text) <= MOST_CHARACTERS else json.dumps({"cut": _cut(text)}, ensure_ascii=False)


def _value(value: object) -> object:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _cut(str(value))
    return value


def _cut(text: str) -> str:
    text = storable(text)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
