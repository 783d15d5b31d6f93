"""Statements written by hand on Django's connection, in its transaction, planned once for each session.

Django lets the client put values into statements, so Postgres plans each anew, which for statements of several parts
takes longer than running them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection


def fetch_prepared(sql: str, params: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows. Its text must be one of few: each is prepared for its session.

    Raises:
        django.db.Error: as Django's own cursor raises it.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        return cursor.execute(sql, params, prepare=True).fetchall()
