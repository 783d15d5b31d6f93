"""How executions belong together: who invoked which, and which came of which. No locks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final
from uuid import UUID

from durable_engine.models import Execution
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.paging import Page, page_of

# Enough to say the first few and that there are more.
MOST_OPEN_CHILDREN: Final = 10


@dataclass(frozen=True, slots=True)
class RelatedExecution:
    """An execution beside another one. `parent_operation_id` is the invoke that started it, None when nobody did.

    `origin_kind` says how it came of another one: redrive, rewind, fork, rerun; empty when it did not.
    """

    id: UUID
    function: str
    version: int
    name: str
    status: str
    created_at: datetime
    closed_at: datetime | None
    parent_operation_id: str | None
    origin_kind: str

    @property
    def has_name(self) -> bool:
        """Whether somebody named it; otherwise its id is its name."""
        return self.name != str(self.id)


_FIELDS: Final = tuple(field.name for field in fields(RelatedExecution))


def parent_of(execution: ExecutionSummary) -> RelatedExecution | None:
    """Return the execution that invoked this one; None when nobody did, or when it is deleted. At most one query."""
    if execution.parent_execution_id is None:
        return None
    row = Execution.objects.visible().filter(pk=execution.parent_execution_id).values_list(*_FIELDS).first()
    return None if row is None else RelatedExecution(*row)


def children_of(execution_id: UUID, cursor: str | None = None, limit: int = 50) -> Page[RelatedExecution]:
    """Return a page of the executions that this one invoked, in the order it did, in one query."""
    rows = Execution.objects.visible().filter(parent_execution_id=execution_id).values_list(*_FIELDS, named=True)
    return page_of(rows, cursor, limit, field="created_at", descending=False, make=lambda row: RelatedExecution(*row))


def open_children(execution_id: UUID) -> list[RelatedExecution]:
    """Return the first few of the executions that this one invoked and that have not ended."""
    # What its own history names: also one that may not be opened.
    rows = Execution.objects.filter(parent_execution_id=execution_id, closed_at=None).order_by("created_at", "id")
    return [RelatedExecution(*row) for row in rows.values_list(*_FIELDS)[:MOST_OPEN_CHILDREN]]


def origin_of(execution: ExecutionSummary) -> RelatedExecution | None:
    """Return the execution that this one came of; None when there is none, or when it is deleted. At most one query."""
    if execution.origin_id is None:
        return None
    row = Execution.objects.visible().filter(pk=execution.origin_id).values_list(*_FIELDS).first()
    return None if row is None else RelatedExecution(*row)


def copies_of(execution_id: UUID, cursor: str | None = None, limit: int = 50) -> Page[RelatedExecution]:
    """Return a page of the executions that came of this one: redriven, rewound, forked, run again. In one query."""
    rows = Execution.objects.visible().filter(origin_id=execution_id).values_list(*_FIELDS, named=True)
    return page_of(rows, cursor, limit, field="created_at", descending=False, make=lambda row: RelatedExecution(*row))
