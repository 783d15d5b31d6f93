"""Reads an API key: once for every request, so in one plain statement."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, connection


class StoredKey(NamedTuple):
    """A key's row, with what the database clock says about it."""

    name: str
    scopes: str  # JSON text, as are the functions
    functions: str
    user_id: int | None
    requests_per_second: int | None
    secret: bytes
    previous_secret: bytes | None
    revoked_at: datetime | None
    is_expired: bool
    use_is_noted: bool


_READ = """
SELECT name, scopes::text, functions::text, user_id, requests_per_second, secret,
       CASE WHEN previous_expires_at > clock_timestamp() THEN previous_secret END, revoked_at,
       coalesce(expires_at <= clock_timestamp(), false),
       coalesce(last_used_at > clock_timestamp() - %s * interval '1 second', false)
FROM durable_api_key WHERE access_key_id = %s
"""


def read_key(access_key_id: str, noted_seconds: float) -> StoredKey | None:
    """Return the key, or None. Its use is noted when it was used in the last `noted_seconds`.

    Outside a transaction this is also the health check of the connection: a broken one is opened anew.
    """
    if not connection.in_atomic_block:
        # Django would ask with a statement of its own first.
        connection.health_check_done = True  # type: ignore[attr-defined]
        try:
            return _read(access_key_id, noted_seconds)
        except (OperationalError, InterfaceError):
            connection.close()
    return _read(access_key_id, noted_seconds)


def _read(access_key_id: str, noted_seconds: float) -> StoredKey | None:
    with connection.cursor() as cursor:
        cursor.execute(_READ, [noted_seconds, access_key_id])
        row = cursor.fetchone()
    return None if row is None else StoredKey._make(row)
