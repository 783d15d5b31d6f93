"""The filters of the executions list: from the URL to the query, to chips, and back into URLs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from dashboard.statuses import EXECUTION_STATUSES, Status
from durable_engine.queries.filters import WAITING, ExecutionFilters

LONGEST_TEXT = 256
MOST_TAGS = 10
PERIODS = {
    "15m": ("Last 15 minutes", timedelta(minutes=15)),
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
}
WAITING_LABELS = {
    "retry": "A failing step's next attempt",
    "timer": "A timer",
    "callback": "A callback",
    "condition": "A condition",
    "child": "An execution that it invoked",
    "worker": "A worker",
}


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter and the URL without it."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class StatusChoice:
    """One entry of the status filter; `count` may be one above the cap, or unknown. `status` is None for all."""

    status: Status | None
    url: str
    count: int | None
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ListFilters:
    """What the list's URL asks for. What can't be read is left out, so an old link still opens.

    `since` is a key of `PERIODS` or a moment, `until` a moment, both as they stand in the URL; moments without a zone
    are UTC. `tag` holds `key:value` texts.
    """

    status: str = ""
    function: str = ""
    version: str = ""
    q: str = ""
    tag: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    waiting: str = ""
    root: str = ""

    @classmethod
    def of_request(cls, parameters: QueryDict) -> "ListFilters":
        """Read the query string."""
        status = parameters.get("status", "")
        waiting = parameters.get("waiting", "")
        version = parameters.get("version", "").strip()
        since, until = parameters.get("since", ""), parameters.get("until", "")
        return cls(
            status=status if status in EXECUTION_STATUSES else "",
            function=_clean(parameters.get("function", "")),
            version=version if version.isascii() and version.isdigit() and len(version) <= 9 else "",
            q=_clean(parameters.get("q", "")),
            tag=tuple(dict.fromkeys(tag for tag in map(_clean, parameters.getlist("tag")) if _tag(tag)))[:MOST_TAGS],
            since=since if since in PERIODS else _plain(since),
            until=_plain(until),
            waiting=waiting if waiting in WAITING else "",
            root="1" if parameters.get("root") == "1" else "",
        )

    @classmethod
    def of_query_string(cls, text: str) -> "ListFilters":
        """Read a query string that was kept."""
        return cls.of_request(QueryDict(text))

    @property
    def is_active(self) -> bool:
        """Whether anything is filtered."""
        return self != ListFilters()

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the status is filtered."""
        return replace(self, status="") != ListFilters()

    @property
    def since_moment(self) -> str:
        """The beginning of the time when it is a moment and no period."""
        return "" if self.since in PERIODS else self.since

    @property
    def has_more(self) -> bool:
        """Whether a filter is set that stands behind “More filters”."""
        return bool(self.version or self.tag or self.until or self.waiting or self.root)

    @property
    def query_string(self) -> str:
        """The filters as they stand in the URL."""
        return self.query()

    def for_query(self) -> ExecutionFilters:
        """The filters as the query takes them; a period ends now."""
        period = PERIODS.get(self.since)
        return ExecutionFilters(
            status=self.status or None,
            function=self.function or None,
            text=self.q or None,
            version=int(self.version) if self.version else None,
            tags=tuple(pair for tag in self.tag if (pair := _tag(tag))),
            since=timezone.now() - period[1] if period else parse_moment(self.since),
            until=parse_moment(self.until),
            waiting=self.waiting or None,
            root=True if self.root else None,
        )

    def chips(self) -> list[Chip]:
        """One chip for each active filter."""
        words = {
            "status": f"Status: {EXECUTION_STATUSES[self.status].label}" if self.status else "",
            "function": f"Function: {self.function}" if self.function else "",
            "version": f"Version {self.version}" if self.version else "",
            "q": f"Name or id: {self.q}" if self.q else "",
            "since": self._since_words(),
            "until": f"Started before {self.until} UTC" if self.until else "",
            "waiting": f"Waits for: {WAITING_LABELS[self.waiting].lower()}" if self.waiting else "",
            "root": "Not invoked by another" if self.root else "",
        }
        chips = [Chip(label, "?" + self.query(**{name: ""})) for name, label in words.items() if label]
        for tag in self.tag:
            others = tuple(each for each in self.tag if each != tag)
            chips.append(Chip(f"Tag {tag}", "?" + self.query(tag=others)))
        return chips

    def status_choices(self, counts: Mapping[str, int]) -> list[StatusChoice]:
        """All statuses, each with its URL and how many executions have it, where that is known."""
        everything = StatusChoice(None, "?" + self.query(status=""), None, is_chosen=not self.status)
        return [everything] + [
            StatusChoice(row, "?" + self.query(status=code), counts.get(code), is_chosen=code == self.status)
            for code, row in EXECUTION_STATUSES.items()
        ]

    def query(self, **changes: Any) -> str:
        """The query string with some of it changed."""
        changed = replace(self, **changes)
        values = {field.name: getattr(changed, field.name) for field in fields(changed)}
        return urlencode({name: value for name, value in values.items() if value}, doseq=True)

    def _since_words(self) -> str:
        if self.since in PERIODS:
            return PERIODS[self.since][0]
        return f"Started since {self.since} UTC" if self.since else ""


def _clean(text: str) -> str:
    # Postgres refuses NUL in text.
    return text.replace("\x00", "").strip()[:LONGEST_TEXT]


def _tag(text: str) -> tuple[str, str] | None:
    """The key and the value of `key:value`; keys have no colon as people write them, values may."""
    key, colon, value = text.partition(":")
    return (key.strip(), value.strip()) if colon and key.strip() else None


def _plain(text: str) -> str:
    """A moment as the browser's own field writes it, in UTC; empty for what is none."""
    moment = parse_moment(text)
    return "" if moment is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def parse_moment(text: str) -> datetime | None:
    """Return the moment that a text is, in UTC unless it says otherwise; None for what is none."""
    try:
        moment = parse_datetime(text.replace(" ", "T")) if len(text) <= 40 else None
    except ValueError:
        return None
    if moment is None:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
