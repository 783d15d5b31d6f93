"""The database's clock, which alone decides what is due; tests of handlers can move it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection


class _Offset:
    """How far `approvals.testing.VirtualClock` has moved this process's clock."""

    value = timedelta()


offset = _Offset()


def database_now() -> datetime:
    """Ask the database for the time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    return moved(now)


def moved(now: datetime) -> datetime:
    """Return a time that the database gave, as the virtual clock shows it."""
    return now + offset.value
