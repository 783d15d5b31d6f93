"""What a test looks at after a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar, cast

from durable_engine.core.history import History, OperationState
from durable_engine.core.ports import RecordedEvent
from durable_engine.sdk.types import ErrorObject, InvocationStatus, OperationStatus, OperationType

O = TypeVar("O", bound="Operation")  # noqa: E741 - a type variable

FINAL = ("SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED", "CANCELLED")


class DurableFunctionsTestError(Exception):
    """The test asked for something that the run does not hold."""


@dataclass(frozen=True)
class Operation:
    """One operation at the end of a run; `result` is the recorded text. Times are those of the virtual clock."""

    operation_id: str
    operation_type: OperationType
    sub_type: str | None
    name: str | None
    parent_id: str | None
    status: OperationStatus
    attempt: int
    result: str | None
    error: ErrorObject | None
    start_timestamp: datetime | None = None
    end_timestamp: datetime | None = None


@dataclass(frozen=True)
class StepOperation(Operation):
    """A step, or a condition. `next_attempt_timestamp` is when it is tried again, while it waits for that."""

    next_attempt_timestamp: datetime | None = None


@dataclass(frozen=True)
class WaitOperation(Operation):
    """A wait, and when it ends."""

    scheduled_end_timestamp: datetime | None = None


@dataclass(frozen=True)
class CallbackOperation(Operation):
    """A callback, and the id by which the outside completes it."""

    callback_id: str | None = None


@dataclass(frozen=True)
class InvokeOperation(Operation):
    """Another function that was invoked."""


@dataclass(frozen=True)
class ExecutionOperation(Operation):
    """The execution itself, which no context holds."""


class _Lookups:
    """Finding operations by name, first among those of a context itself, then among all below it."""

    @property
    def _all(self) -> Sequence[Operation]:
        raise NotImplementedError

    def get_operation_by_name(self, name: str) -> Operation:
        """Return the first operation of that name, at any depth.

        Raises:
            DurableFunctionsTestError: there is none.
        """
        return self._first(name, Operation)

    def get_step(self, name: str) -> StepOperation:
        """Return the first step of that name; raises as `get_operation_by_name`."""
        return self._first(name, StepOperation)

    def get_wait(self, name: str) -> WaitOperation:
        """Return the first wait of that name; raises as `get_operation_by_name`."""
        return self._first(name, WaitOperation)

    def get_context(self, name: str) -> ContextOperation:
        """Return the first child context, map, parallel or branch of that name; raises as `get_operation_by_name`."""
        return self._first(name, ContextOperation)

    def get_callback(self, name: str) -> CallbackOperation:
        """Return the first callback of that name; raises as `get_operation_by_name`."""
        return self._first(name, CallbackOperation)

    def get_invoke(self, name: str) -> InvokeOperation:
        """Return the first invoke of that name; raises as `get_operation_by_name`."""
        return self._first(name, InvokeOperation)

    def get_execution(self, name: str) -> ExecutionOperation:
        """Raise as `get_operation_by_name`: an execution holds no operation of this type, here as in AWS."""
        return self._first(name, ExecutionOperation)

    def _first(self, name: str, kind: type[O]) -> O:
        known = [each for each in self._all if isinstance(each, kind)]
        for operation in known:
            if operation.name == name:
                return operation
        names = ", ".join(repr(operation.name) for operation in known)
        what = kind.__name__.removesuffix("Operation").lower() or "operation"
        raise DurableFunctionsTestError(f"no {what} is named {name!r}; there are {names or 'none'}")


@dataclass(frozen=True)
class ContextOperation(_Lookups, Operation):
    """A child context, map, parallel or branch, with the operations it holds."""

    child_operations: Sequence[Operation] = field(default=(), repr=False)

    @property
    def _all(self) -> Sequence[Operation]:
        return [*self.child_operations, *_below(self.child_operations)]


@dataclass(frozen=True)
class DurableFunctionTestResult(_Lookups):
    """How an execution ended: `status` SUCCEEDED, FAILED, TIMED_OUT or STOPPED; `result` is the recorded text.

    `operations` are those of the handler itself, in order.
    """

    status: InvocationStatus
    result: str | None
    error: ErrorObject | None
    events: Sequence[RecordedEvent]
    operations: Sequence[Operation]

    @property
    def _all(self) -> Sequence[Operation]:
        return self.get_all_operations()

    def get_all_operations(self) -> list[Operation]:
        """Return every operation, in the order in which they started."""
        every = {each.operation_id: each for each in (*self.operations, *_below(self.operations))}
        return [every[id] for id in History(self.events).operations]


def operations_of(
    events: Sequence[RecordedEvent], times: Mapping[int, datetime], callback_ids: Mapping[str, str]
) -> list[Operation]:
    """Return the operations of a handler itself, those of its contexts inside them."""
    history = History(events)
    children: dict[str | None, list[OperationState]] = {}
    for state in history.operations.values():
        children.setdefault(state.parent_id, []).append(state)
    # What a virtual context's operations hang on may not exist; they are the handler's own then.
    known = {None, *history.operations}
    top = [state for parent_id, states in children.items() if parent_id not in known for state in states]

    def made(state: OperationState) -> Operation:
        own = [event for event in events if event.operation_id == state.id]
        return _operation(state, own, times, callback_ids.get(state.id), [made(c) for c in children.get(state.id, [])])

    return [made(state) for state in (*children.get(None, []), *top)]


def _operation(
    state: OperationState,
    own: Sequence[RecordedEvent],
    times: Mapping[int, datetime],
    callback_id: str | None,
    children: Sequence[Operation],
) -> Operation:
    last = own[-1]
    is_over = state.status in FINAL
    common = (
        state.id,
        OperationType(state.type),
        state.subtype,
        state.name,
        state.parent_id,
        OperationStatus(state.status),
        state.attempt,
        state.payload,
        ErrorObject.from_text(state.error),
        times.get(own[0].event_id),
        times.get(last.event_id) if is_over else None,
    )
    match state.type:
        case "CONTEXT":
            return ContextOperation(*common, child_operations=children)
        case "STEP":
            return StepOperation(*common, next_attempt_timestamp=_after(last, times, "next_attempt_delay_seconds"))
        case "WAIT":
            return WaitOperation(*common, scheduled_end_timestamp=_after(own[0], times, "duration_seconds"))
        case "CALLBACK":
            return CallbackOperation(*common, callback_id=callback_id)
        case "CHAINED_INVOKE":
            return InvokeOperation(*common)
    return Operation(*common)


def _after(event: RecordedEvent, times: Mapping[int, datetime], detail: str) -> datetime | None:
    seconds = (event.details or {}).get(detail)
    at = times.get(event.event_id)
    return None if seconds is None or at is None else at + timedelta(seconds=float(cast("float", seconds)))


def _below(operations: Sequence[Operation]) -> list[Operation]:
    found: list[Operation] = []
    for operation in operations:
        if isinstance(operation, ContextOperation):
            found += [*operation.child_operations, *_below(operation.child_operations)]
    return found
