"""What somebody has typed and not sent: kept as it is, checked only when it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser

from approvals.clock import database_now
from approvals.models import ApprovalRequest, Draft
from approvals.queries.eligibility import actions_of
from approvals.rules import Action
from approvals.services.exceptions import InvalidAnswer, NotAllowed, RequestNotFound, already_closed_problem

LARGEST_DRAFT = 100_000


def save_draft(request_id: UUID, *, actor: AbstractBaseUser, data: Mapping[str, Any], comment: str = "") -> Draft:
    """Keep what a person has typed so far, in place of what was kept before. Files are not kept.

    Raises:
        RequestNotFound: there is none, or not for this person. NotAllowed: they can't answer it (any more).
        InvalidAnswer: more than 100,000 characters.
    """
    request = ApprovalRequest.objects.filter(pk=request_id).first()
    allowed = frozenset() if request is None else actions_of(actor, request)
    if request is None or Action.VIEW not in allowed:
        raise RequestNotFound(request_id)
    if Action.DECIDE not in allowed:
        raise NotAllowed(Action.DECIDE, already_closed_problem(request.is_open))
    kept = {str(name): value for name, value in data.items() if isinstance(value, str | int | float | bool | list)}
    text = json.dumps([kept, comment])
    if len(text) > LARGEST_DRAFT or "\\u0000" in text or "\\ud8" in text.lower():
        raise InvalidAnswer.of(
            __all__=f"This can't be kept: more than {LARGEST_DRAFT:,} characters, or unreadable ones."
        )
    draft, _ = Draft.objects.update_or_create(
        request=request, user_id=actor.pk, defaults={"data": kept, "comment": comment, "saved_at": database_now()}
    )
    return draft


def discard_draft(request_id: UUID, *, actor: AbstractBaseUser) -> None:
    """Forget what the person has typed."""
    Draft.objects.filter(request=request_id, user=actor.pk).delete()
