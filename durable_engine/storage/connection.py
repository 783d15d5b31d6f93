"""The engine's own connection to Django's database: autocommit, outside Django's per-thread registry.

Step bodies open and close Django's connection as they like; checkpoints must neither share its transactions nor be
closed by Celery's clean-up after a task.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections

EngineConnection = psycopg.Connection[tuple[Any, ...]]

# A checkpoint is one statement: prepare it at its second use.
PREPARE_THRESHOLD = 1


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
    connection.execute("SET TIME ZONE 'UTC'")
    return connection


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
