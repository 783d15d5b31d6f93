"""What a test looks at after a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from durable_engine.core.history import History, OperationState
from durable_engine.core.ports import RecordedEvent


class DurableFunctionsTestError(Exception):
    """The test asked for something that the run does not hold."""


@dataclass(frozen=True)
class ErrorObject:
    """An error as a history keeps it."""

    message: str | None = None
    type: str | None = None
    data: str | None = None
    stack_trace: Sequence[str] | None = None

    @classmethod
    def from_text(cls, text: str | None) -> ErrorObject | None:
        """Read an error object's JSON text."""
        if text is None:
            return None
        fields = json.loads(text)
        return cls(
            fields.get("ErrorMessage"), fields.get("ErrorType"), fields.get("ErrorData"), fields.get("StackTrace")
        )

    def to_text(self) -> str:
        """Return the error object as JSON text."""
        fields = {
            "ErrorMessage": self.message,
            "ErrorType": self.type,
            "ErrorData": self.data,
            "StackTrace": list(self.stack_trace) if self.stack_trace is not None else None,
        }
        return json.dumps({key: value for key, value in fields.items() if value is not None})


@dataclass(frozen=True)
class Operation:
    """One operation at the end of a run; `result` is the recorded text."""

    operation_id: str
    operation_type: str
    sub_type: str | None
    name: str | None
    parent_id: str | None
    status: str
    attempt: int
    result: str | None
    error: ErrorObject | None


@dataclass(frozen=True)
class DurableFunctionTestResult:
    """How an execution ended: `status` SUCCEEDED, FAILED, TIMED_OUT or STOPPED; `result` is the recorded text."""

    status: str
    result: str | None
    error: ErrorObject | None
    events: Sequence[RecordedEvent]

    @property
    def operations(self) -> list[Operation]:
        """The operations of the handler itself, in order."""
        return [operation for operation in self.get_all_operations() if operation.parent_id is None]

    def get_all_operations(self) -> list[Operation]:
        """Return every operation, in the order in which they started."""
        return [_operation(state) for state in History(self.events).operations.values()]

    def get_operation_by_name(self, name: str) -> Operation:
        """Return the first operation of that name.

        Raises:
            DurableFunctionsTestError: there is none.
        """
        for operation in self.get_all_operations():
            if operation.name == name:
                return operation
        names = ", ".join(repr(operation.name) for operation in self.get_all_operations())
        raise DurableFunctionsTestError(f"no operation is named {name!r}; there are {names or 'none'}")


def _operation(state: OperationState) -> Operation:
    return Operation(
        state.id,
        state.type,
        state.subtype,
        state.name,
        state.parent_id,
        state.status,
        state.attempt,
        state.payload,
        ErrorObject.from_text(state.error),
    )
