"""Queries that people choose, kept from taking longer than a person waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import OperationalError, connection, transaction

# What Postgres calls a statement that was cancelled, here because its time was over.
QUERY_CANCELED: Final = "57014"


class TookTooLong(Exception):
    """The query would have taken longer than it may; narrow it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Let no query inside run longer than `seconds`.

    Raises:
        TookTooLong: one would have.
    """
    try:
        is_inside = connection.in_atomic_block
        with transaction.atomic(), connection.cursor() as cursor:
            limit = f"{round(seconds * 1000)}ms"
            cursor.execute(
                "SELECT current_setting('statement_timeout'), set_config('statement_timeout', %s, true)", [limit]
            )
            before = cursor.fetchone()[0]
            yield
            if is_inside:
                # In a caller's transaction the setting would outlive this block.
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])
    except OperationalError as problem:
        if getattr(problem.__cause__, "sqlstate", None) == QUERY_CANCELED:
            raise TookTooLong from None
        raise
