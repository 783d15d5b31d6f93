"""Who is asked: users, groups and holders of a permission, by the names they have in this installation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from approvals.sdk.exceptions import InvalidApproval

LONGEST_NAME = 150


@dataclass(frozen=True, slots=True)
class User:
    """One person, by user name."""

    kind: ClassVar[str] = "user"
    name: str

    def __post_init__(self) -> None:
        _check_name(self.kind, self.name)


@dataclass(frozen=True, slots=True)
class Group:
    """Everybody who is in the group at the moment of deciding, by the group's name."""

    kind: ClassVar[str] = "group"
    name: str

    def __post_init__(self) -> None:
        _check_name(self.kind, self.name)


@dataclass(frozen=True, slots=True)
class Permission:
    """Everybody who holds the permission at the moment of deciding: `app_label.codename`.

    It has to be given to the person or one of their groups; being a superuser is not enough.
    """

    kind: ClassVar[str] = "permission"
    name: str

    def __post_init__(self) -> None:
        _check_name(self.kind, self.name)
        if self.name.count(".") != 1:
            raise InvalidApproval(f"Permission({self.name!r}) must be app_label.codename, for example billing.approve")


Assignee = User | Group | Permission


def people_as_json(people: object, argument: str) -> list[dict[str, str]]:
    """Return the people as the request keeps them, without repetitions: `[{"user": "ana"}, {"group": "finance"}]`.

    Raises:
        InvalidApproval: `argument` is not a list of User, Group and Permission.
    """
    given = [people] if isinstance(people, Assignee) else people
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidApproval(f"{argument} must be a list of User, Group and Permission, not {people!r}")
    found: list[dict[str, str]] = []
    for each in given:
        if not isinstance(each, Assignee):
            raise InvalidApproval(f"{argument} has {each!r}: write User({str(each)!r}) or Group({str(each)!r})")
        if (entry := {each.kind: each.name}) not in found:
            found.append(entry)
    return found


def _check_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not name.strip() or len(name) > LONGEST_NAME or "\x00" in name:
        raise InvalidApproval(f"{kind.capitalize()}({name!r}): the name must be 1 to {LONGEST_NAME} characters")
