"""Draws a timeline: a line for each operation, its label beside its bars.

Where a bar lies stands in attributes, its height and colour in classes, so that it holds under a strict CSP. Joined in
Python: a template loop takes fifty times as long for thousands of bars. Every line says only what differs from the one
before it, which is what travels of it: two hundred lines have to fit into five kilobytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from django.utils.html import conditional_escape, escape
from django.utils.safestring import SafeString

from dashboard.templatetags.display import middle, status_glyph
from dashboard.timeline import Row, Segment, Timeline
from dashboard.timeline_axis import Gap

ROW_HEIGHT = 28
BAR_HEIGHT = {"queued": 6, "suspended": 4, "backoff": 4, "context": 6, "folded": 10}
USUAL_BAR_HEIGHT = 14
LEAST_WIDTH = 3  # pixels: a step of a millisecond in an hour stays visible
LABEL_LENGTH = 30
FOLDED_LENGTH = 24


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
    _entry("folded", "Siblings that succeeded, folded"),
    _entry("queued", "In the queue"),
    _entry("suspended", "Suspended, no worker in use"),
    _entry("stopped", "Ended with its execution"),
    _entry("squeezed", "A time that is drawn shorter"),
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the lines lead: an operation to the page of steps, folded siblings to these, what is left out to a window.

    `group_url` takes what names the siblings, `window_url` a position.
    """

    steps_url: str
    group_url: Callable[[int], str]
    window_url: Callable[[int], str]


def legend_of(timeline: Timeline) -> list[LegendEntry]:
    """What the bars of this timeline mean, no more."""
    drawn: set[str] = {segment.kind for row in timeline.rows for segment in row.segments}
    if timeline.axis.gaps:
        drawn.add("squeezed")
    return [entry for entry in LEGEND if entry.kind in drawn]


def draw_timeline(timeline: Timeline, places: Places | None = None, corner: SafeString | str = "") -> SafeString:
    """Return the lines with the axis behind them; without `places` nothing leads anywhere.

    `corner` stands above the labels.
    """
    live = f' data-now="{timeline.now}" data-rate="{timeline.axis.rate}"' if timeline.now is not None else ""
    parts = [
        f'<div class="timeline"{live}>',
        f'<div class="timeline-corner muted">{conditional_escape(corner)}</div>',
        *_behind(timeline),
        *(_line(row, places) for row in timeline.rows),
        *_before(timeline),
        "</div>",
    ]
    # Safe: every text in it went through escape(), everything else is a number or a fixed word.
    return SafeString("".join(parts))


def _behind(timeline: Timeline) -> Iterator[str]:
    """The axis: its marks reach down behind all lines."""
    count = sum(bool(row.operation_id) for row in timeline.rows)
    label = f"Timeline of {count} operations; the steps page has the same as a table."
    yield f'<svg class="timeline-svg timeline-behind" role="img" aria-label="{label}">'
    for tick in timeline.axis.ticks:
        yield f'<line class="tick" x1="{tick.x}%" x2="{tick.x}%" y1="22" y2="100%"></line>'
        if tick.label:
            kind = "tick-label tick-spare" if tick.is_spare else "tick-label"
            place = f'x="{tick.x}%" y="15" text-anchor="{tick.anchor}"'
            yield f'<text class="{kind}" {place}>{escape(tick.label)}</text>'
    yield "</svg>"


def _before(timeline: Timeline) -> Iterator[str]:
    """What lies over the bars: times that are drawn shorter than they were, and the line of now."""
    if not timeline.axis.gaps and timeline.now is None:
        return
    yield '<svg class="timeline-svg timeline-before" aria-hidden="true">'
    for gap in timeline.axis.gaps:
        yield _gap(gap, timeline.gap_meaning)
    if timeline.now is not None:
        yield f'<line class="now" x1="{timeline.now}%" x2="{timeline.now}%" y1="22" y2="100%"></line>'
    yield "</svg>"


def _gap(gap: Gap, meaning: str) -> str:
    label = escape(gap.label)
    return (
        f'<g class="squeezed"><title>{label} {escape(meaning)}, drawn shorter</title>'
        f'<rect x="{gap.x:.3f}%" y="22" width="{gap.width}%" height="100%"></rect>'
        f'<text class="tick-label" x="{gap.x + gap.width / 2:.3f}%" y="{ROW_HEIGHT + 4}">{label}</text></g>'
    )


def _line(row: Row, places: Places | None) -> str:
    bars = "".join(map(_bar, row.segments))
    return (
        f'<div class="timeline-row"><div class="timeline-label depth-{row.depth}">{_label(row, places)}</div>'
        f'<svg class="timeline-bars" aria-hidden="true">{bars}</svg></div>'
    )


def _label(row: Row, places: Places | None) -> str:
    if row.left_out:
        return _linked(
            places.window_url(row.start) if places else None, escape(row.label), ' class="timeline-left-out"'
        )
    status = row.status
    return (
        f'<span class="glyph-box tone-{status.tone}" title="{escape(status.label)}">{status_glyph(status)}</span>'
        f'{_name(row, places)}<span class="visually-hidden">{escape(status.label)}</span>'
        f'<span class="timeline-length">{escape(row.length)}</span>'
    )


def _name(row: Row, places: Places | None) -> str:
    if row.members:
        text = f"{conditional_escape(middle(row.label, FOLDED_LENGTH))} \N{MULTIPLICATION SIGN} {row.members:,}"
        return _linked(places.group_url(row.group) if places else None, text)
    text = conditional_escape(middle(row.label, LABEL_LENGTH))
    if places is None or not row.operation_id:
        return f"<strong>{text}</strong>"
    # Without a fragment, which would say it twice: the page of steps gives what it is asked for the focus.
    return f'<a href="{escape(places.steps_url)}?op={quote(row.operation_id, safe="")}">{text}</a>'


def _linked(url: str | None, text: str, attributes: str = "") -> str:
    return f"<span{attributes}>{text}</span>" if url is None else f'<a href="{escape(url)}"{attributes}>{text}</a>'


def _bar(segment: Segment) -> str:
    live = " data-grows" if segment.live else ""
    return (
        f'<svg class="bar bar-{segment.kind}" x="{segment.x:g}%"><title>{escape(segment.title)}</title>'
        f'<rect width="{LEAST_WIDTH}"/><rect width="{segment.width:g}%"{live}/></svg>'
    )
