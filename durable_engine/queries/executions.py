"""Executions for people and programs that look: lists, one execution, its input and its outcome. No locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery

from durable_engine.models import Event, Execution, ExecutionStatus, LogRecord
from durable_engine.models.execution import CLOSED_STATUSES
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.filters import ExecutionFilters, matching, with_text
from durable_engine.queries.paging import Page, page_of
from durable_engine.queries.search import search
from durable_engine.storage.counts import count_by_status

COUNT_CAP: Final = 10_000


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
    last_event_id: int
    fence: int
    signal: int

    @property
    def revision(self) -> str:
        """See `execution_revision`."""
        return _revision(*(getattr(self, field) for field in REVISION_FIELDS))


@dataclass(frozen=True, slots=True)
class ExecutionSummary(ExecutionRow):
    """One execution, all but its payloads."""

    queue: str
    last_event_at: datetime | None
    worker_id: UUID | None
    invocation_id: UUID | None
    invocation_started_at: datetime | None
    expires_at: datetime | None
    paused_at: datetime | None
    pause_reason: str
    superseded_by: UUID | None
    origin_id: UUID | None
    origin_kind: str
    parent_execution_id: UUID | None
    parent_operation_id: str | None
    concurrency_key: str | None

    @property
    def is_closed(self) -> bool:
        """Whether the status is final."""
        return self.status in CLOSED_STATUSES


@dataclass(frozen=True, slots=True)
class ExecutionOutcome:
    """How an execution ended: `result` is the stored text of a success, `error` what ended it otherwise.

    `continued_as`: its handler let another execution go on in its place, and the result will be that one's.
    """

    status: str
    result: str | None = None
    error: ErrorView | None = None
    continued_as: UUID | None = None


ROW_FIELDS: Final = tuple(field.name for field in fields(ExecutionRow))
SUMMARY_FIELDS: Final = tuple(field.name for field in fields(ExecutionSummary))
REVISION_FIELDS: Final = ("last_event_id", "fence", "signal", "status", "crash_count")


def list_executions(
    filters: ExecutionFilters | None = None, cursor: str | None = None, limit: int = 50
) -> Page[ExecutionRow]:
    """Return a page of executions, newest first, in one query that costs the same at any depth."""
    rows = Execution.objects.visible().filter(matching(filters or ExecutionFilters()))
    listed = rows.values_list(*ROW_FIELDS, named=True)
    return page_of(listed, cursor, limit, field="created_at", descending=True, make=_row)


def search_executions(
    filters: ExecutionFilters, cursor: str | None = None, limit: int = 50
) -> tuple[Page[ExecutionRow], int | None]:
    """Return a page as `list_executions` does, and how many match, at a bounded cost whatever is filtered by.

    Of conditions that no index helps a stretch of the list is looked through: then the page may be short, its
    `searched_to` says how far it looked, and its cursor leads on. The number is one above `COUNT_CAP` for more than
    that, and None where it would take long to count.
    """
    found = search(filters)
    rows = found.rows.values_list(*ROW_FIELDS, named=True)
    page = page_of(rows, cursor, limit, field="created_at", descending=True, make=_row, walk=found.walk)
    if page.next is None and page.previous is None:
        return page, len(page.items)
    return page, None if found.walk else found.rows.order_by()[: COUNT_CAP + 1].count()


def capped_status_counts() -> dict[str, int]:
    """Return how many executions have each status; 10,001 stands for more than 10,000."""
    return count_by_status([status.value for status in ExecutionStatus], COUNT_CAP + 1)


def execution_summary(execution_id: UUID) -> ExecutionSummary | None:
    """Return one execution, or None if there is none with this id."""
    row = Execution.objects.visible().filter(pk=execution_id).values_list(*SUMMARY_FIELDS).first()
    return None if row is None else ExecutionSummary(*row)


def execution_revision(execution_id: UUID, *, with_logs: bool = False) -> str | None:
    """Return a text that changes whenever the execution does, by one indexed read; None if there is none.

    `with_logs`: also whenever it logs, which moves no execution.
    """
    newest = LogRecord.objects.filter(execution_id=OuterRef("pk")).order_by("-position").values("position")[:1]
    seen = [Subquery(newest)] if with_logs else []
    row = Execution.objects.visible().filter(pk=execution_id).values_list(*REVISION_FIELDS, *seen).first()
    return None if row is None else _revision(*row)


def revision_of(execution: Execution) -> str:
    """Return the revision of a row that was read already."""
    return _revision(*(getattr(execution, field) for field in REVISION_FIELDS))


def find_execution(text: str) -> list[UUID]:
    """Return the ids of at most two executions whose id or name is, or whose id begins with, `text`."""
    try:
        exact = Execution.objects.visible().filter(Q(pk=UUID(text)))
    except ValueError:
        exact = Execution.objects.visible().filter(with_text(text, exact_name=True))
    return list(exact.values_list("pk", flat=True)[:2])


def find_operations(execution_id: UUID, text: str) -> list[str]:
    """Return the id of the operation that has `text` as its id, or the ids of all that have it as their name."""
    events = Event.objects.filter(execution_id=execution_id, operation_id__isnull=False)
    by_id = events.filter(operation_id=text)
    found = by_id if by_id.exists() else events.filter(name=text)
    return [id for id in found.order_by("operation_id").values_list("operation_id", flat=True).distinct() if id]


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
    payload, error, details = Event.objects.values_list("payload", "error", "details").get(
        execution_id=execution_id, event_id=last_event_id
    )
    return ExecutionOutcome(
        status,
        payload,
        None if error is None else ErrorView.of_json(error),
        UUID(details["continued_as"]) if details and "continued_as" in details else None,
    )


def newest_of(execution_id: UUID) -> UUID:
    """Return the execution that goes on in this one's place, or did last; itself unless it continued as new."""
    while (outcome := outcome_of(execution_id)) is not None and outcome.continued_as is not None:
        execution_id = outcome.continued_as
    return execution_id


def _row(values: tuple[Any, ...]) -> ExecutionRow:
    return ExecutionRow(*values)


def _revision(*values: Any) -> str:
    return ".".join(str(value) for value in values)
