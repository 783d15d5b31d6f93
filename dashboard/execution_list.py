"""What the executions list shows, and what its refresh sends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zlib import crc32

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from dashboard.banner import PAUSES
from dashboard.filters import PERIODS, WAITING_LABELS, ListFilters, parse_moment
from durable_engine.queries.executions import ExecutionRow, capped_status_counts, search_executions
from durable_engine.queries.limited import TookTooLong, at_most
from durable_engine.queries.list_refresh import NEW_CAP, ListStanding, list_standing, rows_of, version_of
from durable_engine.queries.list_waits import ListWait, waits_of
from durable_engine.queries.paging import Page
from durable_engine.queries.search import MOST_WALKED
from durable_engine.services.functions import function_names

ROWS_A_PAGE = 50
MOST_ROWS = 100  # of a refresh
MOST_NOTE = 120
# A filter that no index helps, on a large table: better to say so than to let somebody wait.
MOST_SECONDS = 3.0
MOST_COUNT_SECONDS = 0.5
WAIT_WORDS = {
    "retry": ("“{}”", "next attempt"),
    "wait": ("Waits for “{}”", "due"),
    "condition": ("Waits for the condition “{}”", "next check"),
    "callback": ("Waits for the callback “{}”", "expires"),
}
LAST_ID = UUID(int=2**128 - 1)
NOTHING: Page[ExecutionRow] = Page((), None, None)


@dataclass(frozen=True, slots=True)
class ListRow:
    """One line. `version` changes when anything shown of it does; `note` says what is most worth knowing.

    `until` is when what it waits for ends, with the word before it.
    """

    execution: ExecutionRow
    note: str
    until_word: str
    until: datetime | None
    is_failing: bool
    version: str

    @property
    def has_generated_name(self) -> bool:
        """Whether nobody gave it a name, so that it is its id."""
        return self.execution.name == str(self.execution.id)

    @property
    def name_length(self) -> int:
        """How much of the name is shown: of a generated one its ends are enough."""
        return 19 if self.has_generated_name else 40

    @property
    def short_note(self) -> str:
        """As much of the note as a line shows."""
        return self.note if len(self.note) <= MOST_NOTE else f"{self.note[: MOST_NOTE - 1]}…"


@dataclass(frozen=True, slots=True)
class Shown:
    """The rows on somebody's screen.

    `newest` is when the first one began, without rows when the page was made, or None where nothing at all matched.
    On the first page nothing of the list comes before them.
    """

    ids: Sequence[UUID]
    newest: datetime | None
    is_first_page: bool

    @classmethod
    def of_request(cls, parameters: QueryDict) -> "Shown":
        """Read the query string of a refresh; what can't be read is left out."""
        newest = parse_moment(parameters.get("newest", ""))
        ids = list(_ids(parameters.get("ids", "")))
        return cls(ids, newest, is_first_page="newest" in parameters and (newest is not None or not ids))

    @property
    def query(self) -> str:
        """The query string for a refresh."""
        parts = {"ids": ",".join(each.hex for each in self.ids)}
        if self.is_first_page:
            parts["newest"] = self.newest.isoformat() if self.newest else ""
        return urlencode(parts, safe=",")


def list_page(filters: ListFilters, cursor: str | None, *, with_messages: bool) -> dict[str, Any]:
    """Return the context of one page."""
    page, matching, took_too_long = _page(filters, cursor)
    rows = _rows(page.items, with_messages)
    newest = rows[0].execution.created_at if rows else timezone.now() if page.searched_to else None
    shown = Shown([row.execution.id for row in rows], newest, is_first_page=page.previous is None)
    counts = {} if filters.is_narrowed else capped_status_counts()
    return {
        **_refreshed(filters, rows, shown, ListStanding(version_of(page.items), 0, counts)),
        "took_too_long": took_too_long,
        "most_seconds": round(MOST_SECONDS),
        "last_day_url": _list_url(filters.query(since="24h", until="")),
        "nothing_yet": not rows and not filters.is_active,
        "matching_count": matching,
        "searched_to": page.searched_to,
        "most_walked": MOST_WALKED,
        "function_names": function_names(),
        "periods": [(key, label) for key, (label, _) in PERIODS.items()],
        "waiting_choices": list(WAITING_LABELS.items()),
        "chips": filters.chips(),
        "newer_url": _page_url(filters, page.previous),
        "older_url": _page_url(filters, page.next),
    }


