"""The database clock in ORM expressions: the only one that decides what is due."""

from __future__ import annotations

from datetime import datetime

from django.db import connection
from django.db.models import DateTimeField, Func


class ClockTimestamp(Func):
    """The time at which the expression is evaluated. `Now()` is the time the transaction or statement began."""

    function = "clock_timestamp"
    arity = 0
    output_field = DateTimeField()


def database_now() -> datetime:
    """Return the time of the database, asked for now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        row = cursor.fetchone()
    assert row is not None  # noqa: S101 - for the types: it selects no table
    now: datetime = row[0]
    return now
