"""The history of a request as a page and as files."""

import csv
import io

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals.models import ApprovalRequest
from approvals.services.requests import comment_on_request
from tests.approvals.people import client_of, opened, page_of, user, vote
from tests.html import words

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    """Somebody of finance."""
    return user("ana", "finance")


def url(request: ApprovalRequest, name: str = "history") -> str:
    return reverse(f"approvals:request-{name}", args=[request.pk])


def test_it_says_who_did_what_when_through_what_and_what_they_saw(ana: User) -> None:
    form = {"type": "object", "properties": {"granted": {"type": "integer", "title": "Granted"}}}
    request = opened(form=form)
    vote(request, ana, comment="read it twice", data={"granted": 7})

    html = words(page_of(ana, url(request)))
    for text in ("Opened; asked: finance", "ana answered: Approve", "read it twice", "<dt>Granted</dt>", "page"):
        assert text in html, text
    assert html.count(request.digest) == 2


def test_as_json_it_has_the_subject_the_policy_and_every_event(ana: User) -> None:
    request = opened(details={"order": "A-7"}, quorum=1)
    vote(request, ana)

    response = client_of(ana).get(url(request, "history-json"))
    found = response.json()
    assert response["Content-Disposition"] == f'attachment; filename="approval-{request.pk}.json"'
    assert found["subject"]["details"] == {"order": "A-7"}
    assert found["digest"] == request.digest
    assert [event["kind"] for event in found["history"]] == ["OPENED", "VOTED", "DECIDED"]
    assert (found["state"], found["result"]["by"]) == ("APPROVED", "ana")


def test_as_a_table_no_cell_is_a_formula(ana: User) -> None:
    request = opened()
    evil = user("=cmd()", "finance")
    comment_on_request(request.pk, actor=evil, text='=HYPERLINK("http://x")')

    text = client_of(ana).get(url(request, "history-csv")).content.decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["kind"] for row in rows] == ["OPENED", "COMMENTED"]
    assert rows[1]["actor"] == "'=cmd()"
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def test_what_is_done_is_exported_as_it_is_filtered(ana: User) -> None:
    vote(opened(title="=refund"), ana, "reject")
    vote(opened(title="mugs"), ana)
    opened(title="open")

    response = client_of(ana).get(reverse("approvals:done-export"))
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    assert [(row["title"], row["state"], row["closed_by_label"]) for row in rows] == [
        ("mugs", "APPROVED", "ana"),
        ("'=refund", "REJECTED", "ana"),
    ]
    text = client_of(ana).get(reverse("approvals:done-export"), {"q": "mugs"}).content.decode()
    assert "refund" not in text
    assert "mugs" not in client_of(user("stranger")).get(reverse("approvals:done-export")).content.decode()
