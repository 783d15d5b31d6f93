"""Accounts and the groups they are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.contrib.auth.models import Group, Permission, User

OWN_APPS: Final = ("durable_engine", "approvals")


@dataclass(frozen=True, slots=True)
class PersonView:
    """One account. `groups` has the names of those that pages give and take; others are not shown."""

    id: int
    username: str
    email: str
    is_active: bool
    is_superuser: bool
    last_login: datetime | None
    groups: Sequence[str]


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """Some accounts by name, and the name after which the next page begins."""

    people: Sequence[PersonView]
    after: str | None


def list_people(text: str = "", after: str = "", limit: int = 50) -> PeoplePage:
    """Return accounts by name, those that begin with `text` if it is given, after a name. Three queries."""
    rows = User.objects.order_by("username")
    if text:
        rows = rows.filter(username__istartswith=text)
    if after:
        rows = rows.filter(username__gt=after)
    users = list(rows.prefetch_related("groups")[: limit + 1])
    known = set(manageable_groups())
    people = [_view(user, known) for user in users[:limit]]
    return PeoplePage(people, people[-1].username if len(users) > limit else None)


def person_with(user_id: int) -> PersonView | None:
    """Return one account, or None if there is none."""
    user = User.objects.prefetch_related("groups").filter(pk=user_id).first()
    return None if user is None else _view(user, set(manageable_groups()))


def manageable_groups() -> list[str]:
    """Return the groups that pages may give: those that carry no right of another app than ours, by name.

    A group of the host's own application may allow anything there; that is given where it is made.
    """
    foreign = Permission.objects.exclude(content_type__app_label__in=OWN_APPS)
    groups = Group.objects.exclude(permissions__in=foreign).order_by("name")
    return list(groups.values_list("name", flat=True).distinct())


def _view(user: User, known: set[str]) -> PersonView:
    return PersonView(
        id=user.pk,
        username=user.username,
        email=user.email,
        is_active=user.is_active,
        is_superuser=user.is_superuser,
        last_login=user.last_login,
        groups=sorted(group.name for group in user.groups.all() if group.name in known),
    )
