"""What a list that is on somebody's screen needs to stay true: its own rows again, and how many are newer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from durable_engine.models import Execution
from durable_engine.queries.executions import ROW_FIELDS, ExecutionFilters, ExecutionRow, _matching

NEW_CAP: Final = 100


def rows_of(execution_ids: Sequence[UUID]) -> list[ExecutionRow]:
    """Return these executions in the order of the ids, whatever has become of them; deleted ones are left out."""
    found = {
        row[0]: ExecutionRow(*row) for row in Execution.objects.filter(pk__in=execution_ids).values_list(*ROW_FIELDS)
    }
    return [found[execution_id] for execution_id in execution_ids if execution_id in found]


def count_newer(filters: ExecutionFilters, created_at: datetime, execution_id: UUID) -> int:
    """Return how many executions that match come before this one in a list; 101 stands for more than 100."""
    newer = Q(created_at__gte=created_at) & (
        Q(created_at__gt=created_at) | Q(created_at=created_at, pk__gt=execution_id)
    )
    return Execution.objects.filter(_matching(filters), newer).order_by()[: NEW_CAP + 1].count()
