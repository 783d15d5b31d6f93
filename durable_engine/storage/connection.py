"""The engine's own connection to Django's database: autocommit, outside Django's per-thread registry.

Step bodies open and close Django's connection as they like; checkpoints must neither share its transactions nor be
closed by Celery's clean-up after a task.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

EngineConnection = psycopg.Connection[tuple[Any, ...]]

# A checkpoint is one statement: prepare it at its second use.
PREPARE_THRESHOLD = 1

# Each of the engine's statements has one index to go by and is run thousands of times: planning it for its values again
# and again took longer than running it, and a plan made while a table was empty must not scan it when it is full.
SETTINGS = "SET TIME ZONE 'UTC'; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"


def open_engine_connection() -> EngineConnection:
    """Open a connection to the engine's database, in autocommit mode.

    Raises:
        psycopg.OperationalError: Postgres can't be reached.
    """
    wrapper = connections[DEFAULT_DB_ALIAS]
    params = wrapper.get_connection_params()
    for django_only in ("cursor_factory", "context", "prepare_threshold", "pool"):
        params.pop(django_only, None)
    connection = psycopg.connect(**params, autocommit=True, prepare_threshold=PREPARE_THRESHOLD)
    connection.execute(SETTINGS)
    return connection


# How long a lost connection is retried before the invocation is abandoned. Replaying later loses nothing; giving up at
# the first blip would run every unfinished step of the process twice.
RECONNECT_SECONDS = 60.0
RECONNECT_FIRST_DELAY = 0.05
RECONNECT_LAST_DELAY = 2.0

T = TypeVar("T")


class ConnectionHolder:
    """One engine connection of one process, reopened after a failure. Callers hold their own lock around its use."""

    def __init__(self) -> None:
        self._connection: EngineConnection | None = None

    def get(self) -> EngineConnection:
        """Return the open connection, opening one when there is none.

        Raises:
            psycopg.OperationalError: Postgres can't be reached.
        """
        if self._connection is None or self._connection.closed:
            self._connection = open_engine_connection()
        return self._connection

    def discard(self) -> None:
        """Close the connection after a failure; the next `get` opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def retrying(self, action: Callable[[], T], *, is_over: Callable[[], bool]) -> T:
        """Repeat an idempotent action while Postgres is away, with jittered back-off.

        Raises:
            psycopg.OperationalError: it is away for longer than a minute, or `is_over` says that nobody cares.
        """
        deadline = time.monotonic() + RECONNECT_SECONDS
        delay = RECONNECT_FIRST_DELAY
        while True:
            try:
                return action()
            except psycopg.OperationalError:
                self.discard()
                if is_over() or time.monotonic() > deadline:
                    raise
                time.sleep(delay * (0.5 + random.random() / 2))  # noqa: S311
                delay = min(delay * 2, RECONNECT_LAST_DELAY)
