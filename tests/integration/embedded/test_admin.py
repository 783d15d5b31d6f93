"""The administrator that the first `manage.py up` makes."""

from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.models import AbstractUser

from durable_engine.management.commands.up import ensure_admin

pytestmark = pytest.mark.django_db


def admin() -> AbstractUser:
    """Return the account."""
    found = get_user_model()._default_manager.get(username="admin")
    assert isinstance(found, AbstractUser)
    return found


def test_the_first_start_makes_a_superuser_with_a_random_password(tmp_path: Path) -> None:
    password, is_new = ensure_admin(tmp_path)

    assert is_new
    assert password
    assert len(password) >= 16
    assert authenticate(username="admin", password=password)
    assert admin().is_superuser
    assert password not in admin().password
    assert (tmp_path / "admin_password").stat().st_mode & 0o777 == 0o600


def test_later_starts_keep_the_account_and_its_password(tmp_path: Path) -> None:
    password, _ = ensure_admin(tmp_path)

    assert ensure_admin(tmp_path) == (password, False)


def test_a_password_that_the_person_has_changed_is_neither_reset_nor_told(tmp_path: Path) -> None:
    ensure_admin(tmp_path)
    account = admin()
    account.set_password("chosen by the person")
    account.save()

    assert ensure_admin(tmp_path) == (None, False)
    assert authenticate(username="admin", password="chosen by the person")


def test_an_account_that_was_there_before_is_left_alone(tmp_path: Path) -> None:
    get_user_model()._default_manager.create_user(username="admin", password="theirs")

    assert ensure_admin(tmp_path) == (None, False)
    assert not admin().is_superuser


def test_a_start_that_was_cut_off_before_the_account_existed_gives_it_the_password_it_wrote(tmp_path: Path) -> None:
    (tmp_path / "admin_password").write_text("written-before-the-crash\n")

    assert ensure_admin(tmp_path) == ("written-before-the-crash", True)
    assert authenticate(username="admin", password="written-before-the-crash")
