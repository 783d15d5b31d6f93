"""Finds the users, groups and permissions that a handler named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission

from approvals.models import ApprovalRequest, Candidate, CandidateSource
from approvals.services.exceptions import NobodyCanDecide


def candidates_of(
    people: Sequence[Mapping[str, str]],
    request: ApprovalRequest,
    now: datetime,
    *,
    source: CandidateSource = CandidateSource.AUTHOR,
    level: int = 0,
) -> list[Candidate]:
    """Return unsaved entries for people as a specification names them: `[{"user": "ana"}, {"group": "finance"}]`.

    Raises:
        NobodyCanDecide: a name is unknown; says which.
    """
    named = [(kind, name) for entry in people for kind, name in entry.items()]
    users, groups = _users([name for kind, name in named if kind == "user"]), _groups(named)
    _check_permissions([name for kind, name in named if kind == "permission"])
    rows = []
    for kind, name in named:
        row = Candidate(request=request, label=name, source=source, level=level, added_at=now)
        match kind:
            case "user":
                row.user_id = users[name]
            case "group":
                row.group_id = groups[name]
            case _:
                row.permission = name
        rows.append(row)
    return rows


def user_id_of(name: str) -> int | None:
    """Return the user of that user name, or else of that mail address if only one has it; None without either."""
    users = get_user_model()._default_manager
    own = users.filter(**{get_user_model().USERNAME_FIELD: name}).values_list("pk", flat=True).first()
    if own is not None or "@" not in name:
        found: int | None = own
        return found
    addressed = list(users.filter(email__iexact=name).values_list("pk", flat=True)[:2])
    return addressed[0] if len(addressed) == 1 else None


def user_ids_of(names: Sequence[str]) -> list[int]:
    """Return the users of these names; unknown names are nobody."""
    return sorted({found for name in names if (found := user_id_of(name)) is not None})


def _users(names: list[str]) -> dict[str, int]:
    if not names:
        return {}
    field = get_user_model().USERNAME_FIELD
    rows = get_user_model()._default_manager.filter(**{f"{field}__in": names}).values_list(field, "pk", "is_active")
    known: dict[str, Any] = {name: (pk, is_active) for name, pk, is_active in rows}
    for name in names:
        if name not in known:
            raise NobodyCanDecide(
                f"There is no user named {name!r}.", "Make the account under People, or name another.", known=name
            )
        if not known[name][1]:
            raise NobodyCanDecide(f"The user {name!r} is not active.", "Name somebody who is.", known=name)
    return {name: pk for name, (pk, _) in known.items()}


def _groups(named: list[tuple[str, str]]) -> dict[str, int]:
    names = [name for kind, name in named if kind == "group"]
    known = dict(Group.objects.filter(name__in=names).values_list("name", "pk")) if names else {}
    for name in names:
        if name not in known:
            raise NobodyCanDecide(
                f"There is no group named {name!r}.", "Make it under People, Groups, or name another.", known=name
            )
    return known


def _check_permissions(names: list[str]) -> None:
    for name in names:
        app_label, _, codename = name.partition(".")
        if not Permission.objects.filter(content_type__app_label=app_label, codename=codename).exists():
            raise NobodyCanDecide(f"There is no permission {name!r}.", "Check its app label and code name.", known=name)
