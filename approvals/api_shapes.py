"""Requests, inbox rows and refusals as JSON values of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from approvals.models import Candidate, Vote
from approvals.queries.inbox import InboxRow
from approvals.queries.requests import RequestView, history_lines
from approvals.services.exceptions import AlreadyDecided, ClaimedByOther, InvalidAnswer, StaleSubject
from durable_engine.services.exceptions import DurableServiceError


def inbox_row(row: InboxRow) -> dict[str, Any]:
    """Return one line of a list."""
    return asdict(row)


def request_shape(view: RequestView) -> dict[str, Any]:
    """Return a request as one person may see it. `actions` is what they may do with it now."""
    request = view.request
    columns = (
        "id", "execution_id", "function", "execution_name", "name", "title", "description", "details", "form",
        "choices", "digest", "state", "outcome", "choice", "result", "revision", "opened_at", "due_at", "expires_at",
        "closed_at", "close_reason", "is_break_glass", "claimed_until", "escalation_level", "health", "health_reason",
    )  # fmt: skip
    return {
        **{column: getattr(request, column) for column in columns},
        "requester": request.requester_label,
        "closed_by": request.closed_by_label,
        "claimed_by": "" if request.claimed_by is None else request.claimed_by.get_username(),
        "quorum": request.policy["quorum"],
        "is_overdue": view.is_overdue,
        "is_question_open": request.asked_at is not None,
        "asked": [_candidate(entry) for entry in view.candidates],
        "votes": [_vote(vote) for vote in view.votes],
        "history": history_lines(view.events),
        "actions": sorted(view.actions),
        "may_act_for": sorted(view.standing.principals.values()),
    }


def problem_of(problem: DurableServiceError) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of a refusal."""
    error: dict[str, Any] = {"code": type(problem).__name__, "message": str(problem)}
    match problem:
        case InvalidAnswer():
            error["fields"] = problem.errors
        case AlreadyDecided():
            facts = {"outcome": problem.outcome, "decided_by": problem.decided_by, "decided_at": problem.decided_at}
            error |= facts
        case ClaimedByOther():
            error |= {"claimed_by": problem.claimed_by, "claimed_until": problem.until}
        case StaleSubject():
            error["digest"] = problem.digest
    return problem.status_code, {"error": error}


def to_json(value: Mapping[str, Any]) -> str:
    """Return JSON text; times are ISO 8601."""
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _candidate(entry: Candidate) -> dict[str, Any]:
    kind = "user" if entry.user_id is not None else "group" if entry.group_id is not None else "permission"
    return {kind: entry.label, "source": entry.source, "level": entry.level}


def _vote(vote: Vote) -> dict[str, Any]:
    return {
        "by": vote.voter_label,
        "on_behalf_of": vote.on_behalf_of_label,
        "choice": vote.choice,
        "data": vote.data,
        "comment": vote.comment,
        "channel": vote.channel,
        "at": vote.created_at,
    }


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    message = f"{type(value).__name__} can't be written as JSON"
    raise TypeError(message)
