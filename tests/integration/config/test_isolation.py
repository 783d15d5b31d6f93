"""What one test leaves to the next."""

import pytest
from django.contrib.auth.models import Group, Permission

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("turn", ["first", "after a test that emptied every table"])
def test_the_groups_of_the_migration_are_there_for_every_test(turn: str) -> None:
    approver = Group.objects.get(name="Approver")

    assert Permission.objects.filter(group=approver, codename="decide_callback").exists()
    assert Group.objects.count() == 5
