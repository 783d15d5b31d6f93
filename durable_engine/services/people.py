"""Make accounts, put them into groups, close them and give them new passwords. One transaction each, audited.

Nobody locks themselves out, and nobody but a superuser touches an account that may do more than this product offers.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final

from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError, transaction
from django.db.models import Q

from durable_engine.queries.people import OWN_APPS, manageable_groups
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.exceptions import ActionRefused, DurableServiceError, InvalidInput
from durable_engine.services.validation import checked_reason

ADMINISTRATOR: Final = "Administrator"
USERNAME: Final = re.compile(r"[\w.@+-]{1,150}")
PASSWORD_BYTES: Final = 15


class AccountNotFound(DurableServiceError):
    """No account has this number."""

    status_code = 404

    def __init__(self, user_id: int) -> None:
        super().__init__(f"There is no account {user_id}.", field="user_id")


@transaction.atomic
def create_account(username: str, groups: Iterable[str], *, email: str = "", by: User, reason: str = "") -> str:
    """Make an account and return its password, which is kept nowhere else.

    Raises:
        InvalidInput: the name can't be one or is taken, or a group can't be given.
    """
    if not USERNAME.fullmatch(username):
        fix = "Use 1 to 150 letters, digits and @ . + - _."
        raise InvalidInput("username", f"{username[:60]!r} is not a name for an account.", fix)
    wanted = _checked_groups(groups)
    password = _new_password()
    try:
        with transaction.atomic():
            user = User.objects.create_user(username, email=email, password=password)
    except IntegrityError:
        raise InvalidInput("username", f"there is an account {username!r} already.", "Choose another.") from None
    user.groups.set(wanted)
    _record("create_account", user, by, reason, groups=sorted(group.name for group in wanted))
    return password


@transaction.atomic
def set_groups(user_id: int, groups: Iterable[str], *, by: User, reason: str = "") -> None:
    """Put an account into exactly these of the groups that pages give; its other groups stay.

    Raises:
        AccountNotFound: there is no such account.
        ActionRefused: it has rights beyond this product and you are no superuser, or you would take the administration
            from yourself.
        InvalidInput: a group can't be given.
    """
    user = _locked(user_id, by)
    wanted = _checked_groups(groups)
    given = {group.name for group in wanted}
    before = set(user.groups.filter(name__in=manageable_groups()).values_list("name", flat=True))
    if user.pk == by.pk and not by.is_superuser and ADMINISTRATOR in before - given:
        raise ActionRefused("You would take the administration from yourself.", fix="Ask another administrator.")
    user.groups.remove(*Group.objects.filter(name__in=before - given))
    user.groups.add(*wanted)
    _record("set_groups", user, by, reason, added=sorted(given - before), removed=sorted(before - given))


@transaction.atomic
def close_account(user_id: int, *, by: User, reason: str = "") -> None:
    """Let nobody log in with an account any more; who is logged in with it is out with the next page.

    Raises:
        AccountNotFound, ActionRefused: as `set_groups`; also when it is closed already, or your own.
    """
    user = _locked(user_id, by)
    if user.pk == by.pk:
        raise ActionRefused("This is your own account.", fix="Ask another administrator.")
    if not user.is_active:
        raise ActionRefused("The account is closed already.")
    _set_active(user, is_active=False)
    _record("close_account", user, by, reason)


@transaction.atomic
def open_account(user_id: int, *, by: User, reason: str = "") -> None:
    """Let a closed account log in again, with its groups as they were.

    Raises:
        AccountNotFound, ActionRefused: as `set_groups`; also when it is open.
    """
    user = _locked(user_id, by)
    if user.is_active:
        raise ActionRefused("The account is open.")
    _set_active(user, is_active=True)
    _record("open_account", user, by, reason)


@transaction.atomic
def reset_password(user_id: int, *, by: User, reason: str = "") -> str:
    """Give an account a new password and return it; it is kept nowhere else. Whoever is logged in with it is out.

    Raises:
        AccountNotFound, ActionRefused: as `set_groups`.
    """
    user = _locked(user_id, by)
    password = _new_password()
    user.set_password(password)
    user.save(update_fields=["password"])
    _record("reset_password", user, by, reason)
    return password


@transaction.atomic
def change_own_password(user: User, password: str) -> None:
    """Give one's own account a password of one's own choice, which the caller has checked. Other sessions end."""
    user.set_password(password)
    user.save(update_fields=["password"])
    _record("change_own_password", user, user, "")


def _locked(user_id: int, by: User) -> User:
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise AccountNotFound(user_id)
    if not by.is_superuser and (user.is_superuser or _has_other_rights(user)):
        # Its password would open what the administrators of this product may not.
        raise ActionRefused("The account has rights beyond this product: only a superuser may change it.")
    return user


def _has_other_rights(user: User) -> bool:
    held = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return held.exclude(content_type__app_label__in=OWN_APPS).exists()


def _checked_groups(names: Iterable[str]) -> list[Group]:
    wanted = set(names)
    unknown = wanted - set(manageable_groups())
    if unknown:
        raise InvalidInput("groups", f"{min(unknown)[:60]!r} is not a group that can be given here.")
    return list(Group.objects.filter(name__in=wanted))


def _set_active(user: User, *, is_active: bool) -> None:
    user.is_active = is_active
    user.save(update_fields=["is_active"])


def _new_password() -> str:
    return secrets.token_urlsafe(PASSWORD_BYTES)


def _record(action: str, user: User, by: User, reason: str, **details: object) -> None:
    facts = {"account": user.username, **details}
    record_audit(Actor.of_user(by), action, reason=checked_reason(reason), details=facts)
