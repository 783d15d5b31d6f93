"""The banner of an execution: the one sentence about what stopped it or what holds it up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.statuses import OPERATION_STATUSES, Status, execution_status
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.operations import OperationView

PAUSES = {
    "operator": "Paused by hand.",
    "crashes": "Paused: its worker died several times at the same place.",
    "divergence": "Paused: the code no longer matches the recorded history.",
    "undecodable": "Paused: a recorded value can't be read.",
    "suspension": "Paused: the handler swallowed the signal to suspend.",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """A sentence, more text under it, and the operation it is about. `when` is added to the sentence."""

    status: Status
    title: str
    text: str = ""
    operation_id: str = ""
    when: datetime | None = None


def banner_of(
    execution: ExecutionSummary, operations: Sequence[OperationView], *, with_messages: bool
) -> Banner | None:
    """Return what to say first, or None when all is well. Error messages only `with_messages`."""
    status = execution_status(execution.status)
    if execution.status == "PAUSED":
        return Banner(status, PAUSES.get(execution.pause_kind, "Paused."), execution.pause_reason)
    if execution.status == "STOPPED":
        return Banner(status, "Stopped.", execution.error_message if with_messages else "")
    if execution.status in {"FAILED", "TIMED_OUT"}:
        return _ended_badly(execution, operations, status, with_messages)
    if execution.closed_at is None:
        return _failing_now(operations, with_messages)
    return None


def _ended_badly(
    execution: ExecutionSummary, operations: Sequence[OperationView], status: Status, with_messages: bool
) -> Banner:
    error = _described(execution.error_type, execution.error_message, with_messages)
    failed = [operation for operation in operations if operation.status in {"FAILED", "TIMED_OUT"}]
    # A context fails because something in it did: that names the place, the context only where nothing in it failed.
    last = max(failed, key=lambda each: (each.type != "CONTEXT", each.ended_at or execution.created_at), default=None)
    if execution.status == "TIMED_OUT" or last is None:
        return Banner(status, f"{status.label}.", error)
    count = len(last.attempts)
    tries = f" after {count} attempts" if count > 1 else ""
    return Banner(status, f"Failed at “{last.name or last.id}”{tries}.", error, last.id)


def _failing_now(operations: Sequence[OperationView], with_messages: bool) -> Banner | None:
    for operation in reversed(operations):
        if operation.status in {"PENDING", "READY"} and operation.attempts and operation.attempts[-1].error:
            last = operation.attempts[-1]
            error = last.error
            text = _described(error.type, error.message, with_messages) if error else ""
            title = f"“{operation.name or operation.id}” failed at attempt {last.number}, next attempt due"
            return Banner(OPERATION_STATUSES["PENDING"], title, text, operation.id, operation.next_attempt_at)
    return None


def _described(error_type: str, message: str, with_messages: bool) -> str:
    return f"{error_type}: {message}" if with_messages and message else error_type
