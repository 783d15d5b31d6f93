"""The timeline of one execution: from lines, operations and invocations to bars, by pure functions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol

from dashboard.durations import in_words
from dashboard.statuses import Status, execution_status, operation_status
from dashboard.timeline_axis import Axis, Interval, axis_of
from durable_engine.queries.outline import FoldedSiblings, OutlineLine

SpanKind = Literal[
    "queued", "running", "succeeded", "failed", "backoff", "waiting", "suspended", "context", "stopped", "folded"
]

# An invocation or an attempt uses a worker; everything else only takes time.
BUSY: frozenset[SpanKind] = frozenset({"running", "succeeded", "failed", "stopped", "folded"})
QUIET: frozenset[SpanKind] = frozenset({"queued", "suspended", "backoff"})


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
    """What the timeline reads of an invocation, or of several near each other."""

    @property
    def number(self) -> int: ...
    @property
    def invocations(self) -> int: ...
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
class Span:
    """What one bar stands for. Without an end it has not ended; `uses_worker` is false for waits."""

    kind: SpanKind
    start: datetime
    end: datetime | None
    what: str
    uses_worker: bool = True


@dataclass(frozen=True, slots=True)
class Segment:
    """One bar. `x` and `width` are percentages; `live` bars grow until the next refresh."""

    kind: SpanKind
    x: float
    width: float
    title: str
    live: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One line: an operation, folded siblings (`members`), left out ones (`left_out`), or the execution (no id).

    `start` is the position to look at for what is left out; `group` names the folded siblings.
    """

    operation_id: str
    label: str
    depth: int
    status: Status
    length: str
    segments: tuple[Segment, ...] = ()
    members: int = 0
    group: int = 0
    left_out: int = 0
    start: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything that is drawn. `now` is the position of the current time, None when it is not in the picture.

    `gap_meaning` says what the squeezed times are.
    """

    axis: Axis
    rows: tuple[Row, ...]
    now: float | None
    gap_meaning: str = ""

    @property
    def can_squeeze(self) -> bool:
        """Whether there are idle times to squeeze; those of left out lines always are."""
        return self.axis.can_squeeze and not any(row.left_out for row in self.rows)


@dataclass(frozen=True, slots=True)
class _Line:
    """A row before it is known where its bars lie."""

    row: Row
    spans: tuple[Span, ...] = ()


def build_timeline(
    run: Run,
    lines: Sequence[OutlineLine],
    operations: Mapping[str, OperationLike],
    invocations: Sequence[InvocationLike],
    now: datetime,
    *,
    total: int = 0,
    is_window: bool = False,
    squeeze: bool = False,
) -> Timeline:
    """Lay out some lines of one execution.

    `total` lines there are in all: what is left out before, between and after these becomes rows of its own. A window
    has the axis of its own lines, anything else that of the whole execution with a row for its invocations. Long times
    in which nothing ran are squeezed when asked to, those of left out lines always. `now` is used for what has not
    ended; a closed execution ends everything it left open.
    """
    now = max(run.closed_at or now, run.created_at)
    drawn = [] if is_window else [_execution_line(run, invocations, now)]
    drawn += _operation_lines(run, lines, operations, now, 0 if is_window else total)
    start, end = _extent(lines, run, now) if is_window else (run.created_at, now)
    live = run.closed_at is None and end >= now
    omits = any(line.row.left_out for line in drawn)
    busy = _busy(drawn, now, shown_only=omits)
    axis = axis_of(start, end, now, busy, live=live, squeeze=squeeze or omits, only_busy=omits)
    rows = tuple(_placed(line, axis) for line in drawn)
    return Timeline(axis, rows, axis.x(now) if live else None, "not shown" if omits else "in which nothing ran")


def _extent(lines: Sequence[OutlineLine], run: Run, now: datetime) -> Interval:
    if not lines:
        return run.created_at, now
    is_open = run.closed_at is None and any(line.status in {"STARTED", "PENDING"} for line in lines)
    return min(line.started_at for line in lines), now if is_open else max(line.changed_at for line in lines)


def _busy(lines: Sequence[_Line], now: datetime, *, shown_only: bool) -> Iterator[Interval]:
    """When something ran; with `shown_only`, when any of the operations shown was under way."""
    for line in lines:
        for span in line.spans:
            if line.row.operation_id if shown_only else span.kind in BUSY and span.uses_worker:
                yield span.start, span.end or now


def _placed(line: _Line, axis: Axis) -> Row:
    segments = []
    for span in line.spans:
        until = span.end or axis.now
        x = axis.x(span.start)
        width = round(max(axis.x(until) - x, 0.0), 2)
        # A queue or pause too short to see would only add a sliver between two bars; what lies outside is not drawn.
        if (width == 0 and span.kind in QUIET) or until < axis.start:
            continue
        length = in_words((until - span.start).total_seconds())
        # The line says it already of a bar that is all of it.
        title = span.what if length == line.row.length else f"{span.what}: {length}"
        segments.append(Segment(span.kind, x, width, title, live=span.end is None))
    return replace(line.row, segments=tuple(segments))


def _execution_line(run: Run, invocations: Sequence[InvocationLike], now: datetime) -> _Line:
    status = execution_status(run.status)
    length = in_words((now - run.created_at).total_seconds())
    return _Line(Row("", "Execution", 0, status, length), tuple(_execution_spans(run, invocations, now)))


def _execution_spans(run: Run, invocations: Sequence[InvocationLike], now: datetime) -> Iterator[Span]:
    before = run.created_at
    for invocation in invocations:
        first = invocation.number == 1
        kind: SpanKind = "queued" if first else "suspended"
        yield Span(kind, before, invocation.started_at, "In the queue" if first else "Suspended, no worker in use")
        end = invocation.ended_at or run.closed_at
        yield Span("running", invocation.started_at, end, _invocation_title(invocation))
        before = end or now
    if run.closed_at is None and before < now:
        kind = "suspended" if run.status in {"SUSPENDED", "PAUSED"} else "queued"
        yield Span(kind, before, None, execution_status(run.status).label)


def _invocation_title(invocation: InvocationLike) -> str:
    if invocation.invocations == 1:
        return f"Invocation {invocation.number}"
    return f"{invocation.invocations:,} invocations from number {invocation.number:,}"


def _operation_lines(
    run: Run, lines: Sequence[OutlineLine], operations: Mapping[str, OperationLike], now: datetime, total: int
) -> Iterator[_Line]:
    reached = 0
    for line in lines:
        if total and line.position > reached:
            yield _left_out(reached, line.position)
        reached = line.position + 1
        if line.fold is not None:
            yield _folded_line(line, line.fold)
        elif line.id in operations:
            yield _operation_line(operations[line.id], run.closed_at, now)
    if total > reached:
        yield _left_out(reached, total)


def _left_out(start: int, end: int) -> _Line:
    count = end - start
    label = f"{count:,} operation{'' if count == 1 else 's'} not shown"
    return _Line(Row("", label, 0, operation_status("", "CANCELLED"), "", left_out=count, start=start))


def _folded_line(line: OutlineLine, fold: FoldedSiblings) -> _Line:
    median, longest = in_words(fold.median_seconds), in_words(fold.longest_seconds)
    what = f"{fold.members:,} succeeded, half within {median}, the longest took {longest}; from first to last"
    row = Row(
        line.id,
        line.name or line.id,
        line.depth,
        operation_status("", "SUCCEEDED"),
        f"~{median} each",
        members=fold.members,
        group=line.first_event,
    )
    return _Line(row, (Span("folded", line.started_at, line.changed_at, what),))


def _operation_line(operation: OperationLike, closed_at: datetime | None, now: datetime) -> _Line:
    status = operation_status(operation.type, operation.status)
    end = operation.ended_at or closed_at
    length = ""
    spans: tuple[Span, ...] = ()
    if operation.started_at is not None:
        length = in_words(((end or now) - operation.started_at).total_seconds())
        if operation.attempts:
            spans = tuple(_attempt_spans(operation, closed_at, now))
        else:
            kind = _whole_kind(operation.type, status.tone)
            spans = (Span(kind, operation.started_at, end, status.label, uses_worker=False),)
    return _Line(Row(operation.id, operation.name or operation.id, operation.depth, status, length), spans)


def _whole_kind(operation_type: str, tone: str) -> SpanKind:
    """The bar of an operation without attempts: a wait, a callback, an invoke or a child context."""
    if tone in {"failed", "timed-out"}:
        return "failed"
    if tone == "stopped":
        return "stopped"
    return "context" if operation_type.upper() == "CONTEXT" else "waiting"


def _attempt_spans(operation: OperationLike, closed_at: datetime | None, now: datetime) -> Iterator[Span]:
    due: datetime | None = None
    before = 0
    for attempt in operation.attempts:
        # Of very many attempts the middle ones are not there.
        due = due if attempt.number == before + 1 else None
        before = attempt.number
        if attempt.started_at is None:
            continue
        if due is not None and attempt.started_at > due:
            yield Span("queued", due, attempt.started_at, f"Waited for a worker before attempt {attempt.number}")
        end = attempt.ended_at or closed_at
        yield Span(_attempt_kind(attempt, closed_at), attempt.started_at, end, _attempt_title(attempt))
        due = None
        if attempt.ended_at is not None and attempt.retry_delay_seconds is not None:
            due = attempt.ended_at + timedelta(seconds=attempt.retry_delay_seconds)
            yield Span("backoff", attempt.ended_at, min(due, now), f"Back-off after attempt {attempt.number}")


def _attempt_kind(attempt: AttemptLike, closed_at: datetime | None) -> SpanKind:
    if attempt.status == "SUCCEEDED":
        return "succeeded"
    if attempt.ended_at is not None:
        return "failed"
    return "running" if closed_at is None else "stopped"


def _attempt_title(attempt: AttemptLike) -> str:
    return f"Attempt {attempt.number}, {operation_status('STEP', attempt.status).label.lower()}"
