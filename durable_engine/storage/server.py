"""What the engine asks the Postgres server about itself, and how it recognises that the server is away."""

from __future__ import annotations

import django.db
import psycopg

from durable_engine.storage.connection import EngineConnection

# What a broken or impossible connection raises. A cancelled statement or a lock time-out is among them too.
DATABASE_ERRORS = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    django.db.OperationalError,
    django.db.InterfaceError,
)


def is_away(problem: BaseException) -> bool:
    """Whether an exception means that Postgres can't be used now, as opposed to a failure of one statement."""
    if not isinstance(problem, DATABASE_ERRORS):
        return False
    cause = problem if isinstance(problem, psycopg.Error) else problem.__cause__
    state = getattr(cause, "sqlstate", None)
    # No state: the client lost the connection. Otherwise connection exceptions, no resources, and shutdowns.
    return state is None or state[:2] in {"08", "53"} or state[:3] == "57P"


def seconds_since_server_start(connection: EngineConnection) -> float:
    """How long the server has been up, by its own clock."""
    row = connection.execute(
        "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8"
    ).fetchone()
    return float(row[0]) if row else 0.0
