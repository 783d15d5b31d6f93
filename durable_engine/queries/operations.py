"""The operations of an execution: a fold of its events. The history is the truth; no operation has a row of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import F, Func, IntegerField, QuerySet

from durable_engine.core.identifiers import prefix_below
from durable_engine.core.ports import EventType
from durable_engine.models import Event, Execution, ExecutionStatus, Timer
from durable_engine.queries.errors import ErrorView
from durable_engine.sdk.types import OperationSubType

__all__ = [
    "AttemptView",
    "ErrorView",
    "EventRow",
    "InvocationView",
    "OperationView",
    "event_rows",
    "fold_operations",
    "invocations_of",
    "operations_of",
    "parents_first",
    "payload_of",
]

INTERRUPTED: Final = "INTERRUPTED"

_OPENED: Final = {
    EventType.STEP_STARTED: "STEP",
    EventType.WAIT_STARTED: "WAIT",
    EventType.CALLBACK_STARTED: "CALLBACK",
    EventType.CONTEXT_STARTED: "CONTEXT",
    EventType.CHAINED_INVOKE_STARTED: "CHAINED_INVOKE",
}
_OUTCOMES: Final = {
    EventType.STEP_SUCCEEDED: "SUCCEEDED",
    EventType.STEP_FAILED: "FAILED",
    EventType.WAIT_SUCCEEDED: "SUCCEEDED",
    EventType.WAIT_CANCELLED: "CANCELLED",
    EventType.CALLBACK_SUCCEEDED: "SUCCEEDED",
    EventType.CALLBACK_FAILED: "FAILED",
    EventType.CALLBACK_TIMED_OUT: "TIMED_OUT",
    EventType.CONTEXT_SUCCEEDED: "SUCCEEDED",
    EventType.CONTEXT_FAILED: "FAILED",
    EventType.CHAINED_INVOKE_SUCCEEDED: "SUCCEEDED",
    EventType.CHAINED_INVOKE_FAILED: "FAILED",
    EventType.CHAINED_INVOKE_TIMED_OUT: "TIMED_OUT",
    EventType.CHAINED_INVOKE_STOPPED: "STOPPED",
}
_TERMINAL: Final = frozenset(
    {
        EventType.EXECUTION_SUCCEEDED,
        EventType.EXECUTION_FAILED,
        EventType.EXECUTION_TIMED_OUT,
        EventType.EXECUTION_STOPPED,
    }
)


@dataclass(slots=True)
class AttemptView:
    """One try of a step. `status` is STARTED, SUCCEEDED, FAILED or INTERRUPTED (its invocation ended first).

    A repetition after an interruption leaves no start event: its `started_at` is when its invocation began, or None
    while that isn't known.
    """

    number: int
    started_at: datetime | None
    ended_at: datetime | None = None
    status: str = "STARTED"
    error: ErrorView | None = None
    retry_delay_seconds: float | None = None


@dataclass(slots=True)
class OperationView:
    """One operation as it stands.

    `type` is STEP, WAIT, CALLBACK, CONTEXT or CHAINED_INVOKE. `status` is STARTED; PENDING (backs off until
    `next_attempt_at`); READY (the back-off is over); CANCELLED (its execution ended first); or its outcome: SUCCEEDED,
    FAILED, TIMED_OUT, STOPPED. `result_event_id` is the event whose payload is the result, `result_bytes` its size.
    """

    id: str
    type: str
    subtype: str | None
    name: str | None
    parent_id: str | None
    started_at: datetime
    depth: int = 0
    status: str = "STARTED"
    ended_at: datetime | None = None
    next_attempt_at: datetime | None = None
    due_at: datetime | None = None  # of a wait
    timeout_seconds: float | None = None  # of a callback
    heartbeat_timeout_seconds: float | None = None
    function: str | None = None  # of an invoke: what it runs, and as which execution
    child_id: UUID | None = None
    attempts: list[AttemptView] = field(default_factory=list)
    error: ErrorView | None = None
    completed_by: str | None = None  # who gave it its outcome by hand
    result_event_id: int | None = None
    result_bytes: int = 0

    @property
    def has_result(self) -> bool:
        """Whether a result is recorded."""
        return self.result_event_id is not None

    @property
    def attempt_count(self) -> int:
        """How many attempts were made."""
        return self.attempts[-1].number if self.attempts else 0


@dataclass(frozen=True, slots=True)
class InvocationView:
    """One pass of the handler. `ended_at` is None for the one that runs now."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    request_id: str | None
    error: ErrorView | None


