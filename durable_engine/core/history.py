"""The history of one execution, folded into the state of each operation. Pure: events in, states out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, cast

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
    newest event, 0 when that was recorded by this invocation. `function` is what an invoke started, `branches` and
    `nesting` are those of a batch. `is_refused`: a callback that was never open.

    Branches read it while another thread applies an event from outside: `status` is set last.
    """

    __slots__ = (
        "attempt",
        "branches",
        "crashes",
        "error",
        "event_id",
        "function",
        "id",
        "is_refused",
        "name",
        "nesting",
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
        self.function: str | None = None
        self.is_refused = False
        self.branches: int | None = None
        self.nesting: str | None = None
        self.event_id = 0

    def take_outcome(self, other: OperationState) -> None:
        """Take over what another state of the same operation knows of its end."""
        self.payload, self.error, self.event_id, self.status = other.payload, other.error, other.event_id, other.status

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
        state.event_id = event_id
        state.error = event.error
        if event.attempt is not None:
            state.attempt = event.attempt
        if status == STARTED:
            # The payload stays: a condition that is checked again is given the state of the check before.
            state.passes = self.passes
            state.crashes = self.crashes
        else:
            state.payload = event.payload
        if event.details is not None:
            status = _with_details(state, event.details, status)
        state.status = status

    def _apply_lifecycle(self, event: RecordedEvent | NewEvent) -> None:
        if event.event_type == "InvocationCompleted":
            self.passes += 1
            if event.error is not None:
                self.crashes += 1
        elif event.event_type == "ExecutionStarted" and isinstance(event, RecordedEvent):
            self.input = event

    @property
    def tenant_id(self) -> str | None:
        """What whoever started or invoked this execution gave as the tenant, if anything."""
        return self._given("tenant_id")

    @property
    def trace_parent(self) -> str | None:
        """The span in which this execution was started, if it was in one."""
        return self._given("trace_parent")

    @property
    def invoker_trace(self) -> str | None:
        """Where the spans of the execution are that invoked this one, if it is traced."""
        return self._given("invoker_trace")

    def _given(self, name: str) -> str | None:
        details = self.input.details if self.input is not None else None
        value = details.get(name) if details else None
        return None if value is None else str(value)

    def interruptions(self, state: OperationState) -> int:
        """How many invocations ended with an error since the operation was started last."""
        return self.crashes - state.crashes

    def clean_passes_since(self, state: OperationState) -> int:
        """How many invocations ended without an error since the operation was started last."""
        return self.passes - state.passes - self.interruptions(state)


def _with_details(state: OperationState, details: Mapping[str, object], status: str) -> str:
    """Take the details of an event into account and return the status they leave the operation in."""
    if "next_attempt_delay_seconds" in details:
        return PENDING
    if details.get("replay_children"):
        state.replay_children = True
    elif "function" in details:
        state.function = str(details["function"])
    elif details.get("refused"):
        state.is_refused = True
    elif "branches" in details:
        state.branches, state.nesting = cast("int", details["branches"]), cast("str", details["nesting"])
    return status


def divergence(
    state: OperationState,
    type: str,
    subtype: str | None,
    name: str | None,
    parent_id: str | None,
    function: str | None = None,
) -> str:
    """Return a readable comparison of a recorded operation with what the handler now asks for.

    `function` is what it invokes, where it invokes anything.
    """
    rows: list[tuple[str, object, object]] = [
        ("type", state.type, type),
        ("subtype", state.subtype, subtype),
        ("name", state.name, name),
        ("parent", state.parent_id, parent_id),
    ]
    if function is not None:
        rows.append(("function", state.function, function))
    return compared(state, rows)


def compared(state: OperationState, rows: Iterable[tuple[str, object, object]]) -> str:
    """Return what was recorded of an operation beside what the handler now asks for: label, recorded, asked."""
    lines = [f"The handler's code no longer matches the history at operation {state.id}."]
    lines += [
        f"{'  ' if recorded == asked else '! '}{label:<8} recorded {_shown(recorded):<28} handler {_shown(asked)}"
        for label, recorded, asked in rows
    ]
    lines.append(
        f"Its newest event is {state.event_id}. Deploy code that makes the same calls in the same order, "
        "or register the change as a new version=, then resume. "
        "Or rewind the execution to before this operation, or stop it."
    )
    return "\n".join(lines)


def unreached(state: OperationState, where: str) -> str:
    """Return what to tell people when code ended before an operation that its history holds."""
    return (
        f"The handler's code no longer matches the history: {where} ended before it reached {state}, "
        f"which is recorded (newest event {state.event_id}).\n"
        "Deploy code that makes the same calls in the same order, or register the change as a new version=, "
        "then resume. Or rewind the execution to before it, or stop it."
    )


def _shown(value: object) -> str:
    return "-" if value is None else repr(value)
