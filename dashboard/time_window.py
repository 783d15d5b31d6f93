"""The time that a page of charts looks at: one of the usual ranges, or from one moment to another."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.utils import timezone

from dashboard import ranges
from dashboard.ranges import RANGES, TimeRange
from durable_engine.queries.figures import Span

SHORTEST = timedelta(minutes=2)
LONGEST = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """From `since` to before `until`; `time_range` is None when both were given by themselves."""

    since: datetime
    until: datetime
    time_range: TimeRange | None

    @classmethod
    def of_request(cls, parameters: Mapping[str, str], now: datetime) -> "TimeWindow":
        """Read `from` and `to`, or `range`. What makes no sense is the default range: addresses are edited by hand."""
        since, until = _moment(parameters.get("from", "")), _moment(parameters.get("to", ""))
        if since is None or until is None or not SHORTEST <= until - since <= LONGEST:
            time_range = ranges.chosen(parameters)
            return cls(now - timedelta(seconds=time_range.seconds), now, time_range)
        return cls(since, until, None)

    @property
    def parameters(self) -> dict[str, str]:
        """What an address needs to say to mean this window."""
        if self.time_range is not None:
            return {"range": self.time_range.code}
        return {"from": self.since.isoformat(), "to": self.until.isoformat()}

    def span(self, function: str | None, version: int | None) -> Span:
        """Return it as what a query takes."""
        return Span(self.since, self.until, function, version)

    def wider(self, now: datetime) -> "TimeWindow":
        """Return a window three times as wide around the same middle, and not beyond now."""
        width = min((self.until - self.since) * 3, LONGEST)
        until = min(self.until + (self.until - self.since), now)
        return TimeWindow(until - width, until, None)

    def choices(self, others: Mapping[str, str]) -> list[tuple[str, str, bool]]:
        """Return label, query string and whether it is the chosen one, for each usual range."""
        kept = {name: value for name, value in others.items() if value}
        return [
            (each.label, "?" + urlencode({**kept, "range": each.code}), each == self.time_range)
            for each in RANGES.values()
        ]


def _moment(text: str) -> datetime | None:
    """A moment as browsers and people write it; without its offset it is meant in the zone of the page."""
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "T")[:40])
        return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
    except (ValueError, OverflowError):
        return None
