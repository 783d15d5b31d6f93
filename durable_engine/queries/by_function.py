"""The executions of one function, as AWS clients list them: filtered, either way round, page after page."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from durable_engine.models import Execution

_FIELDS: Final = ("id", "function", "name", "status", "created_at", "closed_at")


@dataclass(frozen=True, slots=True)
class ListedExecution:
    """One execution of a list."""

    id: UUID
    function: str
    name: str
    status: str
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class FunctionFilters:
    """What a list is narrowed to. `started_after` and `started_before` exclude that moment itself."""

    function: str
    version: int | None = None
    name: str | None = None
    statuses: Collection[str] = ()
    started_after: datetime | None = None
    started_before: datetime | None = None


def executions_of_function(
    filters: FunctionFilters,
    *,
    after: tuple[datetime, UUID] | None = None,
    limit: int = 100,
    oldest_first: bool = False,
) -> list[ListedExecution]:
    """Return at most `limit` executions behind the one started at `after`, newest first unless told otherwise.

    One query that costs the same at any depth. Executions started meanwhile neither repeat nor hide another.
    """
    rows = Execution.objects.visible().filter(_matching(filters))
    if after is not None:
        side = "gt" if oldest_first else "lt"
        at, last_id = after
        # The first condition is implied by the second; with it Postgres goes straight to the place in the index.
        rows = rows.filter(**{f"created_at__{side}e": at}).filter(
            Q(**{f"created_at__{side}": at}) | Q(**{"created_at": at, f"id__{side}": last_id})
        )
    order = ("created_at", "id") if oldest_first else ("-created_at", "-id")
    return [ListedExecution(*row) for row in rows.order_by(*order).values_list(*_FIELDS)[:limit]]


def _matching(filters: FunctionFilters) -> Q:
    condition = Q(function=filters.function)
    if filters.version is not None:
        condition &= Q(version=filters.version)
    if filters.name is not None:
        condition &= Q(name=filters.name)
    if filters.statuses:
        condition &= Q(status__in=filters.statuses)
    if filters.started_after is not None:
        condition &= Q(created_at__gt=filters.started_after)
    if filters.started_before is not None:
        condition &= Q(created_at__lt=filters.started_before)
    return condition
