"""Callback ids: opaque, stable, unforgeable, and refused before anything is looked up."""

from __future__ import annotations

import base64
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from uuid_utils.compat import uuid7

from durable_engine.models import callback_uuid
from durable_engine.services.actors import Actor
from durable_engine.services.callback_ids import callback_id_for, parse_callback_id
from durable_engine.services.callbacks import complete_callback, heartbeat_callback
from durable_engine.services.exceptions import CallbackNotFound

EXECUTION = uuid7()
OLD, NEW = ("k1", "old-secret-" * 4), ("k2", "new-secret-" * 4)


def test_an_id_is_the_same_at_every_call_and_leads_to_its_callback() -> None:
    callback_id = callback_id_for(EXECUTION, "1-2")
    assert callback_id == callback_id_for(EXECUTION, "1-2")
    assert parse_callback_id(callback_id) == callback_uuid(EXECUTION, "1-2")


def test_each_operation_of_each_execution_has_its_own() -> None:
    keys = [(EXECUTION, "1"), (EXECUTION, "2"), (uuid7(), "1")]
    assert len({callback_id_for(*key) for key in keys}) == 3


def test_an_id_uses_the_characters_aws_clients_accept() -> None:
    for number in range(50):
        assert re.fullmatch(r"[A-Za-z0-9+/]{60,200}={0,2}", callback_id_for(EXECUTION, str(number)))


def test_no_byte_of_an_id_can_be_changed() -> None:
    raw = base64.b64decode(callback_id_for(EXECUTION, "1"))
    for position in range(len(raw)):
        forged = bytearray(raw)
        forged[position] ^= 1
        with pytest.raises(CallbackNotFound):
            parse_callback_id(base64.b64encode(bytes(forged)).decode())


def test_no_other_spelling_of_an_id_is_accepted() -> None:
    callback_id = callback_id_for(EXECUTION, "1")
    for other in (callback_id.rstrip("="), callback_id + "=", callback_id[:-4], f" {callback_id}", callback_id + "\n"):
        if other != callback_id:
            with pytest.raises(CallbackNotFound):
                parse_callback_id(other)


def test_ids_given_out_under_an_old_key_stay_valid_while_it_is_listed(settings: Settings) -> None:
    settings.DURABLE_CALLBACK_KEYS = [OLD]
    old = callback_id_for(EXECUTION, "1")
    settings.DURABLE_CALLBACK_KEYS = [NEW, OLD]
    assert callback_id_for(EXECUTION, "1") != old
    assert parse_callback_id(old) == parse_callback_id(callback_id_for(EXECUTION, "1"))
    settings.DURABLE_CALLBACK_KEYS = [NEW]
    with pytest.raises(CallbackNotFound):
        parse_callback_id(old)


def test_without_keys_ids_follow_the_secret_key_and_its_fallbacks(settings: Settings) -> None:
    settings.DURABLE_CALLBACK_KEYS = []
    old_secret, old = settings.SECRET_KEY, callback_id_for(EXECUTION, "1")
    settings.SECRET_KEY = "another-secret-key-of-more-than-thirty-two-characters"
    with pytest.raises(CallbackNotFound):
        parse_callback_id(old)
    settings.SECRET_KEY_FALLBACKS = [old_secret]
    assert parse_callback_id(old) == callback_uuid(EXECUTION, "1")


@pytest.mark.django_db
def test_a_forged_id_is_refused_without_asking_the_database(settings: Settings) -> None:
    settings.DURABLE_CALLBACK_KEYS = [("k9", "somebody-elses-secret-of-some-length")]
    forged = callback_id_for(EXECUTION, "1")
    settings.DURABLE_CALLBACK_KEYS = [NEW]
    with CaptureQueriesContext(connection) as queries:
        with pytest.raises(CallbackNotFound):
            complete_callback(forged, actor=Actor("x"))
        with pytest.raises(CallbackNotFound):
            heartbeat_callback(forged)
    assert len(queries) == 0


@pytest.mark.django_db
def test_a_genuine_id_whose_execution_is_gone_is_not_found() -> None:
    with pytest.raises(CallbackNotFound):
        complete_callback(callback_id_for(EXECUTION, "1"), actor=Actor("x"))
