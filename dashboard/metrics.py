"""What the metrics page shows: each chart as data for the browser, as figures and as a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from dashboard.durations import in_words
from dashboard.statuses import EXECUTION_STATUSES
from dashboard.throughput import step_bars
from dashboard.time_window import TimeWindow
from durable_engine.queries import figures, samples
from durable_engine.queries.figures import Series
from durable_engine.queries.samples import Sample, SampleView
from durable_engine.services.functions import function_names

MOST_ON_AXIS = 100
SLOWEST_SHOWN = 25
STEP_WORDS = {
    60: "a minute",
    300: "5 minutes",
    900: "15 minutes",
    3600: "an hour",
    10_800: "3 hours",
    21_600: "6 hours",
    43_200: "12 hours",
    86_400: "a day",
    604_800: "a week",
}
LONGEST_NAME = 140
HIGHEST_VERSION = 2**31 - 1
OUTCOMES = (
    ("succeeded", "Succeeded", "succeeded"),
    ("stopped", "Stopped", "stopped"),
    ("timed_out", "Timed out", "timed-out"),
    ("failed", "Failed", "failed"),
)
PERCENTILES = (
    (0.5, "Median", "succeeded"),
    (0.95, "95th percentile", "timed-out"),
    (0.99, "99th percentile", "failed"),
)


@dataclass(frozen=True, slots=True)
class MetricsFilter:
    """What the page is narrowed to."""

    window: TimeWindow
    function: str = ""
    version: int | None = None

    @classmethod
    def of_request(cls, parameters: Mapping[str, str], now: datetime) -> "MetricsFilter":
        """Read the query string."""
        function = parameters.get("function", "").replace("\x00", "")[:LONGEST_NAME]
        version = parameters.get("version", "")
        number = int(version) if version.isascii() and version.isdigit() and len(version) < 11 else 0
        is_version = bool(function) and 0 < number <= HIGHEST_VERSION
        return cls(TimeWindow.of_request(parameters, now), function, number if is_version else None)

    @property
    def narrowing(self) -> dict[str, str]:
        """Its parameters, without those of the time."""
        version = "" if self.version is None else str(self.version)
        return {name: value for name, value in (("function", self.function), ("version", version)) if value}

    def url(self, window: TimeWindow) -> str:
        """Return the address of the same page for another time."""
        return f"{reverse('dashboard:metrics')}?{urlencode({**self.narrowing, **window.parameters})}"


def metrics_page(chosen: MetricsFilter, now: datetime) -> dict[str, Any]:
    """Return the context of the page. The number of queries does not depend on how much happened."""
    span = chosen.window.span(chosen.function or None, chosen.version)
    series = figures.series(span)
    ended, begun = samples.sample_of_ended(span), samples.newest_begun(span, MOST_ON_AXIS)
    return {
        "section": "metrics",
        "chosen": chosen,
        "function_names": function_names(),
        "versions": sorted({version for name, version in figures.figures_of_versions(span) if name == chosen.function}),
        "ranges": chosen.window.choices(chosen.narrowing),
        "wider_url": chosen.url(chosen.window.wider(now)),
        "zone": timezone.get_current_timezone_name(),
        "zoom": {"url": reverse("dashboard:metrics"), "kept": chosen.narrowing},
        "total": series.total,
        "series": series,
        "step_words": STEP_WORDS.get(series.step_seconds, in_words(series.step_seconds)),
        "fallback": step_bars(series, "Ended"),
        "ended": ended,
        "slowest": sorted(ended.items, key=lambda each: -(each.seconds or 0.0))[:SLOWEST_SHOWN],
        "begun": begun,
        "most_on_axis": MOST_ON_AXIS,
        "charts": {
            "outcomes": outcomes_chart(series),
            "durations": durations_chart(series),
            "scatter": scatter_chart(ended, chosen.window),
            "axis": axis_chart(begun, now, chosen.window),
        },
    }


def outcomes_chart(series: Series) -> dict[str, Any]:
    """Ends stacked by outcome, starts as a line over them."""
    x = [_plain(step.at) for step in series.steps]
    stacked = [
        {"name": label, "tone": tone, "kind": "bar", "y": [getattr(step.figures, field) for step in series.steps]}
        for field, label, tone in OUTCOMES
    ]
    started = {
        "name": "Started",
        "tone": "running",
        "kind": "line",
        "y": [step.figures.started for step in series.steps],
    }
    return {"x": x, "width_ms": series.step_seconds * 1000, "traces": [*stacked, started]}


def durations_chart(series: Series) -> dict[str, Any]:
    """Percentiles of the durations in seconds; a gap where nothing ended."""
    traces = [
        {"name": label, "tone": tone, "kind": "line", "y": [step.figures.percentile(share) for step in series.steps]}
        for share, label, tone in PERCENTILES
    ]
    return {"x": [_plain(step.at) for step in series.steps], "traces": traces, "y_is_seconds": True}


def scatter_chart(sample: Sample, window: TimeWindow) -> dict[str, Any]:
    """Each execution as a point: when it ended, and how long it took."""
    traces = []
    for code, status in EXECUTION_STATUSES.items():
        of_status = [each for each in sample.items if each.status == code and each.closed_at is not None]
        if of_status:
            traces.append(
                {
                    "name": status.label,
                    "tone": status.tone,
                    "kind": "points",
                    "x": [_plain(each.closed_at) for each in of_status if each.closed_at is not None],
                    # A logarithmic axis has no zero.
                    "y": [max(each.seconds or 0.0, 0.001) for each in of_status],
                    "text": [_label(each) for each in of_status],
                    "urls": [_url(each) for each in of_status],
                }
            )
    shown = [_plain(window.since), _plain(window.until)]
    return {"traces": traces, "y_is_seconds": True, "range": shown}


def axis_chart(sample: Sample, now: datetime, window: TimeWindow) -> dict[str, Any]:
    """Each execution as a line from its start to its end, the newest on top."""
    traces = []
    for code, status in EXECUTION_STATUSES.items():
        of_status = [(row, each) for row, each in enumerate(sample.items) if each.status == code]
        if of_status:
            traces.append(
                {
                    "name": status.label,
                    "tone": status.tone,
                    "kind": "spans",
                    "from": [_plain(each.created_at) for _, each in of_status],
                    "to": [_plain(each.closed_at or now) for _, each in of_status],
                    "row": [row for row, _ in of_status],
                    "text": [_label(each) for _, each in of_status],
                    "urls": [_url(each) for _, each in of_status],
                }
            )
    # When they are not all of the window, the axis begins with the first of them.
    since = window.since if sample.is_all or not sample.items else sample.items[0].created_at
    return {"traces": traces, "rows": len(sample.items), "range": [_plain(since), _plain(window.until)]}


def _label(each: SampleView) -> str:
    took = "live" if each.seconds is None else in_words(each.seconds)
    return f"{each.function}: {each.name}, {took}"


def _url(each: SampleView) -> str:
    return reverse("dashboard:execution-detail", args=[each.id])


def _plain(moment: datetime) -> str:
    """A moment in the zone of the page, without its offset: what the chart's axis shows as it stands."""
    return timezone.localtime(moment).replace(tzinfo=None).isoformat(" ", "milliseconds")
