"""What a handler that runs elsewhere wants recorded, checked against the operations there are, and made into events.

The rules are those of AWS's service. A batch with one update that breaks a rule records nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from uuid_utils.compat import uuid7

from durable_engine.core.history import FAILED, NEW, PENDING, STARTED, SUCCEEDED
from durable_engine.core.ports import Batch, EventType, NewCallback, NewChild, NewEvent, NewTimer, Outcome, Target
from durable_engine.queries.remote_operations import READY, Fold
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.function_names import FunctionReference, parse_function_name
from durable_engine.services.exceptions import FunctionNotFound
from durable_engine.services.functions import known_functions
from durable_engine.services.operation_updates import OperationUpdate

CANCELLED: Final = "CANCELLED"
REPEATABLE: Final = frozenset({"STEP", "CONTEXT"})


class _Operation:
    """An operation as it stands after the updates so far."""

    __slots__ = ("attempts", "id", "name", "parent_id", "status", "subtype", "times", "type")

    def __init__(self, id: str, type: str, subtype: str | None, name: str | None, parent_id: str | None) -> None:
        self.id = id
        self.type = type
        self.subtype = subtype
        self.name = name
        self.parent_id = parent_id
        self.status: str = NEW
        self.attempts = 0
        self.times = 0  # how often this batch names it


class RemoteBatch:
    """Makes one batch of updates. `cancelled` are the waits whose timers go; `outcome` is how the execution ends."""

    def __init__(self, fold: Fold, ready: Collection[str]) -> None:
        self.outcome: Outcome | None = None
        self.cancelled: list[str] = []
        self._fold = fold
        self._ready = ready
        self._operations: dict[str, _Operation] = {}
        self._events: list[NewEvent] = []
        self._timers: list[NewTimer] = []
        self._callbacks: list[NewCallback] = []
        self._children: list[NewChild] = []
        self._progress = False

    def made_of(self, updates: Sequence[OperationUpdate]) -> Batch:
        """Return what the updates record.

        Raises:
            InvalidInput: naming the update at fault and the rule.
        """
        for update in updates:
            if self.outcome is not None:
                raise update.refuse("comes after the update that ends the execution, which must be the last one.")
            if update.type == "EXECUTION":
                self._end(update)
            else:
                self._add(update)
        return Batch(self._events, self._timers, self._callbacks, self._children, progress=self._progress)

    def _add(self, update: OperationUpdate) -> None:
        operation = self._operation_of(update)
        _check_data(update)
        _check_status(update, operation)
        getattr(self, f"_{update.type.lower()}")(update, operation)
        self._progress = self._progress or update.action in {"SUCCEED", "FAIL", "RETRY"}

    def _operation_of(self, update: OperationUpdate) -> _Operation:
        operation = self._operations.get(update.id) or self._recorded(update.id)
        if operation is None:
            self._check_parent(update)
            operation = _Operation(update.id, update.type, update.subtype, update.name, update.parent_id)
        for what, known, given in (
            ("operation type", operation.type, update.type),
            ("operation subtype", operation.subtype, update.subtype),
            ("operation name", operation.name, update.name),
            ("parent operation id", operation.parent_id, update.parent_id),
        ):
            if known != given:
                raise update.refuse(f"Inconsistent {what}: it was recorded as {known!r} and is {given!r} now.")
        self._operations[update.id] = operation
        operation.times += 1
        may_repeat = operation.times == 2 and operation.status == STARTED and update.type in REPEATABLE
        if operation.times > 1 and not may_repeat:
            raise update.refuse(f"names {update.id} again; only one action after the START of a step or context may.")
        return operation

    def _recorded(self, operation_id: str) -> _Operation | None:
        known = self._fold.operations.get(operation_id)
        if known is None:
            return None
        operation = _Operation(known.id, known.type, known.subtype, known.name, known.parent_id)
        operation.attempts = known.attempts
        operation.status = READY if known.status == PENDING and known.id in self._ready else known.status
        return operation

    def _check_parent(self, update: OperationUpdate) -> None:
        if update.parent_id is None:
            return
        parent = self._operations.get(update.parent_id) or self._fold.operations.get(update.parent_id)
        if parent is None or parent.type != "CONTEXT":
            raise update.refuse(f"ParentId {update.parent_id} is no context that has begun.")

    def _step(self, update: OperationUpdate, operation: _Operation) -> None:
        attempt = operation.attempts + 1
        if update.action == "START":
            self._event(EventType.STEP_STARTED, operation, attempt=attempt)
            operation.status = STARTED
            return
        operation.attempts = attempt
        failed = update.error is not None or update.action == "FAIL"
        event = EventType.STEP_FAILED if failed else EventType.STEP_SUCCEEDED
        details: dict[str, object] | None = None
        operation.status = FAILED if failed else SUCCEEDED
        if update.action == "RETRY" and update.next_attempt_seconds is not None:
            details = {"next_attempt_delay_seconds": update.next_attempt_seconds}
            kind = "retry" if failed else "condition"
            self._timers.append(NewTimer(operation.id, kind, update.next_attempt_seconds))
            operation.status = PENDING
        self._event(event, operation, update, attempt=attempt, details=details)

    def _context(self, update: OperationUpdate, operation: _Operation) -> None:
        event, operation.status = {
            "START": (EventType.CONTEXT_STARTED, STARTED),
            "SUCCEED": (EventType.CONTEXT_SUCCEEDED, SUCCEEDED),
            "FAIL": (EventType.CONTEXT_FAILED, FAILED),
        }[update.action]
        self._event(event, operation, update, details={"replay_children": True} if update.replay_children else None)

    def _wait(self, update: OperationUpdate, operation: _Operation) -> None:
        if update.action == "CANCEL":
            self._event(EventType.WAIT_CANCELLED, operation, update)
            operation.status = CANCELLED
            self.cancelled.append(operation.id)
            return
        if update.wait_seconds is None:
            raise update.refuse("needs WaitOptions.WaitSeconds.")
        self._event(EventType.WAIT_STARTED, operation, details={"duration_seconds": update.wait_seconds})
        self._timers.append(NewTimer(operation.id, "wait", update.wait_seconds))
        operation.status = STARTED

    def _callback(self, update: OperationUpdate, operation: _Operation) -> None:
        timeout, heartbeat = update.timeout_seconds, update.heartbeat_timeout_seconds
        seconds = {"timeout_seconds": timeout, "heartbeat_timeout_seconds": heartbeat}
        details = {name: value for name, value in seconds.items() if value}
        self._event(EventType.CALLBACK_STARTED, operation, details=details or None)
        self._callbacks.append(
            NewCallback(
                operation.id,
                operation.parent_id,
                operation.name,
                timeout_seconds=timeout,
                heartbeat_timeout_seconds=heartbeat,
            )
        )
        operation.status = STARTED

    def _chained_invoke(self, update: OperationUpdate, operation: _Operation) -> None:
        try:
            reference = parse_function_name(update.function, f"{update.where}.ChainedInvokeOptions.FunctionName")
        except ValidationError as problem:
            raise update.refuse(str(problem)) from None
        details: dict[str, object] = {"function": reference.name}
        if update.tenant_id is not None:
            details["tenant_id"] = update.tenant_id
        try:
            target = _target(reference)
        except FunctionNotFound as unknown:
            # The operation fails, durably: a function that appears later must not change what a replay sees.
            self._event(EventType.CHAINED_INVOKE_STARTED, operation, update, details=details)
            error = json.dumps({"ErrorType": "FunctionNotFound", "ErrorMessage": str(unknown)})
            self._events.append(_event(EventType.CHAINED_INVOKE_FAILED, operation, error=error))
            operation.status = FAILED
            return
        child_id, text = str(uuid7()), update.payload or "null"
        details |= {"function": target.function, "version": target.version, "execution_id": child_id}
        self._events.append(_event(EventType.CHAINED_INVOKE_STARTED, operation, payload=text, details=details))
        self._children.append(
            NewChild(operation.id, operation.parent_id, operation.name, child_id, target, text, update.tenant_id)
        )
        operation.status = STARTED

    def _end(self, update: OperationUpdate) -> None:
        _check_data(update)
        if update.action == "SUCCEED":
            self.outcome = Outcome("SUCCEEDED", payload=update.payload or "null")
        else:
            self.outcome = failure(update.error)

    def _event(
        self,
        event_type: EventType,
        operation: _Operation,
        update: OperationUpdate | None = None,
        *,
        attempt: int | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        error = None if update is None or update.error is None else json.dumps(update.error, ensure_ascii=False)
        if error is None and event_type in {EventType.STEP_FAILED, EventType.CONTEXT_FAILED}:
            error = "{}"
        payload = None if update is None else update.payload
        self._events.append(
            _event(event_type, operation, attempt=attempt, payload=payload, error=error, details=details)
        )


def failure(error: Mapping[str, object] | None) -> Outcome:
    """Return how an execution ends that failed with an error object."""
    fields = error or {}
    return Outcome(
        "FAILED",
        error=json.dumps(fields, ensure_ascii=False),
        error_type=str(fields.get("ErrorType") or ""),
        error_message=str(fields.get("ErrorMessage") or ""),
    )


def _event(
    event_type: EventType,
    operation: _Operation,
    *,
    attempt: int | None = None,
    payload: str | None = None,
    error: str | None = None,
    details: Mapping[str, object] | None = None,
) -> NewEvent:
    return NewEvent(
        event_type,
        time.monotonic(),
        operation.id,
        operation.parent_id,
        operation.subtype,
        operation.name,
        attempt,
        payload,
        error,
        details,
    )


def _check_data(update: OperationUpdate) -> None:
    if update.action == "FAIL" and update.payload is not None:
        raise update.refuse("FAIL takes an Error and no Payload.")
    if update.action == "SUCCEED" and update.error is not None:
        raise update.refuse("SUCCEED takes a Payload and no Error.")
    if update.action == "RETRY":
        if update.next_attempt_seconds is None:
            raise update.refuse("RETRY needs StepOptions.NextAttemptDelaySeconds.")
        if update.error is not None and update.payload is not None:
            raise update.refuse("RETRY takes an Error or a Payload, not both.")


def _check_status(update: OperationUpdate, operation: _Operation) -> None:
    """Raise unless the action applies to an operation in this state."""
    if update.action == "START":
        allowed: tuple[str, ...] = (NEW, READY) if update.type == "STEP" else (NEW,)
    else:
        allowed = (STARTED, READY) if update.type == "STEP" else (STARTED,)
    if operation.status not in allowed:
        state = operation.status or "not there"
        raise update.refuse(f"{update.action} does not apply: the operation {operation.id} is {state}.")


def _target(reference: FunctionReference) -> Target:
    key = (reference.name, reference.version)
    function = known_functions([key])[key]
    return Target(function.name, function.version, function.queue, function.execution_timeout_seconds)
