"""Absences, delegations and wishes about mails, as people keep them."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from approvals.models import Delegation, NotificationPreference, OutOfOffice
from approvals.services.absences import start_absence, start_delegation
from tests.approvals.people import client_of, page_of, user
from tests.dashboard.corpus import HOSTILE, living_elements
from tests.html import elements, words

pytestmark = pytest.mark.django_db
AWAY = "/approvals/away/"


@pytest.fixture
def ana() -> User:
    """Somebody of finance."""
    return user("ana", "finance")


@pytest.fixture
def ben() -> User:
    """A colleague of hers."""
    return user("ben", "finance")


def post(person: User, name: str, *args: object, **data: Any) -> Any:
    return client_of(person).post(reverse(f"approvals:{name}", args=args), data, follow=True)


def day(ahead: int) -> str:
    return f"{timezone.localdate() + timedelta(days=ahead):%Y-%m-%d}"


def test_somebody_who_is_away_says_until_when_and_who_decides_meanwhile(ana: User, ben: User) -> None:
    data = {"absence-ends_on": day(3), "absence-substitute": "ben", "absence-note": "in Porto"}
    html = words(post(ana, "absence-start", **data).content.decode())
    assert "Your absence is noted." in html
    assert "ben may decide for you." in html
    absence = OutOfOffice.objects.get()
    assert absence.ends_at.date() == timezone.localdate() + timedelta(days=4), "the last day counts whole"
    inbox = words(page_of(ana, "/approvals/"))
    assert "You are away" in inbox
    assert "ben may decide for you." in inbox


def test_back_earlier_than_planned(ana: User) -> None:
    absence = start_absence(actor=ana, starts_at=None, ends_at=timezone.now() + timedelta(days=3))

    assert "I am back" in page_of(ana, AWAY)
    assert "Welcome back." in post(ana, "absence-end", absence.pk).content.decode()
    assert "You are away" not in page_of(ana, "/approvals/")


def test_a_colleague_may_decide_for_some_functions_until_it_is_ended(ana: User, ben: User) -> None:
    data = {"delegation-to": "ben", "delegation-functions": "orders, refunds", "delegation-reason": "parental leave"}
    html = words(post(ana, "delegation-start", **data).content.decode())
    assert "ben for ana" in html
    assert "orders, refunds" in html
    assert "ben for ana" in words(page_of(ben, AWAY))
    post(ben, "delegation-end", Delegation.objects.get().pk)
    assert Delegation.objects.get().ended_at is not None


@pytest.mark.parametrize(
    ("name", "data", "problem", "field"),
    [
        ("absence-start", {"absence-ends_on": ""}, "This field is required.", "id_absence-ends_on"),
        ("absence-start", {"absence-ends_on": "2020-01-01"}, "in the future", "id_absence-ends_on"),
        ("absence-start", {"absence-ends_on": "nonsense"}, "Enter a valid date.", "id_absence-ends_on"),
        (
            "absence-start",
            {"absence-ends_on": "2100-01-01", "absence-substitute": "nobody"},
            "There is no active user named",
            "id_absence-substitute",
        ),
        ("delegation-start", {"delegation-to": "ana"}, "That is the same person.", "id_delegation-to"),
        ("delegation-start", {"delegation-to": "a\x00b"}, "Null characters", "id_delegation-to"),
    ],
)
def test_what_cannot_be_is_told_at_its_field(
    ana: User, name: str, data: dict[str, str], problem: str, field: str
) -> None:
    response = post(ana, name, **data, **{"absence-note": "typed with care"})
    html = response.content.decode()
    assert response.status_code == 422
    assert problem in html
    assert f"#{field}" in [each.get("href") for each in elements(html, tag="a")]
    assert (OutOfOffice.objects.count(), Delegation.objects.count()) == (0, 0)


def test_nobody_ends_what_is_not_theirs(ana: User, ben: User) -> None:
    absence = start_absence(actor=ana, starts_at=None, ends_at=timezone.now() + timedelta(days=3))
    delegation = start_delegation(actor=ana, to="ben")
    stranger = user("stranger")

    assert post(stranger, "absence-end", absence.pk).status_code == 404
    assert post(stranger, "delegation-end", delegation.pk).status_code == 404
    assert post(ben, "absence-end", absence.pk).status_code == 404


@pytest.mark.parametrize("name", ["absence-start", "delegation-start"])
def test_reading_changes_nothing(ana: User, name: str) -> None:
    assert client_of(ana).get(reverse(f"approvals:{name}")).status_code == 405


def test_everybody_chooses_the_mails_they_want(ana: User) -> None:
    page = reverse("approvals:preferences")
    html = page_of(ana, page)
    assert "ana@example.com" in html
    assert len([each for each in elements(html, type="checkbox") if "checked" in each]) == 4
    response = client_of(ana).post(page, {"mail_requests": "on"}, follow=True)
    assert "Your wishes are kept." in response.content.decode()
    kept = NotificationPreference.objects.get(user=ana)
    assert (kept.mail_requests, kept.mail_reminders, kept.mail_comments) == (True, False, False)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(ana: User, ben: User, hostile: str) -> None:
    names = ("absence-note", "absence-substitute", "delegation-to", "delegation-reason", "delegation-functions")
    pages = [post(ana, "absence-start", **dict.fromkeys(names, hostile))]
    pages.append(post(ana, "absence-start", **{"absence-ends_on": day(3), "absence-note": hostile}))
    given = {"delegation-to": "ben", "delegation-reason": hostile, "delegation-functions": hostile}
    pages.append(post(ana, "delegation-start", **given))
    for page in pages:
        assert living_elements(page.content.decode()) == []
