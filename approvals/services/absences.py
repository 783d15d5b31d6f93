"""Delegations and absences: who may answer in whose place, from when until when. Neither is passed on further."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from approvals.clock import database_now
from approvals.models import Delegation, OutOfOffice
from approvals.services.exceptions import InvalidAnswer, RequestNotFound
from approvals.services.people import user_id_of
from approvals.services.texts import checked_words

MOST_RUNNING = 50


@transaction.atomic
def start_delegation(
    *,
    actor: AbstractBaseUser,
    to: str,
    starts_at: datetime | None = None,
    ends_at: datetime | None = None,
    functions: Sequence[str] = (),
    reason: str = "",
    from_user: AbstractBaseUser | None = None,
) -> Delegation:
    """Let a colleague (a user name) answer in one's place; `functions` limits it.

    Only a supervisor may do it for somebody else (`from_user`).

    Raises:
        InvalidAnswer: names the field: no such colleague, oneself, times that don't fit, too many.
    """
    now = database_now()
    owner = from_user or actor
    if owner.pk != actor.pk and not actor.has_perm("approvals.supervise_approvalrequest"):  # type: ignore[attr-defined]
        raise InvalidAnswer.of(from_user="Only a supervisor can delegate for somebody else.")
    begins = starts_at or now
    _check_times(begins, ends_at, now)
    if Delegation.objects.filter(_running(now), from_user=owner.pk).count() >= MOST_RUNNING:
        raise InvalidAnswer.of(
            to=_("There are %(count)d delegations already; end some of them.") % {"count": MOST_RUNNING}
        )
    return Delegation.objects.create(
        from_user_id=owner.pk,
        to_user_id=_colleague(to, owner, "to"),
        starts_at=begins,
        ends_at=ends_at,
        functions=_functions(functions),
        reason=checked_words(reason, "reason")[:500],
        created_at=now,
        created_by_id=actor.pk,
    )


def end_delegation(delegation_id: UUID, *, actor: AbstractBaseUser) -> None:
    """End a delegation now. Its owner, the colleague and supervisors may; answers given stay.

    Raises:
        RequestNotFound: there is no such delegation for this person.
    """
    rows = Delegation.objects.filter(pk=delegation_id, ended_at=None)
    if not actor.has_perm("approvals.supervise_approvalrequest"):  # type: ignore[attr-defined]
        rows = rows.filter(Q(from_user=actor.pk) | Q(to_user=actor.pk))
    if not rows.update(ended_at=database_now()):
        raise RequestNotFound(delegation_id)


def start_absence(
    *,
    actor: AbstractBaseUser,
    starts_at: datetime | None,
    ends_at: datetime,
    substitute: str = "",
    note: str = "",
) -> OutOfOffice:
    """Say that one is away; the substitute (a user name) may answer in one's place and is told of new requests.

    Raises:
        InvalidAnswer: names the field: no such colleague, oneself, or times that don't fit.
    """
    now = database_now()
    begins = starts_at or now
    _check_times(begins, ends_at, now)
    return OutOfOffice.objects.create(
        user_id=actor.pk,
        substitute_id=_colleague(substitute, actor, "substitute") if substitute.strip() else None,
        starts_at=begins,
        ends_at=ends_at,
        note=checked_words(note, "note")[:500],
        created_at=now,
    )


def end_absence(absence_id: UUID, *, actor: AbstractBaseUser) -> None:
    """Say that one is back.

    Raises:
        RequestNotFound: the person has no such absence.
    """
    if not OutOfOffice.objects.filter(pk=absence_id, user=actor.pk, ended_at=None).update(ended_at=database_now()):
        raise RequestNotFound(absence_id)


def _running(now: datetime) -> Q:
    return Q(ended_at=None) & (Q(ends_at=None) | Q(ends_at__gt=now))


def _colleague(name: str, owner: AbstractBaseUser, field: str) -> int:
    user_id = user_id_of(name.strip()) if name.strip() and "\x00" not in name else None
    if user_id is None or not get_user_model()._default_manager.filter(pk=user_id, is_active=True).exists():
        raise InvalidAnswer({field: [_("There is no active user named “%(name)s”.") % {"name": name}]})
    if user_id == owner.pk:
        raise InvalidAnswer({field: [_("That is the same person.")]})
    return user_id


def _check_times(starts_at: datetime, ends_at: datetime | None, now: datetime) -> None:
    for name, value in (("starts_at", starts_at), ("ends_at", ends_at)):
        if value is not None and value.tzinfo is None:
            raise InvalidAnswer({name: ["Give the time with its zone."]})
    if ends_at is not None and (ends_at <= starts_at or ends_at <= now):
        raise InvalidAnswer.of(ends_at=_("The end must lie after the beginning, and in the future."))


def _functions(names: Sequence[str]) -> list[str]:
    found = sorted({name.strip() for name in names if name.strip()})
    if len(found) > 100 or any(len(name) > 140 or "\x00" in name for name in found):
        raise InvalidAnswer.of(functions=_("Name at most 100 processes."))
    return found
