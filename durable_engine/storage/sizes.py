"""What the database holds and how it is: sizes, dead rows, long transactions. Reads Postgres's own bookkeeping."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

_TABLES: Final = """
SELECT c.relname, c.reltuples::bigint, pg_table_size(c.oid), pg_indexes_size(c.oid),
       coalesce(s.n_dead_tup, 0), greatest(s.last_vacuum, s.last_autovacuum)
FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
  AND (c.relname LIKE 'durable\\_%%' OR c.relname LIKE 'approval\\_%%')
ORDER BY pg_total_relation_size(c.oid) DESC
"""
_DATABASE: Final = """
SELECT current_setting('server_version'), pg_database_size(current_database()),
       (SELECT min(closed_at) FROM durable_execution WHERE closed_at IS NOT NULL),
       (SELECT min(xact_start) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'),
       current_setting('synchronous_commit')
"""


@dataclass(frozen=True, slots=True)
class TableSize:
    """One table. `rows` is Postgres's estimate, -1 before it has counted; sizes are bytes."""

    name: str
    rows: int
    table_bytes: int
    index_bytes: int
    dead_rows: int
    vacuumed_at: datetime | None

    @property
    def total_bytes(self) -> int:
        """Table and indexes."""
        return self.table_bytes + self.index_bytes


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The server's version, the database's size in bytes, what is oldest in it."""

    version: str
    bytes: int
    oldest_closed_at: datetime | None
    oldest_transaction_at: datetime | None
    synchronous_commit: str


def table_sizes() -> list[TableSize]:
    """The tables of the engine and of the approvals, the largest first."""
    return [TableSize(*row) for row in _rows(_TABLES)]


def database_state() -> DatabaseState:
    """How the database is."""
    return DatabaseState(*_rows(_DATABASE)[0])


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {})
        return list(cursor.fetchall())
