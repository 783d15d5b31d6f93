"""What the executions list shows, and what its refresh sends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zlib import crc32

from django.urls import reverse
from django.utils import timezone

from dashboard.banner import PAUSES
from dashboard.filters import ListFilters
from durable_engine.queries.executions import ExecutionRow, capped_status_counts, list_executions
from durable_engine.queries.list_refresh import NEW_CAP, count_newer, rows_of
from durable_engine.services.functions import function_names

ROWS_A_PAGE = 50


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line. `version` changes when anything shown of it does; `note` says what is most worth knowing."""

    execution: ExecutionRow
    note: str
    version: str

    @property
    def name_length(self) -> int:
        """How much of the name is shown: of a generated one, which is the id, its ends are enough."""
        return 19 if self.execution.name == str(self.execution.id) else 40


def list_page(filters: ListFilters, cursor: str | None, *, with_messages: bool) -> dict[str, Any]:
    """Return the context of one page."""
    page = list_executions(filters.for_query(), cursor, ROWS_A_PAGE)
    rows = _rows(page.items, with_messages)
    return {
        **_refreshed(filters, rows, new_count=0, on_first_page=page.previous is None),
        "nothing_yet": not rows and not filters.is_active,
        "function_names": function_names(),
        "chips": filters.chips(),
        "newer_url": _page_url(filters, page.previous),
        "older_url": _page_url(filters, page.next),
    }


def list_refresh(
    filters: ListFilters, ids: Sequence[UUID], on_first_page: bool, *, with_messages: bool
) -> dict[str, Any]:
    """Return the context of a refresh of the rows on screen: the same rows, and how many new ones match."""
    rows = _rows(rows_of(ids), with_messages)
    new_count = _new_count(filters, rows) if on_first_page else 0
    return _refreshed(filters, rows, new_count, on_first_page)


def _new_count(filters: ListFilters, rows: Sequence[ListRow]) -> int:
    if not rows:
        return len(list_executions(filters.for_query(), None, NEW_CAP).items)
    newest = rows[0].execution
    return count_newer(filters.for_query(), newest.created_at, newest.id)


def _refreshed(filters: ListFilters, rows: Sequence[ListRow], new_count: int, on_first_page: bool) -> dict[str, Any]:
    counts = capped_status_counts()
    seen = ".".join(row.version for row in rows)
    return {
        "section": "executions",
        "filters": filters,
        "rows": rows,
        "status_choices": filters.status_choices(counts),
        "new_count": new_count,
        "new_cap": NEW_CAP,
        "first_page": _list_url(filters.query_string),
        "version": f"{crc32(f'{seen} {new_count} {sorted(counts.items())}'.encode()):x}",
        "poll_url": _poll_url(filters, rows, on_first_page),
        "server_now": timezone.now().isoformat(),
    }


def _rows(executions: Sequence[ExecutionRow], with_messages: bool) -> list[ListRow]:
    rows = []
    for execution in executions:
        note = _note(execution, with_messages)
        rows.append(ListRow(execution, note, f"{crc32(f'{execution.status} {note}'.encode()):x}"))
    return rows


def _note(execution: ExecutionRow, with_messages: bool) -> str:
    if execution.error_type:
        message = f": {execution.error_message}" if with_messages and execution.error_message else ""
        return f"{execution.error_type}{message}"
    if execution.status == "PAUSED":
        return PAUSES.get(execution.pause_kind, "Paused.")
    return execution.status_text


def _poll_url(filters: ListFilters, rows: Sequence[ListRow], on_first_page: bool) -> str:
    parameters = {"ids": ",".join(row.execution.id.hex for row in rows), "on_first_page": int(on_first_page)}
    query = "&".join(filter(None, (filters.query_string, urlencode(parameters, safe=","))))
    return f"{reverse('dashboard:execution-list-poll')}?{query}"


def _page_url(filters: ListFilters, cursor: str | None) -> str:
    if cursor is None:
        return ""
    return _list_url("&".join(filter(None, (filters.query_string, urlencode({"cursor": cursor})))))


def _list_url(query: str) -> str:
    return reverse("dashboard:execution-list") + (f"?{query}" if query else "")
