"""The timeline of one execution: from operations and invocations to bars, by pure functions.

Positions are percentages of the axis, so the picture fits any width without a style attribute. A live execution's axis
ends a little after now, at a round length: its bars do not creep with every refresh.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from dashboard.durations import in_words
from dashboard.statuses import Status, execution_status, operation_status

SegmentKind = Literal[
    "queued", "running", "succeeded", "failed", "backoff", "waiting", "suspended", "context", "stopped"
]

# Beyond this many rows the first and the last half are shown.
MOST_ROWS = 200
HEAD_ROOM = 1.08
NICE_SECONDS = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200)
NICE_STEPS = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
)
MOST_TICKS = 7


class AttemptLike(Protocol):
    """What the timeline reads of an attempt."""

    @property
    def number(self) -> int: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def status(self) -> str: ...
    @property
    def retry_delay_seconds(self) -> float | None: ...


class OperationLike(Protocol):
    """What the timeline reads of an operation."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    @property
    def depth(self) -> int: ...
    @property
    def status(self) -> str: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def attempts(self) -> Sequence[AttemptLike]: ...


class InvocationLike(Protocol):
    """What the timeline reads of an invocation."""

    @property
    def started_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """The execution itself, as the axis needs it."""

    status: str
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One bar. `x` and `width` are percentages; `live` bars grow until the next refresh."""

    kind: SegmentKind
    x: float
    width: float
    title: str
    live: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line: an operation, or (without an id) the execution itself."""

    operation_id: str
    label: str
    depth: int
    status: Status
    length: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark of the axis, `x` in percent."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that is drawn. `now` is the position of the current time, None for a closed execution."""

    started_at: datetime
    span_seconds: float
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    now: float | None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Axis:
    start: datetime
    span: float
    now: datetime

    def x(self, moment: datetime) -> float:
        return round(min(max((moment - self.start).total_seconds() / self.span * 100, 0.0), 100.0), 3)

    def segment(self, kind: SegmentKind, start: datetime, end: datetime | None, what: str) -> Segment:
        until = end or self.now
        x = self.x(start)
        length = in_words((until - start).total_seconds())
        return Segment(kind, x, round(max(self.x(until) - x, 0.0), 3), f"{what}: {length}", live=end is None)


def build_timeline(
    run: Run, operations: Sequence[OperationLike], invocations: Sequence[InvocationLike], now: datetime
) -> Timeline:
    """Lay out one execution. `now` is used for what has not ended; a closed execution ends everything it left open."""
    now = max(run.closed_at or now, run.created_at)
    axis = _Axis(run.created_at, _span_seconds((now - run.created_at).total_seconds(), live=run.closed_at is None), now)
    shown, left_out = _first_and_last(operations)
    rows = [_execution_row(run, invocations, axis)]
    rows += [_operation_row(operation, axis, run.closed_at) for operation in shown]
    return Timeline(
        started_at=run.created_at,
        span_seconds=axis.span,
        rows=tuple(rows),
        ticks=tuple(_ticks(axis.span)),
        now=axis.x(now) if run.closed_at is None else None,
        left_out=left_out,
    )


