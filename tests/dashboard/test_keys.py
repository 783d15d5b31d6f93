"""The pages of API keys: who may see them, and a secret that is shown once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from durable_engine.models import ApiKey, AuditEntry
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.api_keys import find_api_key, rotate_api_key
from tests.api.site import make_key
from tests.dashboard.conftest import LogIn
from tests.dashboard.corpus import HOSTILE, executable_parts

pytestmark = pytest.mark.django_db

FORM = {"name": "billing", "scopes": ["start", "read"], "functions": "orders bill-*"}


@pytest.fixture
def client(log_in: LogIn) -> Client:
    """Somebody who may manage keys."""
    return log_in("Administrator")


def secret_on(page: Any) -> str:
    """The secret that the page shows."""
    shown = re.findall(r"<code>([\w-]{40})</code>", page.content.decode())
    assert len(shown) == 1
    return str(shown[0])


def test_only_administrators_get_in(log_in: LogIn) -> None:
    key = make_key().key
    operator, administrator = log_in("Operator", "Payload viewer"), log_in("Administrator")
    for path in ("", "new/", f"{key.access_key_id}/rotate/", f"{key.access_key_id}/revoke/"):
        assert operator.get(f"/keys/{path}").status_code == 403
        assert Client().get(f"/keys/{path}").status_code == 302
        assert administrator.get(f"/keys/{path}").status_code == 200
    assert b"API keys" not in operator.get("/").content
    assert b"API keys" in administrator.get("/").content


def test_a_new_key_is_shown_once_and_works(client: Client) -> None:
    page = client.post("/keys/new/", FORM | {"expires_on": "2999-12-31", "requests_per_second": "5"})

    key = ApiKey.objects.get()
    secret = secret_on(page)
    known = find_api_key(key.access_key_id)
    assert known is not None
    assert known.secrets == (secret,)
    assert (sorted(known.scopes), known.functions) == (["read", "start"], ("bill-*", "orders"))
    assert f"{key.expires_at:%Y-%m-%d %H:%M}" == "2999-12-31 23:59"
    assert "no-store" in page["Cache-Control"]
    listed = client.get("/keys/").content.decode()
    assert key.access_key_id in listed
    assert secret not in listed
    assert not [each for each in Session.objects.all() if secret in str(each.get_decoded())]
    assert AuditEntry.objects.get().actor == "administrator"


def test_a_new_secret_replaces_the_old_one_after_the_grace_that_was_chosen(client: Client) -> None:
    pair = make_key()
    secret = secret_on(client.post(f"/keys/{pair.key.access_key_id}/rotate/", {"grace": "1"}))

    known = find_api_key(pair.key.access_key_id)
    assert known is not None
    assert known.secrets == (secret, pair.secret)
    secret = secret_on(client.post(f"/keys/{pair.key.access_key_id}/rotate/", {"grace": "0"}))
    known = find_api_key(pair.key.access_key_id)
    assert known is not None
    assert known.secrets == (secret,)


def test_revoking_asks_first_and_keeps_the_reason(client: Client) -> None:
    key = make_key("leaky").key
    path = f"/keys/{key.access_key_id}/revoke/"
    assert "leaky" in client.get(path).content.decode()
    assert client.post(path, {"reason": "it was in a log"}).status_code == 302

    known = find_api_key(key.access_key_id)
    assert known is not None
    assert known.is_revoked
    assert AuditEntry.objects.filter(action="revoke_api_key").get().reason == "it was in a log"
    listed = client.get("/keys/").content.decode()
    assert "revoked" in listed
    assert path not in listed
    assert client.post(path, {}).status_code == 409
    assert client.post(f"/keys/{key.access_key_id}/rotate/", {"grace": "1"}).status_code == 409


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"name": ""}, "This field is required"),
        ({"name": "x" * 65}, "at most 64"),
        ({"scopes": []}, "This field is required"),
        ({"scopes": ["admin"]}, "not one of the available choices"),
        ({"functions": "a/b"}, "is no function"),
        ({"expires_on": "2001-01-01"}, "This day is over"),
        ({"expires_on": "soon"}, "Enter a valid date"),
        ({"requests_per_second": "0"}, "greater than or equal to 1"),
        ({"scopes": ["approve"]}, "acts_for"),
        ({"scopes": ["approve"], "acts_for": "nobody-there"}, "nobody-there"),
    ],
)
def test_what_cannot_be_is_shown_at_its_field_with_what_was_typed_kept(
    client: Client, wrong: dict[str, object], problem: str
) -> None:
    page = client.post("/keys/new/", FORM | wrong)

    assert page.status_code == 422
    assert problem in page.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_that_does_not_exist_is_not_found(client: Client) -> None:
    for path in ("/keys/PDKEYNOTTHERE/revoke/", "/keys/PDKEYNOTTHERE/rotate/", "/keys/a%00b/revoke/"):
        assert client.get(path).status_code == 404


def test_states_are_told_and_hostile_names_are_only_text(client: Client) -> None:
    for number, text in enumerate(HOSTILE):
        key = make_key(f"key {number}").key
        ApiKey.objects.filter(pk=key.pk).update(name=text[:64], created_by=text[:64])
    expired = make_key("expired").key
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now())
    rotated = make_key("rotated").key
    rotate_api_key(rotated.access_key_id, actor=PYTHON_CODE)

    page = client.get("/keys/").content.decode()
    assert executable_parts(page) == []
    assert "expired" in page
    assert "the secret before this one until" in page


def test_the_list_takes_the_same_queries_for_many_as_for_one(
    client: Client, django_assert_max_num_queries: object
) -> None:
    make_key()
    client.get("/keys/")
    for number in range(20):
        make_key(f"key {number}")
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        client.get("/keys/")
