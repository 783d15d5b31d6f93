"""What each call of the API takes and answers, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from approvals.models.request import RequestHealth, RequestState
from approvals.queries.inbox import Box
from durable_engine.api.documented import MOMENT, OBJECT, TEXT, TRUTH, WHOLE, Documented, Schema
from durable_engine.api.schemas import ID, list_of, or_null, reference, schema_of

TAG: Final = "Approvals"
NUMBERS: Final[Schema] = {**OBJECT, "additionalProperties": WHOLE}
STATE: Final[Schema] = {**TEXT, "enum": RequestState.values}
KEY: Final[Mapping[str, Schema]] = {
    "Idempotency-Key": {**TEXT, "description": "New for each answer; the same again counts nothing. Or operation_id."}
}
ANSWER: Final[Mapping[str, Schema]] = {
    "choice": TEXT,
    "digest": {**TEXT, "description": "Of the request as it was read."},
    "operation_id": {**TEXT, "description": "Instead of the header Idempotency-Key."},
}
PEOPLE: Final[Schema] = list_of({**OBJECT, "additionalProperties": TEXT, "minProperties": 1, "maxProperties": 1})

_SHARED: Final[Mapping[str, Schema]] = {
    "id": ID,
    "execution_id": ID,
    "function": TEXT,
    "execution_name": TEXT,
    "name": TEXT,
    "title": TEXT,
    "choices": list_of(OBJECT),
    "digest": TEXT,
    "state": STATE,
    "outcome": TEXT,
    "opened_at": MOMENT,
    "due_at": or_null(MOMENT),
    "expires_at": or_null(MOMENT),
    "closed_at": or_null(MOMENT),
    "health": {**TEXT, "enum": RequestHealth.values},
    "claimed_by": TEXT,
    "is_overdue": TRUTH,
    "is_question_open": TRUTH,
    "quorum": OBJECT,
}
_ROW: Final = schema_of(
    {
        **_SHARED,
        "requester_label": TEXT,
        "closed_by_label": TEXT,
        "urgent_at": MOMENT,
        "has_form": TRUTH,
        "is_bulk": TRUTH,
        "is_claimed_by_me": TRUTH,
    }
)
_REQUEST: Final = schema_of(
    {
        **_SHARED,
        "description": {**TEXT, "description": "Markdown."},
        "details": OBJECT,
        "form": {"type": ["object", "null"], "description": "JSON Schema of data."},
        "choice": TEXT,
        "result": {"description": "What the handler received."},
        "revision": WHOLE,
        "close_reason": TEXT,
        "is_break_glass": TRUTH,
        "claimed_until": or_null(MOMENT),
        "escalation_level": WHOLE,
        "health_reason": TEXT,
        "requester": TEXT,
        "closed_by": TEXT,
        "asked": list_of(OBJECT),
        "votes": list_of(OBJECT),
        "history": list_of(OBJECT),
        "actions": {**list_of(TEXT), "description": "What this person may do with it now."},
        "may_act_for": list_of(TEXT),
    }
)
_ALWAYS: Final = {"code", "message"}
_PROBLEM: Final[Mapping[str, Schema]] = {
    "code": TEXT,
    "message": TEXT,
    "fields": OBJECT,
    "outcome": TEXT,
    "decided_by": TEXT,
    "decided_at": or_null(MOMENT),
    "claimed_by": TEXT,
    "claimed_until": or_null(MOMENT),
    "digest": {**TEXT, "description": "Of the request as it is now."},
}
SCHEMAS: Final[Mapping[str, Schema]] = {
    "ApprovalRow": _ROW,
    "ApprovalPage": schema_of({"items": list_of("ApprovalRow"), "next": or_null(TEXT), "previous": or_null(TEXT)}),
    "ApprovalRequest": _REQUEST,
    # One that was taken away from the person by what they did is told by its id alone.
    "ApprovalShown": {"anyOf": [reference("ApprovalRequest"), schema_of({"id": ID})]},
    "ApprovalAnswered": schema_of({"is_final": TRUTH, "is_repeat": TRUTH, "request": reference("ApprovalShown")}),
    "ApprovalAttachment": schema_of({"name": TEXT, "size": WHOLE, "sha256": TEXT, "content": TEXT}),
    "ApprovalError": {
        "anyOf": [schema_of({"error": schema_of(_PROBLEM, optional=_PROBLEM.keys() - _ALWAYS)}), reference("Error")]
    },
}


def _documented(summary: str, answer: str | Schema, **more: object) -> Documented:
    return Documented(TAG, summary, answer, errors="ApprovalError", schemas=SCHEMAS, **more)  # type: ignore[arg-type]


def _changes(summary: str, *required: str, status: int = 200, **body: Schema) -> Documented:
    return _documented(summary, "ApprovalShown", status=status, body=body, required=required)


DOCUMENTED: Final[Mapping[str, Documented]] = {
    "ListApprovalRequests": _documented(
        "List a box of the person's inbox",
        "ApprovalPage",
        query={
            "box": {**TEXT, "enum": [box.value for box in Box], "default": Box.MINE.value},
            "function": TEXT,
            "requester": TEXT,
            "text": TEXT,
            "state": TEXT,
            "overdue": TRUTH,
            "limit": {**WHOLE, "minimum": 1, "maximum": 200, "default": 50},
            "cursor": TEXT,
        },
    ),
    "CountApprovalRequests": _documented("Count the boxes of the person's inbox, each up to 100", NUMBERS),
    "GetApprovalRequest": _documented("Show a request as the person may see it", "ApprovalRequest"),
    "GetApprovalAttachment": _documented("Give out a file of an answer, as base64", "ApprovalAttachment"),
    "AnswerApprovalRequest": _documented(
        "Answer a request",
        "ApprovalAnswered",
        headers=KEY,
        body={
            **ANSWER,
            "data": {**OBJECT, "description": "The form's fields."},
            "comment": TEXT,
            "on_behalf_of": {**TEXT, "description": "A user name."},
        },
        required=("choice", "digest"),
    ),
    "BreakGlassOnApprovalRequest": _documented(
        "Decide alone in an emergency",
        "ApprovalAnswered",
        headers=KEY,
        body={**ANSWER, "reason": TEXT},
        required=("choice", "digest", "reason"),
    ),
    "ClaimApprovalRequest": _changes("Take a request for oneself; again, to keep it longer"),
    "ReleaseApprovalRequest": _changes("Give a request back"),
    "DelegateApprovalRequest": _changes("Send a request on to a colleague", "to", to=TEXT, comment=TEXT),
    "CommentOnApprovalRequest": _changes("Say something about a request", "text", status=201, text=TEXT),
    "AskAboutApprovalRequest": _changes(
        "Ask the requester; the clocks stand still until the reply", "text", status=201, text=TEXT
    ),
    "ReplyAboutApprovalRequest": _changes("Reply to the open question", "text", status=201, text=TEXT),
    "ReassignApprovalRequest": _changes(
        "Ask others", "to", "reason", to=PEOPLE, reason=TEXT, replace={**TRUTH, "default": True}
    ),
    "ExtendApprovalRequest": _changes("Give more time", "reason", due_at=MOMENT, expires_at=MOMENT, reason=TEXT),
    "WithdrawApprovalRequest": _changes("Take the question back", "reason", reason=TEXT),
}