def _span_seconds(elapsed: float, *, live: bool) -> float:
    if not live:
        return max(elapsed * 1.01, 0.02)
    wanted = elapsed * HEAD_ROOM
    for seconds in NICE_SECONDS:
        if wanted <= seconds:
            return float(seconds)
    hours = 3600.0
    return (wanted // hours + 1) * hours


def _ticks(span: float) -> Iterator[Tick]:
    step = next((step for step in NICE_STEPS if span / step <= MOST_TICKS), 0) or _day_step(span)
    count = int(span / step)
    for index in range(count + 1):
        yield Tick(round(index * step / span * 100, 3), "0" if index == 0 else _tick_label(index * step))


def _day_step(span: float) -> float:
    hours = 3600.0
    for step in (2, 3, 6, 12, 24, 48, 168, 720, 2160, 8760):
        if span / (step * hours) <= MOST_TICKS:
            return step * hours
    return span / MOST_TICKS


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


def _first_and_last(operations: Sequence[OperationLike]) -> tuple[Sequence[OperationLike], int]:
    if len(operations) <= MOST_ROWS:
        return operations, 0
    half = MOST_ROWS // 2
    return [*operations[:half], *operations[-half:]], len(operations) - MOST_ROWS


def _execution_row(run: Run, invocations: Sequence[InvocationLike], axis: _Axis) -> Row:
    segments: list[Segment] = []
    before = run.created_at
    for number, invocation in enumerate(invocations, start=1):
        kind: SegmentKind = "queued" if number == 1 else "suspended"
        what = "In the queue" if number == 1 else "Suspended, no worker in use"
        segments.append(axis.segment(kind, before, invocation.started_at, what))
        end = invocation.ended_at or run.closed_at
        segments.append(axis.segment("running", invocation.started_at, end, f"Invocation {number}"))
        before = end or axis.now
    if run.closed_at is None and before < axis.now:
        kind = "suspended" if run.status in {"SUSPENDED", "PAUSED"} else "queued"
        segments.append(axis.segment(kind, before, None, execution_status(run.status).label))
    length = in_words((axis.now - run.created_at).total_seconds())
    return Row("", "Execution", 0, execution_status(run.status), length, _visible(segments))


def _operation_row(operation: OperationLike, axis: _Axis, closed_at: datetime | None) -> Row:
    status = operation_status(operation.type, operation.status)
    end = operation.ended_at or closed_at
    length = ""
    segments: tuple[Segment, ...] = ()
    if operation.started_at is not None:
        length = in_words(((end or axis.now) - operation.started_at).total_seconds())
        if operation.attempts:
            segments = _visible(list(_attempt_segments(operation, axis, closed_at)))
        else:
            kind = _whole_kind(operation.type, status.tone)
            segments = (axis.segment(kind, operation.started_at, end, status.label),)
    return Row(operation.id, operation.name or operation.id, operation.depth, status, length, segments)


def _whole_kind(operation_type: str, tone: str) -> SegmentKind:
    """The bar of an operation without attempts: a wait, a callback, an invoke or a child context."""
    if tone in {"failed", "timed-out"}:
        return "failed"
    if tone == "stopped":
        return "stopped"
    return "context" if operation_type.upper() == "CONTEXT" else "waiting"


def _attempt_segments(operation: OperationLike, axis: _Axis, closed_at: datetime | None) -> Iterator[Segment]:
    due: datetime | None = None
    for attempt in operation.attempts:
        if attempt.started_at is None:
            continue
        if due is not None and attempt.started_at > due:
            yield axis.segment(
                "queued", due, attempt.started_at, f"Waited for a worker before attempt {attempt.number}"
            )
        end = attempt.ended_at or closed_at
        yield axis.segment(_attempt_kind(attempt, closed_at), attempt.started_at, end, _attempt_title(attempt))
        due = None
        if attempt.ended_at is not None and attempt.retry_delay_seconds is not None:
            due = attempt.ended_at + timedelta(seconds=attempt.retry_delay_seconds)
            yield axis.segment(
                "backoff", attempt.ended_at, min(due, axis.now), f"Back-off after attempt {attempt.number}"
            )


def _attempt_kind(attempt: AttemptLike, closed_at: datetime | None) -> SegmentKind:
    if attempt.status == "SUCCEEDED":
        return "succeeded"
    if attempt.ended_at is not None:
        return "failed"
    return "running" if closed_at is None else "stopped"


def _attempt_title(attempt: AttemptLike) -> str:
    return f"Attempt {attempt.number}, {operation_status('STEP', attempt.status).label.lower()}"


def _visible(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    # A queue or pause too short to see would only add a sliver between two bars.
    quiet = {"queued", "suspended", "backoff"}
    return tuple(segment for segment in segments if segment.width > 0 or segment.kind not in quiet)
