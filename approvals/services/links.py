"""Links in mails that lead to one request without a login: for requests opened with `link="confirm"`.

The token is 256 random bits, stored as its hash. Opening a link reads only; the answer given through it uses it up, and
the end of the request revokes it.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from approvals.clock import database_now
from approvals.models import ApprovalRequest, LinkToken

LONGEST_LIFE = timedelta(days=14)
TOKEN_LENGTH = 43


@dataclass(frozen=True, slots=True)
class LinkGrant:
    """What a valid link allows: to look at one request, and answer it, as one person. Keep its `id`, not the token."""

    id: UUID
    request_id: UUID
    user: AbstractBaseUser
    token: LinkToken


def make_link(request: ApprovalRequest, user_id: int) -> str:
    """Make a link's token for a person and return it: only its hash is kept. Links of earlier mails stay valid."""
    now = database_now()
    token = secrets.token_urlsafe(32)
    ends = [now + LONGEST_LIFE, *filter(None, [request.expires_at])]
    LinkToken.objects.create(
        sha256=_hash(token), request=request, user_id=user_id, created_at=now, expires_at=min(ends)
    )
    return token


def open_link(token: str) -> LinkGrant | None:
    """Return what a token from a link allows now, without changing anything; None for every token that is not valid."""
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    return _grant(LinkToken.objects.filter(sha256=_hash(token)).first())


def grant_of(link_id: UUID) -> LinkGrant | None:
    """Return what a link that was opened earlier allows now; None when it was used, revoked, or is too old."""
    return _grant(LinkToken.objects.filter(pk=link_id).first())


def revoke_links(request_id: UUID, user_id: int) -> None:
    """Let a person's links to a request lead nowhere from now on."""
    LinkToken.objects.filter(request=request_id, user=user_id, revoked_at=None).update(revoked_at=database_now())


def _grant(link: LinkToken | None) -> LinkGrant | None:
    if link is None or link.used_at is not None or link.revoked_at is not None or link.expires_at <= database_now():
        return None
    user = get_user_model()._default_manager.filter(pk=link.user_id, is_active=True).first()
    return None if user is None else LinkGrant(link.pk, link.request_id, user, link)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
