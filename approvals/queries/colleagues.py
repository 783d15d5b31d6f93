"""Whom a person may want to name: the people they share a group with."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

MOST_SHOWN = 100


def colleagues_of(user: AbstractBaseUser) -> list[str]:
    """Return the user names of the active people who share a group with this person, by name; at most 100."""
    name = get_user_model().USERNAME_FIELD
    users = get_user_model()._default_manager.filter(is_active=True, groups__user=user.pk).exclude(pk=user.pk)
    return list(users.order_by(name).values_list(name, flat=True).distinct()[:MOST_SHOWN])
