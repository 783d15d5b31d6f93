"""What the inbox shows: tabs, rows, filters and what is said when there is nothing."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from approvals.queries.inbox import MOST_COUNTED, Box, InboxFilters, InboxRow
from durable_engine.queries.saved_views import SavedViewRow

LONGEST_FILTER = 200
LONGEST_QUERY = 2_000
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Tab:
    """One list of the inbox."""

    box: Box
    label: str
    url: str
    count: str
    is_chosen: bool
    empty_title: str
    empty_text: str

    @property
    def shows_outcome(self) -> bool:
        """Whether its requests are closed."""
        return self.box is Box.DONE

    @property
    def is_long(self) -> bool:
        """Whether there are more than are counted."""
        return self.count.endswith("+")

    @property
    def may_choose(self) -> bool:
        """Whether its requests can be decided together."""
        return self.box in (Box.MINE, Box.GROUPS, Box.DELEGATED)


@dataclass(frozen=True, slots=True)
class Row:
    """One request of a list."""

    id: UUID
    url: str
    title: str
    choose: str
    function: str
    requester_label: str
    who: str
    state: str
    badges: list[str]
    opened_at: datetime
    deadline: datetime | None
    is_overdue: bool
    can_bulk: bool
    closed_at: datetime | None
    closed_by_label: str
    version: str


@dataclass(frozen=True, slots=True)
class KeptView:
    """A list with filters that somebody keeps."""

    id: UUID
    name: str
    url: str
    owner: str
    is_shared: bool
    is_own: bool
    is_current: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter that is set, and the address without it."""

    label: str
    url: str


def tabs(chosen: Box, counts: Mapping[Box, int]) -> list[Tab]:
    """Return the lists, the chosen one marked."""
    words = {
        Box.MINE: (_("Mine"), _("Nothing waits for you"), _("When somebody asks you by name, it appears here.")),
        Box.GROUPS: (
            _("My groups"),
            _("Nothing waits for your groups"),
            _("What is asked of a group you are in appears here, until somebody decides it."),
        ),
        Box.WAITING: (
            _("Waiting for others"),
            _("You wait for nobody"),
            _("What you asked for, or have answered while others have not, appears here."),
        ),
        Box.DELEGATED: (
            _("Delegated"),
            _("No colleague is represented by you"),
            _("What you may decide in a colleague's place appears here."),
        ),
        Box.DONE: (
            _("Done"),
            _("Nothing is done yet"),
            _("What you decided or asked for appears here when it is closed."),
        ),
    }
    return [
        Tab(
            box,
            label,
            url_of(box),
            _capped(counts.get(box)),
            box is chosen,
            empty_title,
            empty_text,
        )
        for box, (label, empty_title, empty_text) in words.items()
    ]


def elsewhere(chosen: Tab, several: Sequence[Tab]) -> Tab | None:
    """Return another list with something to decide, for a person whose list is empty."""
    return next((tab for tab in several if tab.may_choose and tab is not chosen and tab.count not in ("", "0")), None)


def url_of(box: Box) -> str:
    """Return the address of a list."""
    return reverse("approvals:inbox-box", args=[box.value])


def kept_query(text: str) -> str:
    """Return a list with its filters as the query string that is kept; what the inbox does not know is left out."""
    query = QueryDict(text[:LONGEST_QUERY])
    box = query.get("box", "")
    filters, due = filters_from(query)
    return urlencode({"box": box if box in set(Box) else Box.MINE.value, **query_of(filters, due)})


def view_url(query: str) -> str:
    """Return the address of a list that was kept."""
    parts = QueryDict(query).dict()
    box = parts.pop("box", "")
    return address(
        url_of(Box(box) if box in set(Box) else Box.MINE), {name: str(value) for name, value in parts.items()}
    )


def due_choices() -> list[tuple[str, str]]:
    """Return what can be chosen as due."""
    return [
        ("", _("Due any time")),
        ("overdue", _("Overdue")),
        ("day", _("Due within a day")),
        ("week", _("Due within a week")),
    ]


