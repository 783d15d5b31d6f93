"""What the services of approvals refuse, and why. Nothing has changed when one of these is raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from durable_engine.services.exceptions import DurableServiceError

OUTCOME_WORDS = {
    "approved": "approved",
    "rejected": "rejected",
    "answered": "answered",
    "expired": "expired",
    "cancelled": "was withdrawn",
}


class RequestNotFound(DurableServiceError):
    """There is no such request, or it does not exist for this person: the same to both."""

    status_code = 404

    def __init__(self, request_id: UUID | str) -> None:
        super().__init__("There is no such request.", field="request_id")
        self.request_id = request_id


class NotAllowed(DurableServiceError):
    """The person may see the request and may not do this; `action` says what."""

    status_code = 403

    def __init__(self, action: str, problem: str, *, fix: str = "") -> None:
        super().__init__(problem, fix=fix)
        self.action = action


class AlreadyDecided(DurableServiceError):
    """Somebody was first: the request is closed. `outcome`, `decided_by` and `decided_at` say how, who and when."""

    status_code = 409

    def __init__(self, outcome: str, decided_by: str, decided_at: datetime | None, seconds_ago: float) -> None:
        by = f"{decided_by} " if decided_by else ""
        word = OUTCOME_WORDS.get(outcome, outcome)
        how = f"{by}{word} this" if by and outcome != "expired" else f"This {word}"
        super().__init__(f"{how} {ago(seconds_ago)}. Your answer was not counted.")
        self.outcome = outcome
        self.decided_by = decided_by
        self.decided_at = decided_at


class RequestExpired(DurableServiceError):
    """The time for an answer is over."""

    status_code = 410

    def __init__(self, expired_at: datetime, seconds_ago: float) -> None:
        super().__init__(f"The time for an answer ended {ago(seconds_ago)}. Your answer was not counted.")
        self.expired_at = expired_at


class ExecutionEnded(DurableServiceError):
    """The execution no longer waits for this answer: it was stopped, has ended, or was answered in another way."""

    status_code = 409

    def __init__(self, reason: str) -> None:
        super().__init__(f"The execution no longer waits for this: {reason} Your answer was not counted.")


class StaleSubject(DurableServiceError):
    """What the person saw is not what is asked: the digest they sent is another one."""

    status_code = 409

    def __init__(self, digest: str) -> None:
        super().__init__(
            "What you decided on is not what is asked now. Your answer was not counted.",
            fix="Read it again, then decide.",
        )
        self.digest = digest


class AlreadyVoted(DurableServiceError):
    """The person, or the colleague for whom they act, has answered this request already."""

    status_code = 409

    def __init__(self, voter: str, seconds_ago: float) -> None:
        super().__init__(f"{voter} answered this {ago(seconds_ago)}; everybody counts once.")
        self.voter = voter
        self.seconds_ago = seconds_ago


class ClaimedByOther(DurableServiceError):
    """A colleague has taken the request for themselves."""

    status_code = 409

    def __init__(self, claimed_by: str, until: datetime) -> None:
        super().__init__(
            f"{claimed_by} is working on this until {until:%H:%M} UTC.", fix="Wait, or ask them to release it."
        )
        self.claimed_by = claimed_by
        self.until = until


class Conflict(DurableServiceError):
    """The request has changed meanwhile; `problem` says how."""

    status_code = 409


class OperationIdReused(DurableServiceError):
    """The operation id was used for another answer: by somebody else, to another request, or with another content."""

    status_code = 422

    def __init__(self) -> None:
        super().__init__(
            "This operation id was already used for another answer.",
            fix="Use a new one for each answer, and the same one only to repeat it.",
            field="operation_id",
        )


class InvalidAnswer(DurableServiceError):
    """Something in the answer can't be accepted; the request stays open.

    `errors` maps each field to its messages; `__all__` has those of no field.
    """

    status_code = 422

    def __init__(self, errors: Mapping[str, Sequence[str]]) -> None:
        first = next(iter(errors), "")
        message = errors[first][0] if first else "The answer can't be accepted."
        super().__init__(message, field=None if first in ("", "__all__") else first)
        self.errors: dict[str, list[str]] = {name: list(messages) for name, messages in errors.items()}

    @classmethod
    def of(cls, **messages: str) -> InvalidAnswer:
        """Return the error for one message a field."""
        return cls({name: [message] for name, message in messages.items()})


class NobodyCanDecide(DurableServiceError):
    """With these people the request could never be decided; `known` has what was looked for and not found."""

    status_code = 422

    def __init__(self, problem: str, fix: str, *, field: str = "assignees", known: Any = None) -> None:
        super().__init__(problem, fix=fix, field=field)
        self.known = known


def ago(seconds: float) -> str:
    """Return how long ago something was, in words."""
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return f"{int(seconds)} seconds ago" if seconds >= 2 else "just now"


def already_closed_problem(is_open: bool) -> str:
    """Return why an answer that is not sent yet can't be kept."""
    return "You can't answer this request." if is_open else "This request is closed."
