"""How many executions are on which version of which function. Reads every live row: for commands, not for pages."""

from __future__ import annotations

from django.db import connection

_LIVE = """
SELECT function, version, count(*) FROM durable_execution WHERE closed_at IS NULL GROUP BY function, version
"""


def live_by_version() -> dict[tuple[str, int], int]:
    """Return the number of executions that have not ended, by function and version."""
    with connection.cursor() as cursor:
        cursor.execute(_LIVE)
        return {(function, version): count for function, version, count in cursor.fetchall()}
