"""Executions that failed, timed out or were paused by the engine are put into groups of what looks alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from durable_engine.scheduler.sweep import Round, repeat_briefly
from durable_engine.services.fingerprints import Fingerprint, fingerprint
from durable_engine.storage import failures, feeds
from durable_engine.storage.connection import EngineConnection
from durable_engine.storage.failures import FailureRow

EVERY_SECONDS = 5.0
BATCH = 500
# While nothing fails the position need not move at each round, only often enough that little is read again.
MOVE_AT_LEAST_EVERY = timedelta(minutes=1)
LAST_ID = UUID(int=2**128 - 1)


def sweep(this: Round) -> None:
    """Group what is new."""
    for feed in (failures.CLOSED, failures.PAUSED):
        repeat_briefly(partial(group_batch, this.connection, feed), BATCH)


def group_batch(connection: EngineConnection, feed: str) -> int:
    """Group up to `BATCH` more failures of a feed; return how many there were. None is counted twice."""
    with connection.transaction():
        position = feeds.take_feed(connection, feed)
        if position is None:
            return 0
        horizon = feeds.horizon(connection)
        rows = failures.failures_after(connection, feed, position, horizon, BATCH)
        if rows:
            marks = [_fingerprint(row) for row in rows]
            digests = [mark.digest for mark in marks]
            failures.add_failures(connection, rows, _groups(rows, marks, digests), digests)
        if len(rows) == BATCH:
            feeds.move_feed(connection, feed, feeds.Position(rows[-1].at, rows[-1].execution_id))
        elif rows or horizon - position.at > MOVE_AT_LEAST_EVERY:
            feeds.move_feed(connection, feed, feeds.Position(horizon, LAST_ID))
        return len(rows)


def _fingerprint(row: FailureRow) -> Fingerprint:
    return fingerprint(
        kind=row.kind,
        function=row.function,
        error_text=row.error,
        operation=row.operation,
        inner_text=row.operation_error,
    )


def _groups(rows: Sequence[FailureRow], marks: Sequence[Fingerprint], digests: Sequence[str]) -> list[dict[str, Any]]:
    """The groups of a batch, each once; the rows are in the order of time."""
    groups: dict[str, dict[str, Any]] = {}
    for row, mark, digest in zip(rows, marks, digests, strict=True):
        group = groups.setdefault(
            digest,
            {
                "fingerprint": digest,
                "kind": mark.kind,
                "function": mark.function,
                "operation": mark.operation,
                "error_type": mark.error_type,
                "frame": mark.frame,
                "message_shape": mark.message_shape,
                "first_seen": row.at,
                "first_version": row.version,
                "count": 0,
            },
        )
        group |= {"last_seen": row.at, "last_version": row.version, "count": group["count"] + 1}
    return list(groups.values())
