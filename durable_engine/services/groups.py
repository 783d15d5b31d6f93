"""Make groups of people, so that handlers can ask them; put people in and out. One transaction each, audited."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError, transaction
from django.db.models import ManyToOneRel, Q

from durable_engine.queries.groups import BUILT_IN, GIVEN_RIGHTS, group_with
from durable_engine.queries.people import manageable_groups
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.exceptions import ActionRefused, DurableServiceError, InvalidInput
from durable_engine.services.people import set_groups
from durable_engine.services.validation import checked_reason

LONGEST_NAME = 150


class GroupNotFound(DurableServiceError):
    """No group that pages give has this number."""

    status_code = 404

    def __init__(self, group_id: int) -> None:
        super().__init__(f"There is no group {group_id}.", field="group_id")


@transaction.atomic
def create_group(name: str, *, rights: Iterable[str] = (), by: User, reason: str = "") -> int:
    """Make a group without members and return its number; `rights` as `set_group_rights` takes them.

    Raises:
        InvalidInput: the name can't be one or is taken, or a right can't be given.
    """
    name = _checked_name(name)
    given = _checked_rights(rights)
    try:
        with transaction.atomic():
            group = Group.objects.create(name=name)
    except IntegrityError:
        raise InvalidInput("name", f"there is a group {name!r} already.", "Choose another name.") from None
    group.permissions.set(given)
    _record("create_group", name, by, reason, rights=sorted(each.codename for each in given))
    return int(group.pk)


@transaction.atomic
def set_group_rights(group_id: int, rights: Iterable[str], *, by: User, reason: str = "") -> None:
    """Give a group exactly these rights of `queries.groups.GIVEN_RIGHTS`; what else it may stays.

    Raises:
        GroupNotFound: there is no such group.
        ActionRefused: it came with the product.
        InvalidInput: a right can't be given.
    """
    group = _own_group(group_id)
    wanted = {each.codename: each for each in _checked_rights(rights)}
    had = set(group.permissions.filter(_given()).values_list("codename", flat=True))
    group.permissions.remove(*Permission.objects.filter(_given(), codename__in=had - set(wanted)))
    group.permissions.add(*wanted.values())
    _record(
        "set_group_rights", group.name, by, reason, added=sorted(set(wanted) - had), removed=sorted(had - set(wanted))
    )


@transaction.atomic
def delete_group(group_id: int, *, by: User, reason: str = "") -> None:
    """Delete a group that nobody is in and that was never asked anything.

    Raises:
        GroupNotFound: there is no such group.
        ActionRefused: it came with the product, has members, or was asked: histories go on naming it.
    """
    group = _own_group(group_id)
    if group.user_set.exists():
        raise ActionRefused("People are in this group.", fix="Take them out first.")
    if _is_named(group):
        raise ActionRefused("This group was asked something: it stays, so that what was asked of whom stays too.")
    group.delete()
    _record("delete_group", group.name, by, reason)


@transaction.atomic
def add_member(group_id: int, username: str, *, by: User, reason: str = "") -> None:
    """Put somebody into a group, by user name. Without effect on who is in it already.

    Raises:
        GroupNotFound: there is no such group.
        InvalidInput: there is no such account.
        ActionRefused: as `set_groups`.
    """
    group = _found(group_id)
    user = User.objects.filter(username=username.strip()).first() if "\x00" not in username else None
    if user is None:
        raise InvalidInput("username", f"there is no account {username[:60]!r}.", "Make it first, under People.")
    set_groups(user.pk, {*_groups_of(user.pk), group.name}, by=by, reason=reason)


@transaction.atomic
def remove_member(group_id: int, user_id: int, *, by: User, reason: str = "") -> None:
    """Take somebody out of a group. Without effect on who is not in it.

    Raises:
        GroupNotFound: there is no such group.
        AccountNotFound, ActionRefused: as `set_groups`.
    """
    group = _found(group_id)
    set_groups(user_id, set(_groups_of(user_id)) - {group.name}, by=by, reason=reason)


def _given() -> Q:
    return Q(content_type__app_label="approvals", codename__in=GIVEN_RIGHTS)


def _found(group_id: int) -> Group:
    if group_with(group_id) is None:
        raise GroupNotFound(group_id)
    return Group.objects.select_for_update().get(pk=group_id)


def _own_group(group_id: int) -> Group:
    group = _found(group_id)
    if group.name in BUILT_IN:
        raise ActionRefused("This group came with Perdure: its rights stay as they are.", fix="Make another group.")
    return group


def _groups_of(user_id: int) -> list[str]:
    return list(Group.objects.filter(user=user_id, name__in=manageable_groups()).values_list("name", flat=True))


def _is_named(group: Group) -> bool:
    """Whether a row of any app refers to the group, besides its members and rights."""
    for relation in Group._meta.get_fields(include_hidden=True):
        if not isinstance(relation, ManyToOneRel) or relation.related_model._meta.auto_created:
            continue
        if relation.related_model._default_manager.filter(**{relation.field.name: group}).exists():
            return True
    return False


def _checked_name(name: str) -> str:
    text = " ".join(name.split())
    if not 0 < len(text) <= LONGEST_NAME or any(unicodedata.category(each)[0] == "C" for each in text):
        raise InvalidInput("name", f"{name[:60]!r} is not a name for a group.", f"Use 1 to {LONGEST_NAME} characters.")
    return text


def _checked_rights(codenames: Iterable[str]) -> list[Permission]:
    wanted = set(codenames)
    if unknown := wanted - set(GIVEN_RIGHTS):
        raise InvalidInput("rights", f"{min(unknown)[:60]!r} is not a right that can be given here.")
    return list(Permission.objects.filter(_given(), codename__in=wanted))


def _record(action: str, name: str, by: User, reason: str, **details: object) -> None:
    record_audit(Actor.of_user(by), action, reason=checked_reason(reason), details={"group": name, **details})
