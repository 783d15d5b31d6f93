"""The audit's filters, rows and exports."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils import timezone

from durable_engine.queries.audit import AuditFilters, AuditView, all_audit_entries, audited_actions, list_audit_entries

ROWS_A_PAGE = 50
MOST_EXPORTED = 100_000
LONGEST_TEXT = 256
CHANNELS = ("dashboard", "approvals", "api", "command line", "python", "schedule")
PARAMETERS = ("actor", "action", "channel", "execution", "from", "to")
COLUMNS = ("at", "actor", "channel", "action", "execution_id", "operation_id", "reason", "details")
# With one of these in front a spreadsheet takes a text for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class AuditForm:
    """What the filter's fields hold, as typed, and what is wrong with them."""

    values: Mapping[str, str]
    filters: AuditFilters
    problems: Mapping[str, str]

    @classmethod
    def of_request(cls, parameters: Mapping[str, str]) -> "AuditForm":
        """Read the query string. What can't be read is left out of the filter and told."""
        values = {name: parameters.get(name, "").replace("\x00", "").strip()[:LONGEST_TEXT] for name in PARAMETERS}
        problems: dict[str, str] = {}
        since, until = _day(values["from"], "from", problems), _day(values["to"], "to", problems)
        filters = AuditFilters(
            actor=values["actor"] or None,
            action=values["action"] or None,
            channel=values["channel"] or None,
            execution_id=_uuid(values["execution"], problems),
            since=since,
            # The last day counts too.
            until=None if until is None else until + timedelta(days=1),
        )
        return cls(values, filters, problems)

    @property
    def query_string(self) -> str:
        """What is set, as a query string."""
        return urlencode({name: value for name, value in self.values.items() if value})

    @property
    def is_active(self) -> bool:
        """Whether anything is set."""
        return any(self.values.values())


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry in words."""

    entry: AuditView
    words: str
    details: str


def audit_page(form: AuditForm, cursor: str | None) -> dict[str, Any]:
    """Return the context of one page."""
    page = list_audit_entries(cursor, ROWS_A_PAGE, filters=form.filters)
    url = reverse("dashboard:audit-list")

    def page_url(to: str | None) -> str:
        return f"{url}?{'&'.join(filter(None, (form.query_string, urlencode({'cursor': to}))))}" if to else ""

    actions = sorted({*audited_actions(), *filter(None, [form.values["action"]])})
    return {
        "section": "audit",
        "form": form,
        "rows": [AuditRow(entry, in_words(entry.action), _details(entry)) for entry in page.items],
        "actions": [(action, in_words(action)) for action in actions],
        "channels": CHANNELS,
        "newer_url": page_url(page.previous),
        "older_url": page_url(page.next),
        "most_exported": MOST_EXPORTED,
    }


def in_words(action: str) -> str:
    """Return the name of a service as words: `Stop execution`."""
    return action.replace("_", " ").capitalize()


def as_csv(filters: AuditFilters) -> Iterator[str]:
    """Yield the lines of a CSV file, with a heading."""
    yield _csv_line(COLUMNS)
    for entry in all_audit_entries(filters, MOST_EXPORTED):
        yield _csv_line([_harmless(text) for text in _texts(entry).values()])


def as_json_lines(filters: AuditFilters) -> Iterator[str]:
    """Yield one JSON object for each entry, each on a line of its own."""
    for entry in all_audit_entries(filters, MOST_EXPORTED):
        yield json.dumps({**_texts(entry), "details": dict(entry.details)}, ensure_ascii=False) + "\n"


def _texts(entry: AuditView) -> dict[str, str]:
    return {
        "at": entry.at.isoformat(),
        "actor": entry.actor,
        "channel": entry.channel,
        "action": entry.action,
        "execution_id": str(entry.execution_id or ""),
        "operation_id": entry.operation_id or "",
        "reason": entry.reason,
        "details": json.dumps(dict(entry.details), ensure_ascii=False),
    }


def _csv_line(texts: tuple[str, ...] | list[str]) -> str:
    buffer = StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(texts)
    return buffer.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _details(entry: AuditView) -> str:
    return ", ".join(f"{name}: {value}" for name, value in entry.details.items() if value not in (None, "", False))


def _day(text: str, name: str, problems: dict[str, str]) -> datetime | None:
    """The beginning of a day in the zone of the page."""
    if not text:
        return None
    try:
        return timezone.make_aware(datetime.combine(date.fromisoformat(text), time()))
    except (ValueError, OverflowError):
        problems[name] = f"{text[:20]!r} is not a date. Example: 2026-11-21."
        return None


def _uuid(text: str, problems: dict[str, str]) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        problems["execution"] = f"{text[:40]!r} is not the id of an execution."
        return None
