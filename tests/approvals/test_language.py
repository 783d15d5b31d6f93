"""The pages of approvals in the reader's language."""

import gettext
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from approvals import Choice
from tests.approvals.people import client_of, opened, user
from tests.html import element, words

APPROVALS = Path(settings.BASE_DIR) / "approvals"
CATALOGUE = APPROVALS / "locale/de/LC_MESSAGES/django.mo"
IN_CODE = re.compile(r"\b(?:_|gettext_noop)\(\s*\"((?:[^\"\\]|\\.)+)\"\s*\)")
IN_TEMPLATES = re.compile(r"{%\s*translate\s+(?:\"([^\"]+)\"|'([^']+)')")


def german(person: User) -> Client:
    client = client_of(person)
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "de-AT,de;q=0.9,en;q=0.5"
    return client


@pytest.mark.django_db
def test_a_reader_of_german_reads_and_decides_in_german() -> None:
    ana = user("ana", "finance")
    request = opened(title="Refund 120 EUR", choices=[Choice.approve(), Choice.reject(comment="required")])
    url = reverse("approvals:request-detail", args=[request.pk])
    client = german(ana)

    response = client.get(url)
    html = words(response.content.decode())
    assert response["Content-Language"] == "de"
    assert element(html, tag="html")["lang"] == "de"
    for text in ("Ihre Entscheidung", "Freigeben", "Ablehnen", "„Ablehnen“ verlangt einen Kommentar.", "Abmelden"):
        assert text in html, text
    operation_id = element(html, name="operation_id")["value"]
    sent = {"operation_id": operation_id, "digest": request.digest, "choice": "approve"}
    html = words(client.post(url, sent, follow=True).content.decode())
    assert "Sie haben „Refund 120 EUR“ freigegeben." in html
    assert "Nichts wartet auf Sie" in html


@pytest.mark.django_db
@pytest.mark.parametrize("wanted", ["", "en-GB", "xx", "fr,en;q=0.2", "\x00"])
def test_everybody_else_reads_english(wanted: str) -> None:
    client = client_of(user("ana"))
    response = client.get("/approvals/", headers={"accept-language": wanted} if wanted else {})
    assert response["Content-Language"] == "en"
    assert "Nothing waits for you" in response.content.decode()


@pytest.mark.django_db
def test_the_language_of_one_reader_does_not_stay_for_the_next() -> None:
    ana = user("ana")
    german(ana).get("/approvals/")
    assert "Nothing waits for you" in client_of(ana).get("/approvals/").content.decode()


def test_every_text_of_the_pages_is_in_the_catalogue() -> None:
    with CATALOGUE.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    texts = {match[1] for path in APPROVALS.rglob("*.py") for match in IN_CODE.finditer(path.read_text())}
    templates = (Path(settings.BASE_DIR) / "templates/approvals").rglob("*.html")
    texts |= {match[1] or match[2] for path in templates for match in IN_TEMPLATES.finditer(path.read_text())}
    assert len(texts) > 200
    missing = [text for text in texts if catalogue.gettext(text) == text and text not in SAME_IN_BOTH]
    assert missing == [], "run manage.py makemessages and compilemessages"


SAME_IN_BOTH = {"Perdure", "Status", "Team"}
