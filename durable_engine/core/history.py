"""The history of one execution, folded into the state of each operation. Pure: events in, states out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from durable_engine.core.ports import NewEvent, RecordedEvent

# Plain strings, not enum members: they are compared on every replayed operation.
NEW: Final = ""  # not recorded yet
STARTED: Final = "STARTED"
PENDING: Final = "PENDING"  # failed an attempt and will be retried, or polled again
SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"
TIMED_OUT: Final = "TIMED_OUT"
CANCELLED: Final = "CANCELLED"
STOPPED: Final = "STOPPED"

# event type -> (operation type, status)
EFFECTS: Final[dict[str, tuple[str, str]]] = {
    "ContextStarted": ("CONTEXT", STARTED),
    "ContextSucceeded": ("CONTEXT", SUCCEEDED),
    "ContextFailed": ("CONTEXT", FAILED),
    "StepStarted": ("STEP", STARTED),
    "StepSucceeded": ("STEP", SUCCEEDED),
    "StepFailed": ("STEP", FAILED),
    "WaitStarted": ("WAIT", STARTED),
    "WaitSucceeded": ("WAIT", SUCCEEDED),
    "WaitCancelled": ("WAIT", CANCELLED),
    "CallbackStarted": ("CALLBACK", STARTED),
    "CallbackSucceeded": ("CALLBACK", SUCCEEDED),
    "CallbackFailed": ("CALLBACK", FAILED),
    "CallbackTimedOut": ("CALLBACK", TIMED_OUT),
    "ChainedInvokeStarted": ("CHAINED_INVOKE", STARTED),
    "ChainedInvokeSucceeded": ("CHAINED_INVOKE", SUCCEEDED),
    "ChainedInvokeFailed": ("CHAINED_INVOKE", FAILED),
    "ChainedInvokeTimedOut": ("CHAINED_INVOKE", TIMED_OUT),
    "ChainedInvokeStopped": ("CHAINED_INVOKE", STOPPED),
}


class OperationState:
    """What is known about one operation.

    `attempt` is the number of the attempt that was started last, 0 before the first. `passes` and `crashes` are how
    many invocations, and how many interrupted ones, had ended when it was started last. `event_id` is that of its
    newest event, 0 when that was recorded by this invocation.
    """

    __slots__ = (
        "attempt",
        "crashes",
        "error",
        "event_id",
        "id",
        "name",
        "parent_id",
        "passes",
        "payload",
        "replay_children",
        "status",
        "subtype",
        "type",
    )

    def __init__(self, id: str, type: str, subtype: str | None, name: str | None, parent_id: str | None) -> None:
        self.id = id
        self.type = type
        self.subtype = subtype
        self.name = name
        self.parent_id = parent_id
        self.status = NEW
        self.attempt = 0
        self.passes = 0
        self.crashes = 0
        self.payload: str | None = None
        self.error: str | None = None
        self.replay_children = False
        self.event_id = 0

    def __str__(self) -> str:
        name = f" {self.name!r}" if self.name is not None else ""
        return f"operation {self.id}{name} ({self.type.lower().replace('_', ' ')})"


class History:
    """The operations of an execution as far as its events are known."""

    __slots__ = ("crashes", "input", "operations", "passes")

    def __init__(self, events: Iterable[RecordedEvent] = ()) -> None:
        self.operations: dict[str, OperationState] = {}
        self.passes = 0
        self.crashes = 0
        self.input: RecordedEvent | None = None
        for event in events:
            self.apply(event, event.event_id)

    def apply(self, event: RecordedEvent | NewEvent, event_id: int = 0) -> None:
        """Take one more event into account."""
        effect = EFFECTS.get(event.event_type)
        if effect is None:
            self._apply_lifecycle(event)
            return
        kind, status = effect
        operation_id = event.operation_id
        state = self.operations.get(operation_id)  # type: ignore[arg-type]
        if state is None:
            if operation_id is None:
                raise ValueError(f"event {event_id}, {event.event_type}, has no operation id")
            state = OperationState(operation_id, kind, event.subtype, event.name, event.parent_id)
            self.operations[operation_id] = state
        state.status = status
        state.event_id = event_id
        state.payload = event.payload
        state.error = event.error
        if event.attempt is not None:
            state.attempt = event.attempt
        if status == STARTED:
            state.passes = self.passes
            state.crashes = self.crashes
        if event.details is not None:
            if "next_attempt_delay_seconds" in event.details:
                state.status = PENDING
            elif event.details.get("replay_children"):
                state.replay_children = True

    def _apply_lifecycle(self, event: RecordedEvent | NewEvent) -> None:
        if event.event_type == "InvocationCompleted":
            self.passes += 1
            if event.error is not None:
                self.crashes += 1
        elif event.event_type == "ExecutionStarted" and isinstance(event, RecordedEvent):
            self.input = event

    def interruptions(self, state: OperationState) -> int:
        """How many invocations ended with an error since the operation was started last."""
        return self.crashes - state.crashes

    def clean_passes_since(self, state: OperationState) -> int:
        """How many invocations ended without an error since the operation was started last."""
        return self.passes - state.passes - self.interruptions(state)


def divergence(state: OperationState, type: str, subtype: str, name: str | None, parent_id: str | None) -> str:
    """Return a readable comparison of a recorded operation with what the handler now asks for."""
    rows = [
        ("type", state.type, type),
        ("subtype", state.subtype, subtype),
        ("name", state.name, name),
        ("parent", state.parent_id, parent_id),
    ]
    lines = [f"The handler's code no longer matches the history at operation {state.id}."]
    lines += [
        f"{'  ' if recorded == asked else '! '}{label:<8} recorded {_shown(recorded):<28} handler {_shown(asked)}"
        for label, recorded, asked in rows
    ]
    lines.append(
        f"Its newest event is {state.event_id}. Deploy code that makes the same calls in the same order, "
        "or register the change as a new version=, then resume; or stop the execution."
    )
    return "\n".join(lines)


def unreached(state: OperationState, where: str) -> str:
    """Return what to tell people when code ended before an operation that its history holds."""
    return (
        f"The handler's code no longer matches the history: {where} ended before it reached {state}, "
        f"which is recorded (newest event {state.event_id}).\n"
        "Deploy code that makes the same calls in the same order, or register the change as a new version=, "
        "then resume; or stop the execution."
    )


def _shown(value: str | None) -> str:
    return "-" if value is None else repr(value)
