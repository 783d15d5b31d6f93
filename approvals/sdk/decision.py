"""What a handler gets back: the decision, made again from the same text on every replay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from approvals.sdk.exceptions import ApprovalError, ApprovalExpired, ApprovalRejected
from durable_engine.sdk.inputs import parse_input

T = TypeVar("T")

OUTCOMES = ("approved", "rejected", "answered", "expired")


@dataclass(frozen=True)
class VoteOf:
    """One person's answer. `on_behalf_of` is the colleague for whom they answered, or empty."""

    by: str
    choice: str
    comment: str = ""
    on_behalf_of: str = ""
    at: str = ""


@dataclass(frozen=True)
class Decision:
    """How an approval ended.

    `outcome`: approved, rejected, answered (one of your own choices) or expired. `choice`: the key of the button.
    `data`: what the form was filled in with, by the person whose answer decided. `by`: that person's user name; empty
    when time decided. `digest` names exactly what people saw. `is_expired`: nobody decided in time and `on_expire`
    gave the outcome. `is_break_glass`: decided in an emergency, without the quorum.
    """

    outcome: str
    choice: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    comment: str = ""
    by: str = ""
    votes: tuple[VoteOf, ...] = ()
    request_id: str = ""
    digest: str = ""
    decided_at: str = ""
    is_expired: bool = False
    is_break_glass: bool = False
    value: Any = None

    @property
    def approved(self) -> bool:
        """Whether it was approved."""
        return self.outcome == "approved"

    @property
    def rejected(self) -> bool:
        """Whether it was rejected."""
        return self.outcome == "rejected"

    @property
    def answered(self) -> bool:
        """Whether one of the handler's own choices was taken."""
        return self.outcome == "answered"

    @property
    def people(self) -> list[str]:
        """The user names of everybody who answered, and of those for whom they did: for `exclude=` further on."""
        names = [name for vote in self.votes for name in (vote.by, vote.on_behalf_of) if name]
        return list(dict.fromkeys([*names, *filter(None, [self.by])]))

    def require(self) -> Decision:
        """Return the decision if it is an approval.

        Raises:
            ApprovalRejected: it was rejected, or answered otherwise.
            ApprovalExpired: nobody decided in time.
        """
        if self.approved:
            return self
        if self.outcome == "expired":
            raise ApprovalExpired("nobody decided in time")
        because = f": {self.comment}" if self.comment else ""
        raise ApprovalRejected(f"{self.choice or self.outcome} by {self.by or 'nobody'}{because}")

    def data_as(self, form: type[T]) -> T:
        """Return the form's data as an instance of a dataclass or Pydantic model.

        Raises:
            ValidationError: the data does not fit; names the field.
        """
        return cast(T, parse_input(form, dict(self.data)))

    def as_text(self) -> str:
        """Return the decision as the text that completes the callback."""
        wire = {
            "request_id": self.request_id,
            "outcome": self.outcome,
            "approved": self.approved,
            "choice": self.choice,
            "by": self.by,
            "comment": self.comment,
            "data": dict(self.data),
            "value": self.value,
            "votes": [
                {"by": vote.by, "on_behalf_of": vote.on_behalf_of, "choice": vote.choice, "comment": vote.comment}
                | {"at": vote.at}
                for vote in self.votes
            ],
            "digest": self.digest,
            "decided_at": self.decided_at,
            "is_expired": self.is_expired,
            "is_break_glass": self.is_break_glass,
        }
        return json.dumps(wire, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str | None) -> Decision:
        """Read the text that completed the callback.

        Raises:
            ApprovalError: it is no decision of this app: the callback was completed by other means.
        """
        try:
            wire = json.loads(text or "null")
        except ValueError:
            wire = None
        if not isinstance(wire, dict) or wire.get("outcome") not in OUTCOMES:
            raise ApprovalError(
                "the callback was answered outside of approvals, with "
                f"{(text or 'nothing')[:200]}; a decision has an outcome: {', '.join(OUTCOMES)}"
            )
        given = wire.get("votes")
        votes = tuple(
            VoteOf(*(str(vote.get(name) or "") for name in ("by", "choice", "comment", "on_behalf_of", "at")))
            for vote in (given if isinstance(given, list) else ())
            if isinstance(vote, dict)
        )
        data = wire.get("data")
        names = ("choice", "comment", "by", "request_id", "digest", "decided_at")
        return cls(
            outcome=wire["outcome"],
            data=data if isinstance(data, dict) else {},
            votes=votes,
            is_expired=wire.get("is_expired") is True,
            is_break_glass=wire.get("is_break_glass") is True,
            value=wire.get("value"),
            **{name: str(wire.get(name) or "") for name in names},
        )
