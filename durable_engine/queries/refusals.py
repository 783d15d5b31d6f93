"""Why an action does not apply to an execution as it stands. Pure: services, previews and pages ask the same rules.

Each rule returns None when the action applies as far as the execution's own row tells; the service may find more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from durable_engine.models.execution import CLOSED_STATUSES, ExecutionStatus


class Refusal(NamedTuple):
    """The sentence that says why, and what to do instead, if there is something."""

    reason: str
    fix: str = ""


class Standing(Protocol):
    """What the rules look at; rows of the table have it, and summaries."""

    @property
    def status(self) -> str:
        """One of `ExecutionStatus`."""

    @property
    def superseded_by(self) -> UUID | None:
        """Who took over the name."""


def not_stopped(execution: Standing) -> Refusal | None:
    """Only what is live can be stopped."""
    return _ended(execution, "stopped")


def not_paused(execution: Standing) -> Refusal | None:
    """Only what is live, and not paused yet, can be paused."""
    if execution.status == ExecutionStatus.PAUSED:
        return Refusal("The execution is paused already.")
    return _ended(execution, "paused")


def not_resumed(execution: Standing) -> Refusal | None:
    """Only what is paused can be resumed."""
    if execution.status == ExecutionStatus.PAUSED:
        return None
    return _ended(execution, "resumed") or Refusal(f"The execution isn't paused, it is {execution.status}.")


def not_retried(execution: Standing) -> Refusal | None:
    """Only what is live and not paused makes attempts."""
    if execution.status == ExecutionStatus.PAUSED:
        return Refusal("The execution is paused.", "Resume it first.")
    return _ended(execution, "retried")


def not_changed(execution: Standing) -> Refusal | None:
    """Only operations of what is live can be given an outcome."""
    return _ended(execution, "changed")


def not_redriven(execution: Standing) -> Refusal | None:
    """Only what ended otherwise than by success can be redriven, and only once."""
    if execution.status == ExecutionStatus.SUCCEEDED:
        return Refusal("The execution has succeeded; nothing is left to do.", "Rewind or fork it instead.")
    if execution.status not in CLOSED_STATUSES:
        return Refusal(f"The execution is {execution.status}; only one that has ended can be redriven.")
    return _superseded(execution)


def not_rewound(execution: Standing) -> Refusal | None:
    """Only what stands still for good, or is paused, can be rewound, and only once."""
    if execution.status not in (*CLOSED_STATUSES, ExecutionStatus.PAUSED):
        return Refusal(f"The execution is {execution.status}.", "Pause or stop it first.")
    return _superseded(execution)


def not_deleted(execution: Standing) -> Refusal | None:
    """Only what has ended can be deleted."""
    if execution.status in CLOSED_STATUSES:
        return None
    return Refusal(f"The execution is {execution.status}; only one that has ended can be deleted.", "Stop it first.")


RULES: Final[Mapping[str, Callable[[Standing], Refusal | None]]] = {
    "stop": not_stopped,
    "pause": not_paused,
    "resume": not_resumed,
    "retry": not_retried,
    "skip": not_changed,
    "complete": not_changed,
    "redrive": not_redriven,
    "rewind": not_rewound,
    "delete": not_deleted,
}


def _ended(execution: Standing, participle: str) -> Refusal | None:
    if execution.status not in CLOSED_STATUSES:
        return None
    return Refusal(f"The execution can't be {participle}: it has ended and is {execution.status}.")


def _superseded(execution: Standing) -> Refusal | None:
    if execution.superseded_by is None:
        return None
    reason = f"The execution goes on as execution {execution.superseded_by} already."
    return Refusal(reason, "Act on that one, or fork this.")