def filters_from(query: QueryDict) -> tuple[InboxFilters, str]:
    """Return the filters of an address, and its choice of due time."""

    def text(name: str) -> str:
        return query.get(name, "").replace("\x00", "").strip()[:LONGEST_FILTER]

    due = text("due")
    filters = InboxFilters(function=text("function"), requester=text("requester"), text=text("q"))
    ahead = {"day": timedelta(days=1), "week": timedelta(days=7)}.get(due)
    if ahead is not None:
        return replace(filters, due_before=timezone.now() + ahead), due
    return replace(filters, overdue=due == "overdue"), due if due == "overdue" else ""


def query_of(filters: InboxFilters, due: str) -> dict[str, str]:
    """Return the filters as the parts of an address; those that are not set are left out."""
    parts = {"q": filters.text, "function": filters.function, "requester": filters.requester, "due": due}
    return {name: value for name, value in parts.items() if value}


def chips(box: Box, parts: Mapping[str, str]) -> list[Chip]:
    """Return what is filtered by, each with the address without it."""
    due = dict(due_choices())
    labels: Mapping[str, Callable[[str], str]] = {
        "q": lambda value: _("Contains “%(text)s”") % {"text": value},
        "function": lambda value: value,
        "requester": lambda value: _("Asked by %(person)s") % {"person": value},
        "due": lambda value: due[value],
    }
    return [
        Chip(labels[name](value), address(url_of(box), {key: each for key, each in parts.items() if key != name}))
        for name, value in parts.items()
    ]


def address(url: str, parts: Mapping[str, str]) -> str:
    """Return a URL with its query."""
    return f"{url}?{urlencode(parts)}" if parts else url


def rows_of(rows: Iterable[InboxRow]) -> list[Row]:
    """Return requests as the list shows them."""
    # One address, and the others by its pattern: asking Django for each of fifty takes some milliseconds.
    pattern = reverse("approvals:request-detail", args=[NOBODY])
    return [_row_of(row, pattern.replace(str(NOBODY), str(row.id))) for row in rows]


def _row_of(row: InboxRow, url: str) -> Row:
    badges = [row.health] if row.health != "OK" and row.closed_at is None else []
    badges += ["QUESTION"] if row.is_question_open else []
    return Row(
        id=row.id,
        url=url,
        title=row.title,
        choose=_("Choose %(title)s") % {"title": row.title},
        function=row.function,
        requester_label=row.requester_label,
        who=_who(row),
        state=row.state,
        badges=badges,
        opened_at=row.opened_at,
        deadline=row.due_at or row.expires_at,
        is_overdue=row.is_overdue,
        can_bulk=row.is_bulk and not row.is_question_open and (not row.claimed_by or row.is_claimed_by_me),
        closed_at=row.closed_at,
        closed_by_label=row.closed_by_label,
        version=_version(row),
    )


def kept_views(rows: Sequence[SavedViewRow], user_id: int, current: str) -> list[KeptView]:
    """Return the views of a person, the one that is open marked."""
    return [
        KeptView(
            row.id,
            row.name,
            view_url(row.query),
            row.owner,
            row.is_shared,
            row.owner_id == user_id,
            row.query == current,
        )
        for row in rows
    ]


def _who(row: InboxRow) -> str:
    if row.is_claimed_by_me:
        return _("you work on it")
    if row.claimed_by:
        return _("%(person)s works on it") % {"person": row.claimed_by}
    if row.closed_at is not None:
        return ""
    approve: Any = row.quorum.get("approve", 1)
    if approve == "all":
        return _("everybody has to agree")
    if isinstance(approve, int):
        text = ngettext("%(count)d has to agree", "%(count)d have to agree", approve) % {"count": approve}
        return "" if approve == 1 else text
    return _("%(part)s have to agree") % {"part": approve}


def _version(row: InboxRow) -> str:
    return f"{row.state}{row.claimed_by}{row.is_overdue}{row.is_question_open}{row.health}{row.due_at}"


def _capped(count: int | None) -> str:
    if count is None:
        return ""
    return f"{MOST_COUNTED - 1}+" if count >= MOST_COUNTED else str(count)
