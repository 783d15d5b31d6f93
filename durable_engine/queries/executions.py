"""Executions for people and programs that look: lists, one execution, its input and its outcome. No locks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from durable_engine.models import Event, Execution, ExecutionStatus
from durable_engine.models.execution import CLOSED_STATUSES
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.paging import Page, page_of

COUNT_CAP: Final = 10_000
LONGEST_NAME: Final = 64
ID_PREFIX: Final = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class ExecutionFilters:
    """What a list is narrowed to. `text` is the beginning of a name or an id (its first 4 digits at least)."""

    status: str | None = None
    function: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """One line of a list."""

    id: UUID
    function: str
    version: int
    name: str
    status: str
    status_text: str
    tags: Mapping[str, str]
    created_at: datetime
    closed_at: datetime | None
    ready_at: datetime | None
    wake_at: datetime | None
    crash_count: int
    pause_kind: str
    error_type: str
    error_message: str


@dataclass(frozen=True, slots=True)
class ExecutionSummary(ExecutionRow):
    """One execution, all but its payloads."""

    queue: str
    fence: int
    signal: int
    last_event_id: int
    last_event_at: datetime | None
    worker_id: UUID | None
    invocation_id: UUID | None
    invocation_started_at: datetime | None
    expires_at: datetime | None
    paused_at: datetime | None
    pause_reason: str
    superseded_by: UUID | None

    @property
    def is_closed(self) -> bool:
        """Whether the status is final."""
        return self.status in CLOSED_STATUSES

    @property
    def revision(self) -> str:
        """See `execution_revision`."""
        return _revision(self.last_event_id, self.fence, self.signal, self.status, self.crash_count)


@dataclass(frozen=True, slots=True)
class ExecutionOutcome:
    """How an execution ended: `result` is the stored text of a success, `error` what ended it otherwise."""

    status: str
    result: str | None = None
    error: ErrorView | None = None


ROW_FIELDS: Final = tuple(field.name for field in fields(ExecutionRow))
SUMMARY_FIELDS: Final = tuple(field.name for field in fields(ExecutionSummary))
REVISION_FIELDS: Final = ("last_event_id", "fence", "signal", "status", "crash_count")


def list_executions(
    filters: ExecutionFilters | None = None, cursor: str | None = None, limit: int = 50
) -> Page[ExecutionRow]:
    """Return a page of executions, newest first, in one query that costs the same at any depth."""
    rows = Execution.objects.filter(_matching(filters or ExecutionFilters()))
    listed = rows.values_list(*ROW_FIELDS, named=True)
    return page_of(listed, cursor, limit, field="created_at", descending=True, make=lambda row: ExecutionRow(*row))


def capped_status_counts() -> dict[str, int]:
    """Return how many executions have each status; 10,001 stands for more than 10,000."""
    return {
        status.value: Execution.objects.filter(status=status).order_by()[: COUNT_CAP + 1].count()
        for status in ExecutionStatus
    }


def execution_summary(execution_id: UUID) -> ExecutionSummary | None:
    """Return one execution, or None if there is none with this id."""
    row = Execution.objects.filter(pk=execution_id).values_list(*SUMMARY_FIELDS).first()
    return None if row is None else ExecutionSummary(*row)


def execution_revision(execution_id: UUID) -> str | None:
    """Return a text that changes whenever the execution does, by one indexed read; None if there is none."""
    row = Execution.objects.filter(pk=execution_id).values_list(*REVISION_FIELDS).first()
    return None if row is None else _revision(*row)


def revision_of(execution: Execution) -> str:
    """Return the revision of a row that was read already."""
    return _revision(*(getattr(execution, field) for field in REVISION_FIELDS))


def find_execution(text: str) -> list[UUID]:
    """Return the ids of at most two executions whose id or name is, or whose id begins with, `text`."""
    try:
        exact = Execution.objects.filter(Q(pk=UUID(text)))
    except ValueError:
        exact = Execution.objects.filter(_with_text(text, exact_name=True))
    return list(exact.values_list("pk", flat=True)[:2])


def input_of(execution_id: UUID) -> str | None:
    """Return the text of the input, unchanged; None if there is no such execution."""
    return Event.objects.filter(execution_id=execution_id, event_id=1).values_list("payload", flat=True).first()


def outcome_of(execution_id: UUID) -> ExecutionOutcome | None:
    """Return how the execution ended; None while it is live, and if there is no such execution."""
    closed = Execution.objects.filter(pk=execution_id, closed_at__isnull=False)
    row = closed.values_list("status", "last_event_id").first()
    if row is None:
        return None
    status, last_event_id = row
    # The terminal event is the last one: nothing is appended to a closed execution.
    payload, error = Event.objects.values_list("payload", "error").get(
        execution_id=execution_id, event_id=last_event_id
    )
    return ExecutionOutcome(status, payload, None if error is None else ErrorView.of_json(error))


def _matching(filters: ExecutionFilters) -> Q:
    condition = Q()
    if filters.status:
        condition &= Q(status=filters.status)
    if filters.function:
        condition &= Q(function=filters.function)
    if filters.text:
        condition &= _with_text(filters.text)
    return condition


def _with_text(text: str, *, exact_name: bool = False) -> Q:
    # Both ends of the alternative have an index: names by pattern, ids by range.
    condition = Q(name=text) if exact_name else Q(name__startswith=text[: LONGEST_NAME + 1])
    digits = text.strip().lower().replace("-", "")
    if ID_PREFIX.fullmatch(digits):
        condition |= Q(pk__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))
    return condition


def _revision(*values: Any) -> str:
    return ".".join(str(value) for value in values)
