"""The floor: what one durable write costs on this server when nothing but the write is done."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg

from benchmarks.durable_functions import PAYLOAD

TABLE: Final = "bench_floor"


class NotDurable(Exception):
    """The server would lose commits in a crash, so its figures would say nothing."""


class Floor:
    """A bare psycopg connection that inserts the payload of a step and commits, one statement at a time."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=1)
        for setting in ("fsync", "synchronous_commit"):
            if self._value(f"SHOW {setting}") in {"off", "local"}:
                raise NotDurable(f"{setting} is off on this server: switch it on, or measure another one")
        self._connection.execute(
            f"CREATE TABLE {TABLE} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text NOT NULL)"
        )
        self._payload = json.dumps({**PAYLOAD, "at": time.time_ns()})
        self.commit_ms(50)  # the first ones pay for the cold cache

    def commit_ms(self, commits: int) -> float:
        """Return the median duration of one insert-and-commit, in milliseconds."""
        return statistics.median(_timed_ms(self._insert) for _ in range(commits))

    def wal_bytes(self, commits: int) -> float:
        """Return how much log one insert-and-commit writes."""
        before = self.wal_position()
        for _ in range(commits):
            self._insert()
        return (self.wal_position() - before) / commits

    def wal_position(self) -> int:
        """Return how much log the server has written since it was made."""
        return int(self._value("SELECT pg_current_wal_insert_lsn() - '0/0'"))

    def server_version(self) -> str:
        """Return the version of the server."""
        return str(self._value("SHOW server_version"))

    def execute(self, statement: psycopg.sql.SQL | psycopg.sql.Composed) -> None:
        """Run a statement for preparation or cleaning up."""
        self._connection.execute(statement)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _insert(self) -> None:
        self._connection.execute(f"INSERT INTO {TABLE} (payload) VALUES (%s)", (self._payload,))

    def _value(self, query: str) -> Any:
        row = self._connection.execute(query).fetchone()
        return None if row is None else row[0]


def _timed_ms(action: Callable[[], None]) -> float:
    began = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - began) / 1e6