class EventRow(NamedTuple):
    """An event without its payload."""

    event_id: int
    event_type: str
    operation_id: str | None
    parent_id: str | None
    subtype: str | None
    name: str | None
    attempt: int | None
    error: str | None
    details: Mapping[str, Any] | None
    event_at: datetime
    payload_bytes: int | None


def operations_of(execution_id: UUID) -> list[OperationView]:
    """Return the operations, each parent before its children, otherwise in the order they began. Two queries."""
    timers = dict(Timer.objects.filter(execution_id=execution_id).values_list("operation_id", "due_at"))
    events = event_rows(Event.objects.filter(execution_id=execution_id))
    return parents_first(fold_operations(events, timers))


def event_rows(events: QuerySet[Event], limit: int | None = None) -> Iterable[EventRow]:
    """Return these events in their order, without their payloads."""
    # octet_length reads the size from the row's header; length() would have to fetch and unpack a big payload.
    size = Func(F("payload"), function="octet_length", output_field=IntegerField())
    rows = events.order_by("event_id").annotate(payload_bytes=size)
    return map(EventRow._make, rows.values_list(*EventRow._fields)[:limit])


def invocations_of(execution_id: UUID) -> list[InvocationView]:
    """Return the invocations in order, the running one included. Two queries."""
    ended = Event.objects.filter(execution_id=execution_id, event_type=EventType.INVOCATION_COMPLETED)
    rows = ended.order_by("event_id").values_list("details", "event_at", "error")
    views = [
        InvocationView(
            number=number,
            started_at=_time(details, "started_at") or at,
            ended_at=at,
            request_id=(details or {}).get("request_id"),
            error=None if error is None else ErrorView.of_json(error),
        )
        for number, (details, at, error) in enumerate(rows, start=1)
    ]
    running = Execution.objects.filter(pk=execution_id, status=ExecutionStatus.RUNNING)
    for started_at, request_id in running.values_list("invocation_started_at", "invocation_id"):
        if started_at is not None:
            views.append(InvocationView(len(views) + 1, started_at, None, str(request_id), None))
    return views


def fold_operations(
    events: Iterable[EventRow], timers: Mapping[str, datetime], *, closed: bool = False
) -> dict[str, OperationView]:
    """Fold events into operations by id, in the order they began. `timers` are due times by operation.

    `closed` ends what is open when the terminal event of a closed execution is not among the events.
    """
    fold = _Fold(timers)
    for event in events:
        fold.add(event)
    if closed:
        fold.end_execution()
    return fold.operations


def payload_of(execution_id: UUID, event_id: int) -> str | None:
    """Return the payload of one event, unchanged."""
    return Event.objects.filter(execution_id=execution_id, event_id=event_id).values_list("payload", flat=True).first()


