"""`manage.py make_sample_people`: accounts to play the approval examples with, made only when asked for."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand
from django.db import transaction

# Who is in which group; sam is the one who asks.
SAMPLE_PEOPLE = {
    "sam": (),
    "mia": ("managers",),
    "milan": ("managers",),
    "dora": ("directors",),
    "cleo": ("cfo",),
    "eva": ("editors",),
    "emil": ("editors",),
    "sina": ("security",),
    "sven": ("security",),
}


class Command(BaseCommand):
    """Make the people and groups that the approval examples ask."""

    help = (
        "Makes accounts named sam, mia, milan, dora, cleo, eva, emil, sina and sven, with one password, and the groups"
        " that the approval examples ask. An account that exists is put into its groups and keeps its password."
        " For trying out: delete them before real people use this installation."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the command's options."""
        parser.add_argument("--password", help="the password of the new accounts; without it one is made up and shown")

    @transaction.atomic
    def handle(self, **options: Any) -> None:
        """Make what is missing and say what was made."""
        password = options["password"] or secrets.token_urlsafe(9)
        made = [name for name, groups in SAMPLE_PEOPLE.items() if make_person(name, groups, password)]
        if made:
            self.stdout.write(f"made {', '.join(made)}; password {password}")
        kept = [name for name in SAMPLE_PEOPLE if name not in made]
        if kept:
            self.stdout.write(f"{', '.join(kept)} existed; their passwords are as they were")


def make_person(name: str, groups: tuple[str, ...], password: str) -> bool:
    """Make the account unless it exists, and put it into its groups. Returns whether it was made."""
    user, is_new = User.objects.get_or_create(username=name, defaults={"email": f"{name}@example.com"})
    if is_new:
        user.set_password(password)
        user.save(update_fields=["password"])
    user.groups.add(*(Group.objects.get_or_create(name=group)[0] for group in groups))
    return is_new
