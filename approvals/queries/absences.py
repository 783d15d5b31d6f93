"""Delegations and absences, for the page on which people keep them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from approvals.clock import database_now
from approvals.models import Delegation, OutOfOffice

MOST_SHOWN = 100


def delegations_of(user_id: int) -> list[Delegation]:
    """Return the delegations from and to a person that are running or planned, soonest first."""
    rows = Delegation.objects.filter(Q(from_user=user_id) | Q(to_user=user_id), ended_at=None)
    rows = rows.filter(Q(ends_at=None) | Q(ends_at__gt=database_now()))
    return list(rows.select_related("from_user", "to_user", "created_by").order_by("starts_at")[:MOST_SHOWN])


def absences_of(user_id: int) -> list[OutOfOffice]:
    """Return a person's absences that are running or planned, soonest first."""
    rows = OutOfOffice.objects.filter(user=user_id, ended_at=None, ends_at__gt=database_now())
    return list(rows.select_related("user", "substitute").order_by("starts_at")[:MOST_SHOWN])


def away_now(user_ids: Iterable[int]) -> dict[int, OutOfOffice]:
    """Return who of these people is away now, and their absence."""
    now = database_now()
    rows = OutOfOffice.objects.filter(user__in=list(user_ids), ended_at=None, starts_at__lte=now, ends_at__gt=now)
    return {row.user_id: row for row in rows.select_related("substitute").order_by("ends_at")}
