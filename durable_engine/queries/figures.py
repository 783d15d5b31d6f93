"""What happened over time and how long it took, read from rollups: never from executions, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from durable_engine.storage import figures
from durable_engine.storage.figures import Figures, Span

__all__ = ["Figures", "Series", "Span", "Step", "figures_of_functions", "figures_of_versions", "series", "totals"]

# What a chart of up to a hundred steps is drawn in.
STEPS: Final = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400)
MOST_STEPS: Final = 100


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a chart."""

    at: datetime
    figures: Figures


@dataclass(frozen=True, slots=True)
class Series:
    """Steps without gaps, from the oldest on. The last one may not be over yet."""

    steps: Sequence[Step]
    step_seconds: int

    @property
    def total(self) -> Figures:
        """All steps together."""
        return add_up([step.figures for step in self.steps])


def series(span: Span, step_seconds: int | None = None) -> Series:
    """Return the figures of a span by time, in two queries. The step is chosen to fit unless it is given."""
    step = step_seconds or fitting_step(span)
    found = figures.by_time(span, step)
    steps = [Step(datetime.fromtimestamp(at, UTC), found.get(at, Figures())) for at in _moments(span, step)]
    return Series(steps, step)


def _moments(span: Span, step: int) -> range:
    first = int(span.since.timestamp()) // step * step
    return range(first, int(span.until.timestamp()) + 1, step)


def fitting_step(span: Span) -> int:
    """Return the shortest step in which the span has at most a hundred."""
    seconds = (span.until - span.since).total_seconds()
    fitting = (step for step in STEPS if step >= span.width_seconds and seconds / step <= MOST_STEPS)
    return next(fitting, STEPS[-1])


def totals(span: Span) -> Figures:
    """Return the figures of the whole span."""
    return figures.in_all(span)


def figures_of_functions(span: Span) -> dict[str, Figures]:
    """Return the figures of each function that started or ended anything."""
    return figures.by_function(span)


def figures_of_versions(span: Span) -> dict[tuple[str, int], Figures]:
    """Return the figures of each function and version that started or ended anything."""
    return figures.by_version(span)


def course_of_functions(span: Span, step_seconds: int) -> dict[str, list[tuple[int, int]]]:
    """Return for each function how many ended well and badly in each step of the span, in one query."""
    found = figures.ended_by_function_and_time(span, step_seconds)
    moments = _moments(span, step_seconds)
    return {name: [found.get((name, at), (0, 0)) for at in moments] for name in {name for name, _ in found}}


def last(seconds: float, now: datetime, *, function: str | None = None, version: int | None = None) -> Span:
    """Return the span of the last seconds."""
    return Span(now - timedelta(seconds=seconds), now, function, version)


def add_up(many: Sequence[Figures]) -> Figures:
    """Return the sum of figures."""
    total = Figures()
    for each in many:
        total.started += each.started
        total.succeeded += each.succeeded
        total.failed += each.failed
        total.timed_out += each.timed_out
        total.stopped += each.stopped
        total.seconds_sum += each.seconds_sum
        for place, count in each.durations.items():
            total.durations[place] = total.durations.get(place, 0) + count
    return total
