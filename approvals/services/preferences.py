"""Which mails somebody wants."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser

from approvals.models import NotificationPreference

WISHES = ("mail_requests", "mail_reminders", "mail_outcomes", "mail_comments")


def preferences_of(user: AbstractBaseUser) -> NotificationPreference:
    """Return a person's wishes, unsaved and all true when there are none."""
    found = NotificationPreference.objects.filter(user=user.pk).first()
    return found or NotificationPreference(user_id=user.pk)


def set_preferences(user: AbstractBaseUser, **wishes: bool) -> NotificationPreference:
    """Change some of `mail_requests`, `mail_reminders`, `mail_outcomes`, `mail_comments`.

    Raises:
        ValueError: there is no such wish.
    """
    unknown = sorted(set(wishes) - set(WISHES))
    if unknown:
        raise ValueError(f"{unknown[0]} is no wish; there are {', '.join(WISHES)}")
    found, _ = NotificationPreference.objects.update_or_create(user_id=user.pk, defaults=wishes)
    return found
