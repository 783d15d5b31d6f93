"""What handlers logged and printed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from durable_engine.models import LogRecord


def log_records(
    execution_id: UUID,
    *,
    after: int = 0,
    limit: int,
    reverse: bool = False,
    levels: Collection[str] = (),
    operation_id: str = "",
) -> Sequence[LogRecord]:
    """Return records behind a position, oldest first or, with `reverse`, newest first; of some levels or operation."""
    found = LogRecord.objects.filter(execution_id=execution_id)
    if after:
        found = found.filter(position__lt=after) if reverse else found.filter(position__gt=after)
    if levels:
        found = found.filter(level__in=levels)
    if operation_id:
        found = found.filter(operation_id=operation_id)
    return list(found.order_by("-position" if reverse else "position")[:limit])


def last_position(execution_id: UUID) -> int:
    """Return the position of the newest record, 0 when there is none. One indexed read."""
    newest = LogRecord.objects.filter(execution_id=execution_id).order_by("-position")
    return newest.values_list("position", flat=True).first() or 0
