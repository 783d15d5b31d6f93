"""The banner of an execution: what stopped it or what holds it up, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.statuses import EXECUTION_STATUSES, OPERATION_STATUSES, Status, execution_status
from durable_engine.queries.culprit import culprit_of
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.waiting import WaitReason
from durable_engine.services.fingerprints import WRAPPERS

PAUSES = {
    "operator": "Paused by hand.",
    "crashes": "Paused: its worker died several times at the same place.",
    "divergence": "Paused: the code no longer matches the recorded history.",
    "undecodable": "Paused: a recorded value can't be read.",
    "suspension": "Paused: the handler swallowed the signal to suspend.",
}
MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Banner:
    """A sentence, more text under it, and the operation it is about; or the reasons why an execution waits."""

    status: Status
    title: str = ""
    text: str = ""
    operation_id: str = ""
    reasons: Sequence[WaitReason] = ()
    more: int = 0


def banner_of(execution: ExecutionSummary, reasons: Sequence[WaitReason], *, with_messages: bool) -> Banner | None:
    """Return what to say first, or None when all is well. Error messages only `with_messages`."""
    status = execution_status(execution.status)
    if execution.status == "PAUSED":
        return Banner(status, PAUSES.get(execution.pause_kind, "Paused."), execution.pause_reason)
    if execution.status == "STOPPED":
        return Banner(status, "Stopped.", execution.error_message if with_messages else "")
    if execution.status in {"FAILED", "TIMED_OUT"}:
        return _ended_badly(execution, status, with_messages)
    return _waiting(status, reasons, with_messages)


def _ended_badly(execution: ExecutionSummary, status: Status, with_messages: bool) -> Banner:
    culprit = culprit_of(execution.id) if execution.status == "FAILED" else None
    error_type = execution.error_type
    if culprit is not None and error_type in WRAPPERS:
        # That a step failed says the title; what it raised says more.
        error_type = culprit.error_type or error_type
    error = described(error_type, execution.error_message, with_messages)
    if culprit is None:
        return Banner(status, f"{status.label}.", error)
    tries = f" after {culprit.attempts} attempts" if culprit.attempts > 1 else ""
    return Banner(status, f"Failed at “{culprit.label}”{tries}.", error, culprit.operation_id)


def _waiting(status: Status, reasons: Sequence[WaitReason], with_messages: bool) -> Banner | None:
    """Why it stands where it does. A step in back-off, or what does not end by itself, has the colour of trouble."""
    if not any(reason.alarming or reason.since or reason.until for reason in reasons):
        return None
    failing = next((reason for reason in reasons if reason.error is not None), None)
    tone = status
    if failing is not None:
        tone = OPERATION_STATUSES["PENDING"]
    elif any(reason.alarming for reason in reasons):
        tone = EXECUTION_STATUSES["TIMED_OUT"]
    error = failing.error if failing is not None else None
    text = described(error.type, error.message, with_messages) if error is not None else ""
    return Banner(tone, text=text, reasons=reasons[:MOST_REASONS], more=max(len(reasons) - MOST_REASONS, 0))


def described(error_type: str, message: str, with_messages: bool) -> str:
    """An error in one text, without its message for people who may not see payloads."""
    return f"{error_type}: {message}" if with_messages and message else error_type
