"""The rows of the steps tab: one an operation with what its attempts say, one for folded or left out ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

from django.urls import reverse

from dashboard.durations import in_words, offset
from dashboard.outline_view import OutlineView
from dashboard.statuses import operation_kind
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.operations import AttemptView, ErrorView, OperationView
from durable_engine.queries.outline import FoldedSiblings, OutlineLine

DEEPEST = 4  # the page indents no further


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt. `same_as` is the number of the attempt before it when that failed in the same way.

    `left_out` attempts before it are not shown.
    """

    attempt: AttemptView
    same_as: int
    left_out: int


@dataclass(frozen=True, slots=True)
class OperationAction:
    """What can be done to an operation; the ones that go back to it are `quiet`."""

    key: str
    label: str
    url: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class StepRow:
    """One operation as the page shows it.

    `version` changes whenever anything shown does; a refresh leaves a row of the same version alone. `error` is the
    operation's own error, when none of its attempts shows it already.
    """

    operation: OperationView
    label: str
    kind: str
    depth: int
    version: str
    offset: str
    ended_at: datetime | None
    next_attempt_at: datetime | None
    due_at: datetime | None
    actions: Sequence[OperationAction]
    is_open: bool
    is_asked_for: bool
    error: ErrorView | None
    attempts: Sequence[AttemptRow]
    template: str = "dashboard/execution/_operation.html"


@dataclass(frozen=True, slots=True)
class FoldedRow:
    """Siblings of one name that all succeeded."""

    id: str
    label: str
    depth: int
    members: int
    median: str
    longest: str
    offset: str
    length: str
    url: str
    template: str = "dashboard/execution/_folded.html"


@dataclass(frozen=True, slots=True)
class LeftOutRow:
    """What lies between two windows."""

    count: int
    url: str
    template: str = "dashboard/execution/_left_out.html"


def step_rows(
    execution: ExecutionSummary, view: OutlineView, *, may_operate: bool
) -> Iterator[StepRow | FoldedRow | LeftOutRow]:
    """Yield the rows in order. What failed, or fails now, or was asked for, is open."""
    reached = view.first if view.is_window else 0
    for line in view.outline.chosen:
        if line.position > reached:
            yield LeftOutRow(line.position - reached, view.window_url(reached))
        reached = line.position + 1
        if line.fold is not None:
            yield _folded(execution, line, line.fold, view)
        elif line.id in view.operations:
            yield _row(execution, view.operations[line.id], may_operate, asked_for=line.id == view.params.op)
    if not view.is_window and reached < view.outline.lines:
        yield LeftOutRow(view.outline.lines - reached, view.window_url(reached))


def _folded(execution: ExecutionSummary, line: OutlineLine, fold: FoldedSiblings, view: OutlineView) -> FoldedRow:
    return FoldedRow(
        id=line.id,
        label=line.name or line.id,
        depth=min(line.depth, DEEPEST),
        members=fold.members,
        median=in_words(fold.median_seconds),
        longest=in_words(fold.longest_seconds),
        offset=_offset(execution.created_at, line.started_at),
        length=in_words((line.changed_at - line.started_at).total_seconds()),
        url=view.group_url(line.first_event),
    )


def _row(execution: ExecutionSummary, operation: OperationView, may_operate: bool, *, asked_for: bool) -> StepRow:
    backs_off = operation.status == "PENDING" and execution.closed_at is None
    is_trouble = operation.status in {"FAILED", "TIMED_OUT", "PENDING"} and operation.type.upper() != "CONTEXT"
    return StepRow(
        operation=operation,
        label=operation.name or operation.id,
        kind=operation_kind(operation.type, operation.subtype),
        depth=min(operation.depth, DEEPEST),
        version=f"{crc32(repr((operation, execution.status, may_operate)).encode()):x}",
        offset=_offset(execution.created_at, operation.started_at),
        ended_at=operation.ended_at or execution.closed_at,
        next_attempt_at=operation.next_attempt_at if backs_off else None,
        due_at=operation.due_at if operation.status == "STARTED" and execution.closed_at is None else None,
        actions=list(_actions(execution, operation)) if may_operate else (),
        is_open=is_trouble or asked_for,
        is_asked_for=asked_for,
        error=operation.error if operation.error and not operation.attempts else None,
        attempts=list(_attempts(operation.attempts)),
    )


def _actions(execution: ExecutionSummary, operation: OperationView) -> Iterator[OperationAction]:
    """What applies by what the page knows; the service has the last word."""

    def action(key: str, label: str, *, quiet: bool = False) -> OperationAction:
        url = reverse(f"dashboard:operation-{key}", args=[execution.id, operation.id])
        return OperationAction(key, label, url, quiet)

    kind = operation.type.upper()
    if execution.closed_at is None:
        if operation.status == "PENDING" and execution.status != "PAUSED":
            yield action("retry", "Retry now")
        if operation.status == "STARTED" and kind == "WAIT":
            yield action("skip", "Skip this wait")
        waits_outside = kind in {"CALLBACK", "CHAINED_INVOKE"} and operation.status == "STARTED"
        if waits_outside or (kind == "STEP" and operation.status in {"STARTED", "PENDING", "READY"}):
            yield action("complete", "Complete by hand")
    if (execution.closed_at is not None or execution.status == "PAUSED") and execution.superseded_by is None:
        yield action("rewind", "Rewind to here", quiet=True)
    yield action("fork", "Fork from here", quiet=True)


def _attempts(attempts: Sequence[AttemptView]) -> Iterator[AttemptRow]:
    before = AttemptView(0, None)
    for attempt in attempts:
        same = attempt.error is not None and attempt.error == before.error
        yield AttemptRow(attempt, before.number if same else 0, attempt.number - before.number - 1)
        before = attempt


def _offset(start: datetime, moment: datetime | None) -> str:
    return "" if moment is None else offset((moment - start).total_seconds())