class _Fold:
    """The state of the fold: what has begun, what runs, and repetitions whose beginning isn't known yet."""

    def __init__(self, timers: Mapping[str, datetime]) -> None:
        self.operations: dict[str, OperationView] = {}
        self._timers = timers
        self._running: set[str] = set()
        self._unknown_starts: list[AttemptView] = []

    def add(self, event: EventRow) -> None:
        if event.event_type == EventType.INVOCATION_COMPLETED:
            self._end_invocation(event)
        elif event.event_type in _TERMINAL:
            self.end_execution()
        elif event.operation_id is not None:
            operation = self.operations.get(event.operation_id) or self._open(event.operation_id, event)
            if event.event_type in _OPENED:
                self._begin(operation, event)
            else:
                self._finish(operation, event)

    def _open(self, operation_id: str, event: EventRow) -> OperationView:
        details = event.details or {}
        operation = self.operations[operation_id] = OperationView(
            id=operation_id,
            type=_OPENED.get(EventType(event.event_type), "STEP"),
            subtype=event.subtype,
            name=event.name,
            parent_id=event.parent_id,
            started_at=event.event_at,
            timeout_seconds=details.get("timeout_seconds"),
            heartbeat_timeout_seconds=details.get("heartbeat_timeout_seconds"),
            function=details.get("function"),
            child_id=UUID(details["execution_id"]) if "execution_id" in details else None,
        )
        if operation.type == "WAIT":
            seconds = timedelta(seconds=details.get("duration_seconds", 0))
            operation.due_at = self._timers.get(operation.id, event.event_at + seconds)
        return operation

    def _begin(self, operation: OperationView, event: EventRow) -> None:
        operation.status = "STARTED"
        operation.next_attempt_at = None
        if operation.type == "STEP":
            number = event.attempt or len(operation.attempts) + 1
            operation.attempts.append(AttemptView(number, started_at=event.event_at))
            self._running.add(operation.id)

    def _finish(self, operation: OperationView, event: EventRow) -> None:
        error = None if event.error is None else ErrorView.of_json(event.error)
        outcome = _OUTCOMES[EventType(event.event_type)]
        delay = (event.details or {}).get("next_attempt_delay_seconds")
        operation.completed_by = (event.details or {}).get("completed_by")
        if operation.type == "STEP" and operation.completed_by is None:
            self._finish_attempt(operation, event, outcome, error, delay)
        if delay is not None:
            due_at = self._timers.get(operation.id)
            operation.status = "READY" if due_at is None else "PENDING"
            operation.next_attempt_at = due_at
            return
        operation.status, operation.ended_at, operation.error = outcome, event.event_at, error
        if operation.subtype in (OperationSubType.MAP, OperationSubType.PARALLEL):
            self._leave_behind(operation)
        if event.payload_bytes is not None:
            operation.result_event_id, operation.result_bytes = event.event_id, event.payload_bytes

    def _leave_behind(self, batch: OperationView) -> None:
        """What branches of a batch had not ended when it was complete goes no further."""
        prefix = prefix_below(batch.id)
        for operation in self.operations.values():
            if operation.ended_at is None and operation.id.startswith(prefix):
                operation.status, operation.ended_at, operation.next_attempt_at = "CANCELLED", batch.ended_at, None
                if operation.id in self._running:
                    self._running.discard(operation.id)
                    operation.attempts[-1].status, operation.attempts[-1].ended_at = INTERRUPTED, batch.ended_at

    def _finish_attempt(
        self, operation: OperationView, event: EventRow, outcome: str, error: ErrorView | None, delay: float | None
    ) -> None:
        self._running.discard(operation.id)
        attempt = self._attempt(operation, event.attempt)
        attempt.status, attempt.ended_at, attempt.error = outcome, event.event_at, error
        attempt.retry_delay_seconds = delay

    def _attempt(self, operation: OperationView, number: int | None) -> AttemptView:
        last = operation.attempts[-1] if operation.attempts else AttemptView(0, None)
        if last.number and number in {None, last.number}:
            return last
        number = number or 1
        # Each repetition after an interruption counts as an attempt, and only the last one left an event.
        operation.attempts += [AttemptView(lost, None, status=INTERRUPTED) for lost in range(last.number + 1, number)]
        attempt = AttemptView(number, started_at=last.ended_at)
        operation.attempts.append(attempt)
        self._unknown_starts.append(attempt)
        return attempt

    def _end_invocation(self, event: EventRow) -> None:
        error = None if event.error is None else ErrorView.of_json(event.error)
        for operation_id in self._running:
            attempt = self.operations[operation_id].attempts[-1]
            attempt.status, attempt.ended_at, attempt.error = INTERRUPTED, event.event_at, error
        self._running.clear()
        if (began := _time(event.details, "started_at")) is not None:
            for attempt in self._unknown_starts:
                attempt.started_at = max(began, attempt.started_at or began)
        self._unknown_starts.clear()

    def end_execution(self) -> None:
        for operation in self.operations.values():
            if operation.ended_at is None:
                operation.status, operation.next_attempt_at = "CANCELLED", None


def parents_first(operations: Mapping[str, OperationView]) -> list[OperationView]:
    """Return operations each before its children, otherwise in the order they began, with their depths set."""
    children: dict[str | None, list[OperationView]] = defaultdict(list)
    for operation in operations.values():
        parent = operation.parent_id if operation.parent_id in operations else None
        children[parent].append(operation)
    ordered: list[OperationView] = []
    left = [(0, operation) for operation in reversed(children[None])]
    while left:
        depth, operation = left.pop()
        operation.depth = depth
        ordered.append(operation)
        left += [(depth + 1, child) for child in reversed(children[operation.id])]
    return ordered


def _time(details: Mapping[str, Any] | None, key: str) -> datetime | None:
    text = (details or {}).get(key)
    return None if text is None else datetime.fromisoformat(text)
