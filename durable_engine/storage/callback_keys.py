"""Business keys of callbacks that are taken: what a statement that failed for one of them can still record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

from durable_engine.core.ports import CallbackKeyTaken
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.write_queue import Entry

T = TypeVar("T")

# The unique constraint of the table: what tells this failure from every other.
CONSTRAINT = "durable_callback_key"

_OWNERS = """
SELECT key, execution_id, operation_id FROM durable_callback
WHERE status = 'STARTED' AND key_function = %s AND key = ANY(%s)
"""


def without_taken_keys(
    entries: Sequence[Entry], send: Callable[[Sequence[Entry]], T], connections: ConnectionHolder, function: str
) -> T:
    """Send the entries in one statement, and again without those whose key is taken, which are given their problem."""
    while True:
        try:
            return send(entries)
        except psycopg.errors.UniqueViolation as violation:
            if violation.diag.constraint_name != CONSTRAINT:
                raise
            # When it is free again by now, all are sent again.
            entries = _refuse(entries, function, _owners(connections, function, entries))


def _refuse(entries: Sequence[Entry], function: str, owners: dict[str, str]) -> list[Entry]:
    kept: list[Entry] = []
    for entry in entries:
        taken = next((key for key in _keys(entry) if key in owners), None)
        if taken is None:
            kept.append(entry)
            # Two branches may have asked for one key at the same time: the first has it.
            owners |= dict.fromkeys(_keys(entry), "another branch")
        else:
            entry.problem = CallbackKeyTaken(
                f"the key {taken!r} belongs to an open callback of {function!r} already: {owners[taken]}. "
                "Complete that one first, or use another key"
            )
    return kept


def _owners(connections: ConnectionHolder, function: str, entries: Sequence[Entry]) -> dict[str, str]:
    keys = [key for entry in entries for key in _keys(entry)]

    def read() -> list[tuple[Any, ...]]:
        return connections.get().execute(_OWNERS, (function, keys)).fetchall()

    rows = connections.retrying(read, is_over=lambda: False)
    return {key: f"operation {operation} of execution {execution}" for key, execution, operation in rows}


def _keys(entry: Entry) -> list[str]:
    return [callback.key for callback in entry.batch.callbacks if callback.key is not None]