def list_now(filters: ListFilters, shown: Shown) -> ListStanding:
    """Return how the rows on screen stand and how many new ones match, in one statement.

    The counts are of everything: under another filter they would be wrong, and counting within it has no index.
    """
    asked = filters.for_query() if shown.is_first_page else None
    newest = (shown.newest, shown.ids[0] if shown.ids else LAST_ID) if shown.newest else None
    with_counts = not filters.is_narrowed
    if asked is None or (newest is not None and not filters.has_more):
        return list_standing(shown.ids, filters=asked, newest=newest, with_counts=with_counts)
    try:
        with at_most(MOST_COUNT_SECONDS):
            return list_standing(shown.ids, filters=asked, newest=newest, with_counts=with_counts)
    except TookTooLong:
        return list_standing(shown.ids, with_counts=with_counts)


def list_refresh(filters: ListFilters, shown: Shown, standing: ListStanding, *, with_messages: bool) -> dict[str, Any]:
    """Return the context of a refresh of the rows on screen: the same rows, and how many new ones match."""
    found = rows_of(shown.ids)
    seen = replace(standing, rows=version_of(found))
    return _refreshed(filters, _rows(found, with_messages), shown, seen)


def _page(filters: ListFilters, cursor: str | None) -> tuple[Page[ExecutionRow], int | None, bool]:
    """One page, how many match where that is known, and whether looking for it took too long."""
    try:
        with at_most(MOST_SECONDS):
            return *search_executions(filters.for_query(), cursor, ROWS_A_PAGE), False
    except TookTooLong:
        return NOTHING, 0, True


def _refreshed(filters: ListFilters, rows: Sequence[ListRow], shown: Shown, standing: ListStanding) -> dict[str, Any]:
    return {
        "section": "executions",
        "filters": filters,
        "rows": rows,
        "status_choices": filters.status_choices(standing.counts),
        "new_count": standing.newer,
        "new_cap": NEW_CAP,
        "first_page": _list_url(filters.query_string),
        "version": standing.version,
        "poll_url": _poll_url(filters, shown),
        "server_now": timezone.now().isoformat(),
    }


def _rows(executions: Sequence[ExecutionRow], with_messages: bool) -> list[ListRow]:
    live = [execution.id for execution in executions if execution.closed_at is None]
    waits = waits_of(live) if live else {}
    return [_row(execution, waits.get(execution.id), with_messages) for execution in executions]


def _row(execution: ExecutionRow, wait: ListWait | None, with_messages: bool) -> ListRow:
    note, word, until = _note(execution, with_messages), "", None
    is_failing = wait is not None and wait.kind == "retry"
    if wait is not None and not note:
        text, word = WAIT_WORDS[wait.kind]
        note, until = text.format(wait.name), wait.until
    version = f"{crc32(f'{execution.status} {note} {until}'.encode()):x}"
    return ListRow(execution, note, word if until else "", until, is_failing, version)


def _note(execution: ExecutionRow, with_messages: bool) -> str:
    if execution.error_type:
        message = f": {execution.error_message}" if with_messages and execution.error_message else ""
        return f"{execution.error_type}{message}"
    if execution.status == "PAUSED":
        return PAUSES.get(execution.pause_kind, "Paused.")
    return execution.status_text


def _poll_url(filters: ListFilters, shown: Shown) -> str:
    query = "&".join(filter(None, (filters.query_string, shown.query)))
    return f"{reverse('dashboard:execution-list-poll')}?{query}"


def _page_url(filters: ListFilters, cursor: str | None) -> str:
    if cursor is None:
        return ""
    return _list_url("&".join(filter(None, (filters.query_string, urlencode({"cursor": cursor})))))


def _list_url(query: str) -> str:
    return reverse("dashboard:execution-list") + (f"?{query}" if query else "")


def _ids(text: str) -> Iterator[UUID]:
    for item in text.split(",")[:MOST_ROWS]:
        try:
            yield UUID(item)
        except ValueError:
            continue
