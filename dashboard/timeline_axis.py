"""The axis of a timeline: from moments to percentages, with its marks, and long idle times squeezed when asked to.

Positions are percentages, so the picture fits any width without a style attribute. A live axis ends a little after now,
at a round length: its bars do not creep with every refresh.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from dashboard.durations import in_words

HEAD_ROOM = 1.08
NICE_SECONDS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200)
NICE_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(hours * 3600 for hours in (1, 2, 3, 6, 12, 24, 48, 168, 720, 2160, 8760)),
)
MOST_TICKS = 7
LEAST_IDLE = 0.1  # of the whole: shorter idle times stay as long as they are
LEAST_BESIDE_BUSY = 0.25  # of the busy time, where only that is of interest
MOST_GAPS = 8
SQUEEZED_WIDTH = 5.0  # percent
# How narrow a drawing may become, in pixels: beside its labels (timeline.css), and below them on the smallest phone.
BESIDE_LABELS, BELOW_LABELS = 448, 254
CHARACTER = 6.8  # pixels, of the widest of usual fonts
LABEL_GAP = 6  # pixels between two labels

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark, `x` in percent. Its label is empty where it has no room, and `is_spare` when it has none on a phone."""

    x: float
    label: str
    is_spare: bool = False

    @property
    def anchor(self) -> Literal["start", "middle", "end"]:
        """Where the label lies at its mark: within the drawing at both ends."""
        return "start" if self.x < 2 else "end" if self.x > 92 else "middle"

    def reach(self, width: int) -> tuple[float, float]:
        """From where to where the label goes, in pixels of a drawing of that width."""
        length = CHARACTER * len(self.label)
        left = self.x / 100 * width - {"start": 0, "middle": length / 2, "end": length}[self.anchor]
        return left, left + length


