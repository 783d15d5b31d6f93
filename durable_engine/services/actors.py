"""Who asks for a change: a person, a program or the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import AbstractBaseUser

DASHBOARD: Final = "dashboard"
APPROVALS: Final = "approvals"
COMMAND_LINE: Final = "command line"
PYTHON: Final = "python"
SCHEDULE: Final = "schedule"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, as the audit keeps it.

    `label` stays readable after the user is deleted; `channel` is one of those above.
    """

    label: str
    user_id: int | None = None
    channel: str = PYTHON

    @classmethod
    def of_user(cls, user: AbstractBaseUser, channel: str = DASHBOARD) -> Actor:
        """Return the actor for a logged-in person."""
        return cls(label=user.get_username(), user_id=user.pk, channel=channel)


PYTHON_CODE = Actor("python code")
"""Application code that calls the client without saying for whom."""
