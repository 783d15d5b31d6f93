"""What a list that is on somebody's screen needs to stay true: its own rows again, and how many are newer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID
from zlib import crc32

from django.db.models import Q

from durable_engine.models import Execution, ExecutionStatus
from durable_engine.queries.executions import COUNT_CAP, REVISION_FIELDS, ROW_FIELDS, ExecutionRow
from durable_engine.queries.filters import ExecutionFilters, matching
from durable_engine.storage.listed import read_standing

NEW_CAP: Final = 100
# What a line says changes with one of these.
_SEEN_FIELDS: Final = (*REVISION_FIELDS, "wake_at", "status_text")


@dataclass(frozen=True, slots=True)
class ListStanding:
    """How a list stands: the version of its rows, how many newer ones match (101 for more than 100), the counts."""

    rows: str
    newer: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """What changes when anything of it does."""
        return f"{crc32(f'{self.rows} {self.newer} {sorted(self.counts.items())}'.encode()):x}"


def rows_of(execution_ids: Sequence[UUID]) -> list[ExecutionRow]:
    """Return these executions in the order of the ids, whatever has become of them; deleted ones are left out."""
    found = {
        row[0]: ExecutionRow(*row)
        for row in Execution.objects.visible().filter(pk__in=execution_ids).values_list(*ROW_FIELDS)
    }
    return [found[execution_id] for execution_id in execution_ids if execution_id in found]


def version_of(rows: Iterable[ExecutionRow]) -> str:
    """Return the version of rows that were read already, as `list_standing` has it."""
    return _version({row.id: tuple(getattr(row, name) for name in _SEEN_FIELDS) for row in rows})


def list_standing(
    execution_ids: Sequence[UUID],
    *,
    filters: ExecutionFilters | None = None,
    newest: tuple[datetime, UUID] | None = None,
    with_counts: bool = False,
) -> ListStanding:
    """Return how a list stands, in one statement.

    With `filters` it says how many match that come before `newest`, the time and id of the first row; of a list without
    rows how many match. `with_counts` counts all executions by status.
    """
    newer = None
    if filters is not None:
        newer = Execution.objects.visible().filter(matching(filters), _before(newest)).order_by()[: NEW_CAP + 1]
    statuses = [status.value for status in ExecutionStatus] if with_counts else []
    found, count, counts = read_standing(execution_ids, _SEEN_FIELDS, newer, statuses, COUNT_CAP + 1)
    return ListStanding(_version(found), count, counts)


def _before(newest: tuple[datetime, UUID] | None) -> Q:
    if newest is None:
        return Q()
    at, execution_id = newest
    return Q(created_at__gte=at) & (Q(created_at__gt=at) | Q(created_at=at, pk__gt=execution_id))


def _version(rows: Mapping[UUID, tuple[object, ...]]) -> str:
    return f"{crc32(repr(sorted((id.hex, *map(str, seen)) for id, seen in rows.items())).encode()):x}"
