"""The last hours of all functions, as figures and as bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.safestring import SafeString

from dashboard.bars import Bar, bars_svg
from durable_engine.queries import figures
from durable_engine.queries.figures import Figures, Series, Step

SHOWN_SECONDS = 12 * 3600
STEP_SECONDS = 900
DAY_SECONDS = 86_400
# From the bottom up.
PARTS = (("succeeded", "succeeded"), ("stopped", "stopped"), ("timed-out", "timed_out"), ("failed", "failed"))


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was started and ended, in all and by quarter of an hour."""

    total: Figures
    bars: SafeString
    steps: Sequence[Step]
    since: datetime

    @property
    def has_any(self) -> bool:
        """Whether anything happened."""
        return bool(self.total.started or self.total.ended)


def throughput(now: datetime) -> Throughput:
    """Return the last twelve hours, in two queries."""
    series = figures.series(figures.last(SHOWN_SECONDS, now), STEP_SECONDS)
    total = series.total
    drawn = step_bars(series, "Ended in the last 12 hours")
    return Throughput(total, drawn, [step for step in series.steps if step.figures.ended], series.steps[0].at)


def step_bars(series: Series, label: str) -> SafeString:
    """Return what ended in each step as bars; the label is followed by the counts."""
    total, has_days = series.total, series.step_seconds >= DAY_SECONDS
    said = f"{label}: {total.succeeded:,} succeeded, {total.bad:,} failed or timed out"
    return bars_svg([_bar(step, has_days) for step in series.steps], said)


def _bar(step: Step, has_days: bool) -> Bar:
    counts = [(tone, getattr(step.figures, field)) for tone, field in PARTS]
    said = ", ".join(f"{count:,} {tone.replace('-', ' ')}" for tone, count in counts if count)
    when = timezone.localtime(step.at)
    return Bar(counts, f"{when:%Y-%m-%d}: {said}" if has_days else f"{when:%m-%d %H:%M}: {said}")
