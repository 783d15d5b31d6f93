"""Settings, remote functions: who may say where functions run, and what the pages show."""

from __future__ import annotations

import pytest
from django.test import Client

from durable_engine.models import AuditEntry, RemoteFunction
from durable_engine.sdk import registry
from durable_engine.sdk.remote import register_remote
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.remote_functions import put_remote_function
from tests.dashboard.conftest import LogIn
from tests.dashboard.corpus import executable_parts
from tests.html import words

pytestmark = pytest.mark.django_db

LIST = "/settings/remote-functions/"
NEW = f"{LIST}new/"
ONE = f"{LIST}price-quote/1/"
URL = "http://10.0.0.7:9000"
FORM = {
    "name": "price-quote",
    "version": "1",
    "url": URL,
    "queue": "durable",
    "invocation_timeout_seconds": "900",
    "execution_timeout_seconds": "",
    "reason": "new supplier",
}


@pytest.fixture
def client(log_in: LogIn) -> Client:
    """Somebody who may."""
    return log_in("Administrator")


def text(client: Client, url: str) -> str:
    page = client.get(url)
    assert page.status_code == 200
    assert executable_parts(page.content.decode()) == []
    return words(page.content.decode())


def test_only_administrators_get_in(log_in: LogIn) -> None:
    put_remote_function("price-quote", URL, actor=PYTHON_CODE)
    operator, administrator = log_in("Operator", "Payload viewer"), log_in("Administrator")
    for path in (LIST, NEW, ONE, f"{ONE}delete/"):
        assert operator.get(path).status_code == 403
        assert operator.post(path, FORM).status_code in {403, 405}
        assert Client().get(path).status_code == 302
        assert administrator.get(path).status_code == 200
    assert "Remote functions" not in text(operator, "/settings/")
    assert RemoteFunction.objects.get().url == URL


def test_one_is_made_changed_and_taken_away(client: Client) -> None:
    assert "No remote functions" in text(client, LIST)
    assert client.post(NEW, FORM)["Location"] == LIST
    shown = text(client, LIST)
    assert "price-quote:1" in shown
    assert URL in shown
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason, entry.channel) == ("create_remote_function", "new supplier", "dashboard")

    again = client.post(NEW, FORM)
    assert again.status_code == 422
    assert b"exists already" in again.content

    changed = {**FORM, "name": "another", "version": "9", "url": "https://quotes.example.com"}
    assert client.post(ONE, changed)["Location"] == LIST
    row = RemoteFunction.objects.get()
    assert (row.name, row.version, row.url) == ("price-quote", 1, "https://quotes.example.com")

    assert client.post(f"{ONE}delete/", {"reason": "gone"})["Location"] == LIST
    assert not RemoteFunction.objects.exists()
    assert client.get(ONE).status_code == 404


def test_what_cannot_be_is_said_at_its_field_and_a_password_is_not_shown_again(client: Client) -> None:
    page = client.post(NEW, {**FORM, "url": "http://169.254.169.254/"})
    assert page.status_code == 422
    assert b"is a link-local address" in page.content
    page = client.post(NEW, {**FORM, "name": "a b", "invocation_timeout_seconds": "0"})
    assert page.status_code == 422
    assert not RemoteFunction.objects.exists()


def test_those_of_the_environment_are_listed_and_not_changed_here(client: Client) -> None:
    with registry.isolated():
        register_remote("given", URL)
        shown = text(client, LIST)
        assert "DURABLE_REMOTE_FUNCTIONS" in shown
        assert client.get(f"{LIST}given/1/").status_code == 404
        assert client.post(NEW, {**FORM, "name": "given"}).status_code == 409


def test_the_reference_of_the_api_shows_every_call(log_in: LogIn) -> None:
    shown = text(log_in("Viewer"), "/settings/api/")
    for call in ("/api/v1/executions/{execution}/redrive", "/api/approvals/requests/{request_id}/votes"):
        assert call in shown
    assert "Its id, the beginning of it, or its name." in shown
    assert Client().get("/settings/api/").status_code == 302
