"""API keys: made, found, rotated, revoked; their secrets unreadable in the database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from durable_engine.models import ApiKey, AuditEntry
from durable_engine.services.actors import Actor
from durable_engine.services.api_keys import (
    ApiKeyNotFound,
    KnownKey,
    create_api_key,
    ensure_api_key,
    find_api_key,
    list_api_keys,
    note_use,
    revoke_api_key,
    rotate_api_key,
)
from durable_engine.services.exceptions import ActionRefused, InvalidInput
from durable_engine.services.key_secrets import SecretUnreadable, decrypt_secret

pytestmark = pytest.mark.django_db

ANA = Actor("ana")


def known(access_key_id: str) -> KnownKey:
    key = find_api_key(access_key_id)
    assert key is not None
    return key


def test_a_new_key_is_found_with_its_secret_and_rights() -> None:
    pair = create_api_key("billing", actor=ANA, scopes=["read", "start"], functions=["orders", "bill-*"])

    key = known(pair.key.access_key_id)
    assert key.secrets == (pair.secret,)
    assert key.scopes == {"start", "read"}
    assert [key.may_touch(name) for name in ("orders", "orders-2", "bill-1", "other")] == [True, False, True, False]
    assert not key.is_revoked
    assert not key.is_expired


def test_neither_table_nor_audit_holds_the_secret() -> None:
    pair = create_api_key("billing", actor=ANA)

    with connection.cursor() as cursor:
        cursor.execute("SELECT k::text FROM durable_api_key k UNION ALL SELECT a::text FROM durable_audit_entry a")
        texts = [text for (text,) in cursor.fetchall()]
    assert len(texts) == 2
    assert not [text for text in texts if pair.secret in text or pair.secret.encode().hex() in text]
    assert pair.secret not in repr(pair) + repr(known(pair.key.access_key_id))


def test_a_secret_moved_to_another_row_is_not_readable_there() -> None:
    mine, other = create_api_key("mine", actor=ANA), create_api_key("other", actor=ANA)
    ApiKey.objects.filter(pk=mine.key.pk).update(secret=other.key.secret)

    with pytest.raises(SecretUnreadable):
        find_api_key(mine.key.access_key_id)


def test_after_a_rotation_both_secrets_are_valid_until_the_grace_is_over() -> None:
    first = create_api_key("billing", actor=ANA)
    second = rotate_api_key(first.key.access_key_id, actor=ANA, grace=timedelta(hours=1))

    assert known(first.key.access_key_id).secrets == (second.secret, first.secret)
    ApiKey.objects.update(previous_expires_at=timezone.now())
    assert known(first.key.access_key_id).secrets == (second.secret,)


def test_a_rotation_without_grace_ends_the_old_secret_at_once() -> None:
    first = create_api_key("billing", actor=ANA)
    second = rotate_api_key(first.key.access_key_id, actor=ANA, grace=timedelta(0))

    assert known(first.key.access_key_id).secrets == (second.secret,)


def test_a_revoked_and_an_expired_key_are_found_as_such() -> None:
    revoked, expired = create_api_key("one", actor=ANA), create_api_key("two", actor=ANA)
    revoke_api_key(revoked.key.access_key_id, actor=ANA, reason="leaked")
    ApiKey.objects.filter(pk=expired.key.pk).update(expires_at=timezone.now())

    assert known(revoked.key.access_key_id).is_revoked
    assert known(expired.key.access_key_id).is_expired
    with pytest.raises(ActionRefused, match="revoked already"):
        revoke_api_key(revoked.key.access_key_id, actor=ANA)
    with pytest.raises(ActionRefused, match="is revoked"):
        rotate_api_key(revoked.key.access_key_id, actor=ANA)


def test_every_change_is_in_the_audit() -> None:
    pair = create_api_key("billing", actor=ANA)
    rotate_api_key(pair.key.access_key_id, actor=ANA)
    revoke_api_key(pair.key.access_key_id, actor=ANA, reason="leaked")

    entries = AuditEntry.objects.order_by("at", "id")
    assert [entry.action for entry in entries] == ["create_api_key", "rotate_api_key", "revoke_api_key"]
    assert {entry.details["access_key_id"] for entry in entries} == {pair.key.access_key_id}
    assert [entry.reason for entry in entries] == ["", "", "leaked"]


def test_use_costs_one_read_and_is_written_once_a_minute(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    access_key_id = create_api_key("billing", actor=ANA).key.access_key_id
    note_use(known(access_key_id))
    assert ApiKey.objects.get().last_used_at is not None

    with django_assert_num_queries(1):
        note_use(known(access_key_id))


def test_keys_are_encrypted_with_the_configured_secret_and_read_with_its_predecessors(settings: Settings) -> None:
    old, new = "the-first-secret-of-32-characters-0001", "another-secret-of-32-characters-000002"
    settings.DURABLE_API_SECRET_KEYS = [old]
    first = create_api_key("first", actor=ANA)
    settings.DURABLE_API_SECRET_KEYS = [new, old]
    second = create_api_key("second", actor=ANA)

    assert known(first.key.access_key_id).secrets == (first.secret,)
    settings.DURABLE_API_SECRET_KEYS = [old]
    with pytest.raises(SecretUnreadable):
        decrypt_secret(second.key.access_key_id, bytes(second.key.secret))


def test_the_list_reads_no_secret() -> None:
    create_api_key("billing", actor=ANA)

    assert "secret" in list_api_keys()[0].get_deferred_fields()


class TestOfOneMachine:
    def test_it_is_made_once_and_given_again_at_each_start(self) -> None:
        made, is_new = ensure_api_key("local", actor=ANA)
        again, is_new_again = ensure_api_key("local", actor=ANA)

        assert made is not None
        assert again is not None
        assert (made.secret, is_new, is_new_again) == (again.secret, True, False)

    def test_one_that_was_revoked_stays_so(self) -> None:
        made, _ = ensure_api_key("local", actor=ANA)
        assert made is not None
        revoke_api_key(made.key.access_key_id, actor=ANA)

        assert ensure_api_key("local", actor=ANA) == (None, False)

    def test_one_that_cannot_be_read_any_more_gets_a_new_secret(self, settings: Settings) -> None:
        made, _ = ensure_api_key("local", actor=ANA)
        settings.DURABLE_API_SECRET_KEYS = ["another-secret-of-32-characters-000002"]
        again, is_new = ensure_api_key("local", actor=ANA)

        assert made is not None
        assert again is not None
        assert again.key.access_key_id == made.key.access_key_id
        assert again.secret != made.secret
        assert is_new


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes"),
        ({"functions": ["a b"]}, "functions"),
        ({"functions": ["a*b"]}, "functions"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expires_at"),
        ({"requests_per_second": 0}, "requests_per_second"),
    ],
)
def test_what_cannot_be_accepted_is_refused_by_name(options: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        create_api_key(**({"name": "billing", "actor": ANA} | options))  # type: ignore[arg-type]
    assert refused.value.field == field
    assert not ApiKey.objects.exists()


def test_a_key_that_does_not_exist_is_said_so() -> None:
    assert find_api_key("PDKEYNOTTHERE") is None
    with pytest.raises(ApiKeyNotFound):
        rotate_api_key("PDKEY\x00", actor=ANA)
