"""The minimap of a long execution: when its operations began and how they ended; its parts lead to windows."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from math import log1p

from django.utils.html import escape
from django.utils.safestring import SafeString

from dashboard.durations import in_words, offset
from durable_engine.queries.outline import SLICES, STOPS, Outline

HEIGHT = 56
STRIP_HEIGHT = 6  # the invocations, under the columns
COLUMNS_HEIGHT = HEIGHT - STRIP_HEIGHT - 4
# From the bottom up, each a class of `timeline.css`; what is not named here is stacked as stopped.
STACK = {
    "SUCCEEDED": "succeeded",
    "STARTED": "running",
    "PENDING": "backoff",
    "CANCELLED": "stopped",
    "STOPPED": "stopped",
    "TIMED_OUT": "failed",
    "FAILED": "failed",
}


@dataclass(frozen=True, slots=True)
class View:
    """Which part of the execution's time the chosen lines are of, in percent; without a width none in particular."""

    x: str = "0%"
    width: str = "0"


@dataclass(frozen=True, slots=True)
class Minimap:
    """The picture and the words for people who do not see it."""

    svg: SafeString
    start_label: str
    end_label: str


def minimap_of(
    outline: Outline, started_at: datetime, until: datetime, url_of: Callable[[int], str], *, is_window: bool
) -> Minimap:
    """Draw the whole execution; `url_of` gives the address of the window that begins at a position.

    With `is_window` the time of the chosen lines is marked.
    """
    seconds = max((until - started_at).total_seconds(), 0.001)
    view = view_of(outline, started_at, until, is_window=is_window)
    parts = [
        f'<svg class="minimap" width="100%" height="{HEIGHT}" role="group" aria-label="The whole execution">',
        *_columns(outline),
        *_strip(outline, started_at, seconds),
        f'<rect class="minimap-view" x="{view.x}" y="0" width="{view.width}" height="100%"></rect>',
        *_stops(outline, seconds, url_of),
        "</svg>",
    ]
    # Safe: numbers, fixed words, and addresses that went through escape().
    return Minimap(SafeString("".join(parts)), "0", in_words(seconds))


def view_of(outline: Outline, started_at: datetime, until: datetime, *, is_window: bool) -> View:
    """Where the chosen lines lie when they are a window of a longer execution."""
    lines = outline.chosen
    if not (is_window and lines):
        return View()
    seconds = max((until - started_at).total_seconds(), 0.001)
    left = _percent(min(line.started_at for line in lines), started_at, seconds)
    right = _percent(max(line.changed_at for line in lines), started_at, seconds)
    return View(f"{left:.2f}%", f"{max(right - left, 0.4):.2f}%")


def _columns(outline: Outline) -> Iterator[str]:
    """One column a slice, stacked; the height grows with the logarithm, so that one failure among thousands shows."""
    columns: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for part in outline.slices:
        columns[part.slice][STACK.get(part.status, "stopped")] += part.operations
    highest = max((sum(column.values()) for column in columns.values()), default=1)
    width = 100 / SLICES
    for place, column in sorted(columns.items()):
        total = sum(column.values())
        height = COLUMNS_HEIGHT * max(log1p(total) / log1p(highest), 0.08)
        bottom = float(COLUMNS_HEIGHT)
        for kind in dict.fromkeys(STACK.values()):
            if count := column.get(kind, 0):
                tall = max(height * count / total, 2.0)
                # A little wider than its place: else a line of the ground shines through where pixels are rounded.
                yield (
                    f'<rect class="bar-{kind}" x="{place * width:.3f}%" y="{bottom - tall:.1f}"'
                    f' width="{width + 0.06:.3f}%" height="{tall:.1f}"></rect>'
                )
                bottom -= tall


def _strip(outline: Outline, started_at: datetime, seconds: float) -> Iterator[str]:
    for each in outline.invocations:
        x = _percent(each.started_at, started_at, seconds)
        width = max(_percent(each.ended_at, started_at, seconds) - x, 0.15)
        yield (
            f'<rect class="bar-running" x="{x:.3f}%" y="{HEIGHT - STRIP_HEIGHT}" width="{width:.3f}%"'
            f' height="{STRIP_HEIGHT}"></rect>'
        )


def _stops(outline: Outline, seconds: float, url_of: Callable[[int], str]) -> Iterator[str]:
    width = 100 / STOPS
    for place, position in outline.stops:
        title = f"Show what began {offset(seconds * place / STOPS)} after the start"
        yield (
            f'<a href="{escape(url_of(position))}" aria-label="{title}"><title>{title}</title>'
            f'<rect class="minimap-stop" x="{place * width:.2f}%" y="0" width="{width:.2f}%" height="100%"></rect></a>'
        )


def _percent(moment: datetime, started_at: datetime, seconds: float) -> float:
    return min(max((moment - started_at).total_seconds() / seconds * 100, 0.0), 100.0)
