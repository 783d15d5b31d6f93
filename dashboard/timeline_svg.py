"""Draws a timeline as one SVG: geometry in attributes, colour by class, so that it stands under a strict CSP."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString

from dashboard.timeline import Row, Segment, Timeline

ROW_HEIGHT = 28
AXIS_HEIGHT = 28
BAR_HEIGHT = {"queued": 6, "suspended": 4, "backoff": 4, "context": 6}
USUAL_BAR_HEIGHT = 14
LEAST_WIDTH = 3  # pixels: a step of a millisecond in an hour stays visible


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One kind of bar and its words."""

    kind: str
    label: str
    y: float
    height: int


def _entry(kind: str, label: str) -> LegendEntry:
    height = BAR_HEIGHT.get(kind, USUAL_BAR_HEIGHT)
    return LegendEntry(kind, label, (USUAL_BAR_HEIGHT - height) / 2, height)


LEGEND = (
    _entry("running", "Running"),
    _entry("succeeded", "Succeeded attempt"),
    _entry("failed", "Failed attempt"),
    _entry("backoff", "Back-off"),
    _entry("waiting", "Waiting"),
    _entry("context", "Child context"),
    _entry("queued", "In the queue"),
    _entry("suspended", "Suspended, no worker in use"),
    _entry("stopped", "Ended with its execution"),
)


def legend_of(timeline: Timeline) -> list[LegendEntry]:
    """What the bars of this timeline mean, no more."""
    drawn = {segment.kind for row in timeline.rows for segment in row.segments}
    return [entry for entry in LEGEND if entry.kind in drawn]


def timeline_svg(timeline: Timeline) -> SafeString:
    """Return the SVG. Joined in Python: a template loop takes fifty times as long for thousands of bars."""
    height = AXIS_HEIGHT + ROW_HEIGHT * len(timeline.rows)
    live = f' data-now="{timeline.now}" data-span="{timeline.span_seconds}"' if timeline.now is not None else ""
    label = escape(_summary(timeline))
    parts = [
        f'<svg class="timeline-svg" width="100%" height="{height}" role="img" aria-label="{label}"{live}>',
        *_axis(timeline, height),
        *(part for index, row in enumerate(timeline.rows) for part in _row(row, AXIS_HEIGHT + index * ROW_HEIGHT)),
        *_now(timeline, height),
        "</svg>",
    ]
    # Safe: every text in it went through escape(), everything else is a number or a fixed word.
    return SafeString("".join(parts))


def _summary(timeline: Timeline) -> str:
    return f"Timeline of {len(timeline.rows) - 1} operations; the steps page has the same as a table."


def _axis(timeline: Timeline, height: int) -> Iterator[str]:
    for tick in timeline.ticks:
        yield f'<line class="tick" x1="{tick.x}%" x2="{tick.x}%" y1="{AXIS_HEIGHT - 6}" y2="{height}"></line>'
        anchor = "start" if tick.x < 2 else "end" if tick.x > 96 else "middle"
        yield f'<text class="tick-label" x="{tick.x}%" y="15" text-anchor="{anchor}">{escape(tick.label)}</text>'


def _row(row: Row, top: int) -> Iterator[str]:
    yield f'<line class="row-line" x1="0" x2="100%" y1="{top}.5" y2="{top}.5"></line>'
    for segment in row.segments:
        yield _bar(segment, top, f"{row.label} · {segment.title}")


def _bar(segment: Segment, top: int, title: str) -> str:
    height = BAR_HEIGHT.get(segment.kind, USUAL_BAR_HEIGHT)
    y = top + (ROW_HEIGHT - height) / 2
    live = " data-grows" if segment.live else ""
    box = f'y="{y:g}" height="{height}" rx="{min(3, height // 2)}"'
    return (
        f'<g class="bar bar-{segment.kind}"><title>{escape(title)}</title>'
        f'<rect x="{segment.x}%" width="{LEAST_WIDTH}" {box}></rect>'
        f'<rect x="{segment.x}%" width="{segment.width}%" {box}{live}></rect></g>'
    )


def _now(timeline: Timeline, height: int) -> Iterator[str]:
    if timeline.now is not None:
        x, top = timeline.now, AXIS_HEIGHT - 6
        yield f'<line class="now" x1="{x}%" x2="{x}%" y1="{top}" y2="{height}"></line>'