@dataclass(frozen=True, slots=True)
class Gap:
    """An idle time that is drawn shorter than it was."""

    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of the axis along which time goes evenly."""

    start: datetime
    seconds: float
    x: float
    width: float
    is_squeezed: bool

    def at(self, moment: datetime) -> float:
        return self.x + (moment - self.start).total_seconds() / self.seconds * self.width


@dataclass(frozen=True, slots=True)
class Axis:
    """Where moments lie. `now` ends what has not ended; `rate` is how far now moves, in percent a second."""

    start: datetime
    now: datetime
    pieces: tuple[_Piece, ...]
    ticks: tuple[Tick, ...]
    gaps: tuple[Gap, ...]
    can_squeeze: bool

    def x(self, moment: datetime) -> float:
        """The position of a moment, to a tenth of a pixel; what lies outside is on the edge."""
        piece = next((each for each in reversed(self.pieces) if moment >= each.start), self.pieces[0])
        return round(min(max(piece.at(moment), 0.0), 100.0), 2)

    @property
    def rate(self) -> float:
        """How fast the line of now moves."""
        last = self.pieces[-1]
        return 0.0 if last.is_squeezed else round(last.width / last.seconds, 6)


def axis_of(
    start: datetime,
    end: datetime,
    now: datetime,
    busy: Iterable[Interval],
    *,
    live: bool,
    squeeze: bool,
    only_busy: bool = False,
) -> Axis:
    """Return the axis from `start` to `end`, or with `live` to somewhat beyond.

    `busy` is when something ran: with `squeeze` long times between are squeezed, with `only_busy` shorter ones too.
    """
    elapsed = max((end - start).total_seconds(), 0.0)
    span = _live_span(elapsed) if live else max(elapsed * 1.01, 0.02)
    idle = _idle_times(start, start + timedelta(seconds=elapsed), busy, only_busy=only_busy) if elapsed else []
    if not (squeeze and idle):
        whole = _Piece(start, span, 0.0, 100.0, is_squeezed=False)
        return Axis(start, now, (whole,), _labelled(_ticks(span)), (), can_squeeze=bool(idle))
    # Beyond the end as much of the part that is not squeezed as an even axis would leave of the whole.
    active = max(elapsed - sum(map(_seconds, idle)), 0.02)
    room = active * (HEAD_ROOM - 1 if live else 0.01)
    pieces = tuple(_pieces(start, start + timedelta(seconds=elapsed + room), idle))
    gaps = tuple(Gap(piece.x, piece.width, in_words(piece.seconds)) for piece in pieces if piece.is_squeezed)
    return Axis(start, now, pieces, _labelled(_ticks_of_pieces(start, pieces)), gaps, can_squeeze=True)


def _live_span(elapsed: float) -> float:
    wanted = elapsed * HEAD_ROOM
    for seconds in NICE_SECONDS:
        if wanted <= seconds:
            return float(seconds)
    return (wanted // 3600 + 1) * 3600.0


def _idle_times(start: datetime, end: datetime, busy: Iterable[Interval], *, only_busy: bool) -> list[Interval]:
    """The longest times without anything, in their order."""
    between: list[Interval] = []
    reached = start
    for begin, until in [*sorted(busy), (end, end)]:
        if begin > reached:
            between.append((reached, begin))
        reached = max(reached, until)
    whole = _seconds((start, end))
    least = (whole - sum(map(_seconds, between))) * LEAST_BESIDE_BUSY if only_busy else whole * LEAST_IDLE
    longest = sorted((each for each in between if _seconds(each) >= least), key=_seconds)[-MOST_GAPS:]
    return sorted(longest)


def _seconds(interval: Interval) -> float:
    return (interval[1] - interval[0]).total_seconds()


def _pieces(start: datetime, end: datetime, idle: Sequence[Interval]) -> Iterator[_Piece]:
    """The even parts: squeezed ones have a fixed width, the others share what is left by their length."""
    left = 100.0 - SQUEEZED_WIDTH * len(idle)
    active = _seconds((start, end)) - sum(map(_seconds, idle))
    x, reached = 0.0, start
    for begin, until in [*idle, (end, end)]:
        seconds = (begin - reached).total_seconds()
        if seconds > 0:
            width = left * seconds / active
            yield _Piece(reached, seconds, x, width, is_squeezed=False)
            x += width
        if until > begin:
            yield _Piece(begin, (until - begin).total_seconds(), x, SQUEEZED_WIDTH, is_squeezed=True)
            x += SQUEEZED_WIDTH
        reached = until


def _ticks(span: float) -> Iterator[Tick]:
    step = next((step for step in NICE_STEPS if span / step <= MOST_TICKS), span / MOST_TICKS)
    for index in range(int(span / step) + 1):
        yield Tick(round(index * step / span * 100, 3), "0" if index == 0 else _tick_label(index * step))


def _ticks_of_pieces(start: datetime, pieces: Sequence[_Piece]) -> Iterator[Tick]:
    for piece in pieces:
        if not piece.is_squeezed:
            after = (piece.start - start).total_seconds()
            yield Tick(round(piece.x, 3), "0" if after == 0 else in_words(after))


def _labelled(ticks: Iterable[Tick]) -> tuple[Tick, ...]:
    """The ticks without the labels that would write over others."""
    marks = tuple(ticks)
    beside = _legible(marks, BESIDE_LABELS)
    below = _legible(beside, BELOW_LABELS)
    return tuple(Tick(mark.x, mark.label if mark in beside else "", is_spare=mark not in below) for mark in marks)


def _legible(ticks: Sequence[Tick], width: int) -> Sequence[Tick]:
    """The ticks whose labels have room in a drawing of that width: all, or every second, or every third."""
    for step in range(1, len(ticks)):
        reaches = [tick.reach(width) for tick in ticks[::step]]
        if all(before[1] + LABEL_GAP <= after[0] for before, after in pairwise(reaches)):
            return ticks[::step]
    return ticks[:1]


def _tick_label(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest:02} s" if rest else "")
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h" + (f" {minutes:02} min" if minutes else "")
    return f"{hours // 24} d" + (f" {hours % 24} h" if hours % 24 else "")
