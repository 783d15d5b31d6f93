"""Masked fields are hidden wherever a page shows a payload, and revealing one is written down first."""

import json
from collections.abc import Callable

import pytest
from django.test import Client, override_settings

from durable_engine.models import AuditEntry, Execution
from tests.factories import make_function
from tests.html import element, words
from tests.seeds import Story

LogIn = Callable[..., Client]
SECRET = "4242-4242"
TEXT = json.dumps({"order": "A-1", "card": {"cardNumber": SECRET}, "n": 1})


@pytest.fixture
def story(db: None) -> Story:
    make_function("charges", config={"masked_keys": ["card_number"]})
    made = Story("charges", began=60, input_text=TEXT).step("1", "charge", 0.1, 0.2, json.loads(TEXT))
    return made.close("SUCCEEDED", 1, result=json.loads(TEXT))


def urls_of(story: Story) -> list[str]:
    base = f"/executions/{story.id}"
    return [
        f"{base}/input/",
        f"{base}/result/",
        f"{base}/operations/1/result/",
        f"{base}/events/1/",
        f"{base}/events/3/",
    ]


def test_every_payload_is_shown_and_downloaded_without_its_masked_fields(log_in: LogIn, story: Story) -> None:
    client = log_in("Payload viewer")
    for url in urls_of(story):
        html = client.get(url).content.decode()
        assert "A-1" in html
        assert "•••" in html
        assert "Some fields are masked" in html
        assert json.loads(client.get(f"{url}?download").content)["card"]["cardNumber"] == "•••"
        fragment = client.get(url, headers={"HX-Request": "true"}).content.decode()
        assert SECRET not in html + fragment


def test_histories_comparisons_and_forms_hide_them_too(log_in: LogIn, story: Story) -> None:
    other = Story("charges", began=30, input_text=TEXT.replace("A-1", "A-2").replace(SECRET, "1881"))
    client = log_in("Payload viewer", "Operator")
    file = bytes(client.get(f"/executions/{story.id}/history.json").getvalue()).decode()
    assert "A-1" in file
    pages = [
        file,
        client.get(f"/executions/{story.id}/compare/?with={other.id}").content.decode(),
        client.get(f"/executions/{story.id}/rerun/edit/").content.decode(),
        client.get(f"/executions/{story.id}/").content.decode(),
        client.get(f"/executions/{story.id}/data/").content.decode(),
    ]
    assert [SECRET in page or "1881" in page for page in pages] == [False] * len(pages)


def test_a_masked_input_that_is_sent_as_it_was_shown_starts_nothing(log_in: LogIn, story: Story) -> None:
    client = log_in("Payload viewer", "Operator")
    url = f"/executions/{story.id}/rerun/edit/"
    assert SECRET not in client.get(f"{url}?as=json").content.decode()
    response = client.post(url, {"as": "json", "text": TEXT.replace(SECRET, "•••")})
    assert response.status_code == 422
    assert "masked here" in words(response.content.decode())
    assert Execution.objects.count() == 1


def test_an_administrator_reveals_one_payload_and_the_audit_says_why(log_in: LogIn, story: Story) -> None:
    client = log_in("Administrator")
    url = urls_of(story)[0]
    assert element(client.get(url).content.decode(), href=f"{url}?reveal")
    question = client.get(f"{url}?reveal").content.decode()
    assert "Reason" in question
    assert SECRET not in question
    assert not AuditEntry.objects.exists()
    response = client.post(f"{url}?reveal", {"reason": "ticket 7"})
    assert SECRET in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.execution_id, entry.reason) == ("reveal_payload", story.id, "ticket 7")
    assert SECRET not in client.get(url).content.decode()


def test_what_cannot_be_written_down_is_not_revealed(log_in: LogIn, story: Story) -> None:
    response = log_in("Administrator").post(f"{urls_of(story)[0]}?reveal", {"reason": "x" * 3000})
    assert response.status_code == 422
    assert SECRET not in response.content.decode()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_else_may_reveal(log_in: LogIn, story: Story, method: str) -> None:
    client = log_in("Payload viewer", "Operator")
    for url in urls_of(story):
        assert getattr(client, method)(f"{url}?reveal").status_code == 403
    assert not AuditEntry.objects.exists()


def test_a_payload_is_not_posted_to(log_in: LogIn, story: Story) -> None:
    client = log_in("Administrator")
    assert client.post(urls_of(story)[0]).status_code == 405
    with override_settings(DURABLE_MASKED_KEYS=[]):
        plain = Story("other", input_text=TEXT)
        assert client.post(f"/executions/{plain.id}/input/?reveal").status_code == 405


def test_the_setting_masks_in_every_function(log_in: LogIn, db: None) -> None:
    story = Story("unknown", input_text='{"API-Key": "k-1", "x": 1}')
    client = log_in("Payload viewer")
    with override_settings(DURABLE_MASKED_KEYS=["api_key"]):
        assert "k-1" not in client.get(f"/executions/{story.id}/input/").content.decode()
    with override_settings(DURABLE_MASKED_KEYS=[]):
        assert "k-1" in client.get(f"/executions/{story.id}/input/").content.decode()
