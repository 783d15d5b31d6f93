"""What the list of functions and the page of one function show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.safestring import SafeString

from dashboard.bars import Bar, bars_svg
from dashboard.failures import rows_of
from dashboard.ranges import TimeRange, choices
from dashboard.schedule_pages import rows_of_function
from dashboard.throughput import PARTS, step_bars
from durable_engine.queries import figures
from durable_engine.queries.failures import list_groups
from durable_engine.queries.figures import Figures
from durable_engine.queries.functions import FunctionView, VersionView, list_functions, versions_of

HOUR_SECONDS = 3600
GROUPS_SHOWN = 5
NOTHING = Figures()


@dataclass(frozen=True, slots=True)
class FunctionRow:
    """One function and what became of its executions in the last day."""

    function: FunctionView
    figures: Figures
    bars: SafeString


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version and what became of its executions in the chosen range."""

    version: VersionView
    figures: Figures


def list_page() -> dict[str, Any]:
    """Return the context of the list. A constant number of queries."""
    now = timezone.now()
    day = figures.last(24 * HOUR_SECONDS, now)
    found = figures.figures_of_functions(day)
    courses = figures.course_of_functions(day, HOUR_SECONDS)
    rows = [
        FunctionRow(each, found.get(each.name, NOTHING), _bars(courses.get(each.name, []))) for each in list_functions()
    ]
    return {"section": "functions", "rows": rows}


def function_page(function: FunctionView, time_range: TimeRange) -> dict[str, Any]:
    """Return the context of one function."""
    now = timezone.now()
    span = time_range.span(now, function.name)
    series = figures.series(span)
    return {
        "section": "functions",
        "function": function,
        "pause": function.pause,
        "facts": _facts(function.config),
        "ranges": choices(time_range),
        "range": time_range,
        "total": series.total,
        "bars": step_bars(series, f"Ended in the {time_range.label.lower()}"),
        "since": series.steps[0].at,
        "versions": _versions(function.name, time_range, now),
        "rows": rows_of_function(function.name),
        "groups": rows_of(list_groups(limit=GROUPS_SHOWN, function=function.name).items),
    }


def _versions(name: str, time_range: TimeRange, now: datetime) -> list[VersionRow]:
    found = figures.figures_of_versions(time_range.span(now, name))
    return [VersionRow(each, found.get((name, each.version), NOTHING)) for each in versions_of(name)]


def _facts(config: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """Its limits in seconds, None for one that there is not."""
    return [
        ("Execution timeout", config.get("execution_timeout_seconds")),
        ("Invocation timeout", config.get("invocation_timeout_seconds")),
        ("Kept after its end", config.get("retention_seconds")),
    ]


def _bars(course: Sequence[tuple[int, int]]) -> SafeString:
    bad = sum(failed for _, failed in course)
    label = f"{sum(good for good, _ in course) + bad:,} ended in the last 24 hours, {bad:,} of them badly"
    return bars_svg(
        [Bar([(PARTS[0][0], good), ("failed", failed)]) for good, failed in course], label, "bars bars-small"
    )
