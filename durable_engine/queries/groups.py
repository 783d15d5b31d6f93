"""The groups that pages give: who is in them, and what they may do with approval requests beyond being asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Count

from durable_engine.queries.people import manageable_groups

# Made by a migration, with rights that stay as they are.
BUILT_IN: Final = ("Viewer", "Payload viewer", "Operator", "Approver", "Administrator")
# What a group of people who are asked may be given beyond that, by code name.
GIVEN_RIGHTS: Final = ("view_approvalrequest", "supervise_approvalrequest", "break_glass")
MOST_GROUPS: Final = 1_000
MOST_MEMBERS: Final = 500


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group. `rights` are those of `GIVEN_RIGHTS` that it has."""

    id: int
    name: str
    members: int
    rights: Sequence[str]

    @property
    def is_built_in(self) -> bool:
        """Whether it came with the product: its rights are not changed, and it is not deleted."""
        return self.name in BUILT_IN


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a group."""

    id: int
    username: str
    is_active: bool


def list_groups() -> list[GroupView]:
    """Return the groups by name, at most a thousand. Three queries."""
    rows = Group.objects.filter(name__in=manageable_groups()).annotate(members=Count("user")).order_by("name")
    return _views(list(rows[:MOST_GROUPS]))


def group_with(group_id: int) -> GroupView | None:
    """Return one group; None if there is none, or if it carries a right of another application."""
    rows = Group.objects.filter(pk=group_id, name__in=manageable_groups()).annotate(members=Count("user"))
    found = _views(list(rows))
    return found[0] if found else None


def members_of(group_id: int) -> list[Member]:
    """Return who is in a group, by name, at most 500."""
    rows = User.objects.filter(groups=group_id).order_by("username").values_list("pk", "username", "is_active")
    return [Member(*row) for row in rows[:MOST_MEMBERS]]


def _views(groups: list[Group]) -> list[GroupView]:
    held: dict[int, list[str]] = {}
    rows = Permission.objects.filter(content_type__app_label="approvals", codename__in=GIVEN_RIGHTS)
    for group_id, codename in rows.filter(group__in=groups).values_list("group", "codename"):
        held.setdefault(group_id, []).append(codename)
    return [
        GroupView(group.pk, group.name, group.members, sorted(held.get(group.pk, ())))  # type: ignore[attr-defined]
        for group in groups
    ]
