"""Answers to plain callbacks, whose handler asked nobody in particular: by anybody with the right.

The callback is completed, and the audit written, in one transaction. Whoever comes second changes nothing. A callback
with an approval request is answered through `approvals.services.decisions` only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from approvals.queries.requests import request_of_callback
from durable_engine.services.actors import Actor
from durable_engine.services.callbacks import complete_callback_of
from durable_engine.services.exceptions import ActionRefused, InvalidInput
from durable_engine.services.validation import parse_json

Choice = Literal["approve", "reject"]
LONGEST_COMMENT = 2_000


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided."""

    choice: Choice
    comment: str = ""

    def as_json(self, by: str) -> str:
        """The text the handler's callback receives."""
        answer = {"approved": self.choice == "approve", "by": by, "comment": self.comment}
        return json.dumps(answer, ensure_ascii=False)


def decide(execution_id: UUID, operation_id: str, decision: Decision, *, actor: Actor) -> None:
    """Complete the callback with `{"approved": …, "by": …, "comment": …}`; a rejection is a success too.

    Raises:
        CallbackNotFound: there is no such callback.
        CallbackClosed: somebody was first, it expired, or its execution has ended; the error says who and when.
        InvalidInput: the comment can't be accepted.
        ActionRefused: an approval request asks certain people.
    """
    _refuse_if_people_are_asked(execution_id, operation_id)
    if len(decision.comment) > LONGEST_COMMENT:
        problem = f"has {len(decision.comment):,} characters; at most {LONGEST_COMMENT:,} are accepted."
        raise InvalidInput("comment", problem, "Shorten it.")
    text = decision.as_json(actor.label)
    reason = f"{decision.choice}: {decision.comment}" if decision.comment else decision.choice
    complete_callback_of(execution_id, operation_id, succeed=text, actor=actor, reason=_as_reason(reason))


def answer(execution_id: UUID, operation_id: str, result_text: str, *, actor: Actor) -> None:
    """Complete the callback with a JSON value of the person's own.

    Raises:
        CallbackNotFound, CallbackClosed, ActionRefused: as `decide`.
        InvalidInput: the text is not JSON, or too large.
    """
    _refuse_if_people_are_asked(execution_id, operation_id)
    parse_json(result_text, field="result")
    complete_callback_of(execution_id, operation_id, succeed=result_text, actor=actor, reason="answer")


def fail(execution_id: UUID, operation_id: str, message: str, *, actor: Actor) -> None:
    """Complete the callback as failed: for what went wrong, not for a rejection.

    Raises:
        CallbackNotFound, CallbackClosed, ActionRefused: as `decide`.
        InvalidInput: the message is empty or too long.
    """
    _refuse_if_people_are_asked(execution_id, operation_id)
    if not message.strip():
        raise InvalidInput("message", "is empty.", "Say what went wrong.")
    error: Mapping[str, object] = {"ErrorType": "CallbackFailed", "ErrorMessage": message}
    complete_callback_of(execution_id, operation_id, error=error, actor=actor, reason=_as_reason(f"fail: {message}"))


def _refuse_if_people_are_asked(execution_id: UUID, operation_id: str) -> None:
    """Those who may answer any plain callback may not step over the people, the quorum and the form of a request."""
    if request_of_callback(execution_id, operation_id) is not None:
        raise ActionRefused("Certain people are asked for this answer.", fix="Open the approval request.")


def _as_reason(text: str) -> str:
    """Cut to what the audit keeps; the comment itself stands whole in the history."""
    return text.encode()[:1_900].decode(errors="ignore")
