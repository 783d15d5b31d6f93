"""Sums of rollups, for charts and rates. Reads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection

from durable_engine.storage.rollups import BIN_FACTOR, HOUR, MINUTE
from durable_engine.storage.visible import visible_rollups_sql

MINUTES_REACH_BACK_SECONDS: Final = 2 * 86_400


@dataclass(frozen=True, slots=True)
class Span:
    """What is asked for: from `since` to before `until`, of one function or version when they are given."""

    since: datetime
    until: datetime
    function: str | None = None
    version: int | None = None

    @property
    def width_seconds(self) -> int:
        """The rollups to read: minutes of a short span, hours of a long one."""
        return MINUTE if (self.until - self.since).total_seconds() <= MINUTES_REACH_BACK_SECONDS else HOUR


@dataclass(slots=True)
class Figures:
    """Counts, and how long what ended took: `{bin: count}`."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    timed_out: int = 0
    stopped: int = 0
    seconds_sum: float = 0.0
    durations: dict[int, int] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """How many ended, however they did."""
        return self.succeeded + self.failed + self.timed_out + self.stopped

    @property
    def bad(self) -> int:
        """How many failed or timed out."""
        return self.failed + self.timed_out

    @property
    def failure_rate(self) -> float | None:
        """The share of those that ended by themselves which failed or timed out; None when none did."""
        judged = self.succeeded + self.bad
        return self.bad / judged if judged else None

    def percentile(self, share: float) -> float | None:
        """How many seconds this share of them took at most, within 5 %; None when none ended."""
        left = share * sum(self.durations.values())
        for each in sorted(self.durations):
            left -= self.durations[each]
            if left <= 1e-9:
                return float(BIN_FACTOR ** (each + 0.5) / 1000)
        return None

    @property
    def p50(self) -> float | None:
        """The median duration in seconds."""
        return self.percentile(0.5)

    @property
    def p95(self) -> float | None:
        """What 95 of 100 took at most, in seconds."""
        return self.percentile(0.95)

    @property
    def p99(self) -> float | None:
        """What 99 of 100 took at most, in seconds."""
        return self.percentile(0.99)


_TIME: Final = "extract(epoch FROM starts_at)::bigint / %(step)s * %(step)s"
_WHERE: Final = """
FROM durable_rollup WHERE width_seconds = %(width)s AND starts_at >= %(since)s AND starts_at < %(until)s
  AND (%(function)s::text IS NULL OR function = %(function)s)
  AND (%(version)s::int IS NULL OR version = %(version)s)
"""
_COUNTS: Final = ("started", "succeeded", "failed", "timed_out", "stopped")


def by_time(span: Span, step_seconds: int) -> dict[int, Figures]:
    """Return the figures of each step, by the second of the epoch at which it begins; steps without any are left out.

    `step_seconds` must be a multiple of the span's width, or charts show teeth.
    """
    return _grouped(span, _TIME, step=step_seconds)


def by_function(span: Span) -> dict[str, Figures]:
    """Return the figures of each function."""
    return _grouped(span, "function")


def by_version(span: Span) -> dict[tuple[str, int], Figures]:
    """Return the figures of each version of each function."""
    return _grouped(span, "function, version", columns=2)


def ended_by_function_and_time(span: Span, step_seconds: int) -> dict[tuple[str, int], tuple[int, int]]:
    """Return how many ended well and how many badly, by function and the second at which the step begins."""
    params = _params(span, step_seconds)
    with connection.cursor() as cursor:
        cursor.execute(
            visible_rollups_sql(
                f"SELECT function, {_TIME}, sum(succeeded + stopped), sum(failed + timed_out) {_WHERE} GROUP BY 1, 2"
            ),
            params,
        )
        return {(row[0], row[1]): (int(row[2]), int(row[3])) for row in cursor.fetchall()}


def in_all(span: Span) -> Figures:
    """Return the figures of the whole span."""
    return _grouped(span, "1").get(1, Figures())


def _grouped(span: Span, key: str, *, columns: int = 1, step: int = 1) -> dict[Any, Figures]:
    params = _params(span, step)
    sums = ", ".join(f"sum({column})" for column in (*_COUNTS, "seconds_sum"))
    places = ", ".join(str(place) for place in range(1, columns + 1))
    found: dict[Any, Figures] = defaultdict(Figures)
    with connection.cursor() as cursor:
        cursor.execute(visible_rollups_sql(f"SELECT {key}, {sums} {_WHERE} GROUP BY {places}"), params)
        for row in cursor.fetchall():
            figures = found[_key(row, columns)]
            for column, value in zip((*_COUNTS, "seconds_sum"), row[columns:], strict=True):
                setattr(figures, column, type(getattr(figures, column))(value))
        cursor.execute(
            visible_rollups_sql(
                f"SELECT {key}, bin::int, sum(n::bigint) FROM ("
                "   SELECT starts_at, function, version, b.key AS bin, b.value AS n"
                f"  FROM (SELECT * {_WHERE}) r, jsonb_each_text(r.durations) b) d"
                f" GROUP BY {places}, bin"
            ),
            params,
        )
        for row in cursor.fetchall():
            found[_key(row, columns)].durations[row[-2]] = int(row[-1])
    return dict(found)


def _params(span: Span, step: int) -> dict[str, Any]:
    return {
        "width": span.width_seconds,
        "since": span.since,
        "until": span.until,
        "function": span.function,
        "version": span.version,
        "step": step,
    }


def _key(row: Sequence[Any], columns: int) -> Any:
    return row[0] if columns == 1 else tuple(row[:columns])
