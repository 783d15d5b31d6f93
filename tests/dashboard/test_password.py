"""One's own password is changed by its owner, who knows the old one."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from durable_engine.models import AuditEntry
from tests.html import elements, words
from tests.seeds import person

PAGE = "/settings/password/"
NEW = "a-mug-of-warm-tea"

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    """Somebody without any right."""
    return person("ana")


@pytest.fixture
def browser(ana: User) -> Client:
    client = Client()
    client.force_login(ana)
    return client


def typed(old: str = "secret", new: str = NEW, again: str = NEW) -> dict[str, str]:
    return {"old_password": old, "new_password1": new, "new_password2": again}


def test_the_new_password_works_here_and_every_other_session_ends(ana: User, browser: Client) -> None:
    elsewhere = Client()
    elsewhere.force_login(ana)
    response = browser.post(PAGE, typed(), follow=True)
    assert "Your password was changed." in words(response.content.decode())
    assert elsewhere.get("/settings/").status_code == 302
    assert Client().login(username="ana", password=NEW)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor, entry.details) == ("change_own_password", "ana", {"account": "ana"})


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (typed(old="wrong"), "old_password"),
        (typed(again="another"), "new_password2"),
        (typed(new="12345678", again="12345678"), "new_password2"),
        ({}, "old_password"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(ana: User, browser: Client, sent: dict[str, str], field: str) -> None:
    response = browser.post(PAGE, sent)
    assert response.status_code == 422
    assert elements(response.content.decode(), id=f"id_{field}_error")
    ana.refresh_from_db()
    assert ana.check_password("secret")


def test_it_needs_a_login_and_looking_changes_nothing(ana: User, browser: Client) -> None:
    assert Client().get(PAGE)["Location"].startswith("/login/")
    html = browser.get(PAGE)
    assert "no-store" in html["Cache-Control"]
    assert "at least 8 characters" in html.content.decode()
    assert not AuditEntry.objects.exists()
