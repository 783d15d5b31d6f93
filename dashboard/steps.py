"""The rows of the steps tab: one an operation, with what its attempts say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

from dashboard.durations import offset
from dashboard.statuses import operation_kind
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.operations import ErrorView, OperationView

DEEPEST = 4  # the page indents no further


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
    can_retry: bool
    is_open: bool
    error: ErrorView | None


def step_rows(execution: ExecutionSummary, operations: Sequence[OperationView], *, may_operate: bool) -> list[StepRow]:
    """Return one row an operation, in the order they began. What failed, or fails now, is open."""
    return [_row(execution, operation, may_operate) for operation in operations]


def _row(execution: ExecutionSummary, operation: OperationView, may_operate: bool) -> StepRow:
    backs_off = operation.status == "PENDING" and execution.closed_at is None
    return StepRow(
        operation=operation,
        label=operation.name or operation.id,
        kind=operation_kind(operation.type, operation.subtype),
        depth=min(operation.depth, DEEPEST),
        version=f"{crc32(repr((operation, execution.status, may_operate)).encode()):x}",
        offset=_offset(execution.created_at, operation.started_at),
        ended_at=operation.ended_at or execution.closed_at,
        next_attempt_at=operation.next_attempt_at if backs_off else None,
        can_retry=backs_off and may_operate and execution.status != "PAUSED",
        is_open=operation.status in {"FAILED", "TIMED_OUT", "PENDING"} and operation.type.upper() != "CONTEXT",
        error=operation.error if operation.error and not operation.attempts else None,
    )


def _offset(start: datetime, moment: datetime | None) -> str:
    return "" if moment is None else offset((moment - start).total_seconds())
