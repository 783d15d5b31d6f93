"""The ranges of time that pages offer, newest end first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from durable_engine.queries import figures
from durable_engine.queries.figures import Span

HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class TimeRange:
    """One range that can be chosen."""

    code: str
    label: str
    seconds: int

    def span(self, now: datetime, function: str | None = None, version: int | None = None) -> Span:
        """Return it as what a query takes."""
        return figures.last(self.seconds, now, function=function, version=version)


RANGES = {
    each.code: each
    for each in (
        TimeRange("1h", "Last hour", HOUR),
        TimeRange("24h", "Last 24 hours", DAY),
        TimeRange("7d", "Last 7 days", 7 * DAY),
        TimeRange("30d", "Last 30 days", 30 * DAY),
    )
}


def chosen(parameters: Mapping[str, str], default: str = "24h") -> TimeRange:
    """Return the range that a query string asks for; an unknown one is the default."""
    return RANGES.get(parameters.get("range", ""), RANGES[default])


def choices(current: TimeRange, **others: str) -> list[tuple[str, str, bool]]:
    """Return label, query string and whether it is the chosen one, for each range. `others` stay in the address."""
    kept = {name: value for name, value in others.items() if value}
    return [(each.label, "?" + urlencode({**kept, "range": each.code}), each == current) for each in RANGES.values()]
