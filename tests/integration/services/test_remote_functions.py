"""Where remote functions run, as people say it: what is refused, what the audit has, how a worker learns of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from durable_engine.models import AuditEntry, Function, RemoteFunction
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.remote import RemoteHandler, register_remote
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import ActionRefused, InvalidInput
from durable_engine.services.remote_functions import (
    RemoteFunctionNotFound,
    delete_remote_function,
    follow_remote_functions,
    put_remote_function,
)
from durable_engine.services.starts import start_execution
from durable_engine.storage.connection import open_engine_connection
from tests.factories import make_worker

pytestmark = pytest.mark.django_db

ANA = Actor("ana")
URL = "http://10.0.0.7:9000"


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    with registry.isolated():
        yield


def put(name: str = "price-quote", url: str = URL, **options: Any) -> RemoteFunction:
    return put_remote_function(name, url, actor=ANA, **options)


def test_it_can_be_started_at_once_and_the_audit_has_who_and_where() -> None:
    put(queue="quotes", execution_timeout_seconds=60.0)
    started = start_execution("price-quote", "{}", actor=ANA)
    assert started.created
    assert Function.objects.get().config["queue"] == "quotes"
    put(url="https://quotes.example.com/base", reason="moved")
    assert RemoteFunction.objects.get().url == "https://quotes.example.com/base"
    created, changed = AuditEntry.objects.filter(action__endswith="remote_function").order_by("at")
    assert (created.action, created.actor, created.details) == (
        "create_remote_function",
        "ana",
        {"function": "price-quote:1", "url": URL},
    )
    assert (changed.action, changed.reason, changed.details["was"]) == ("change_remote_function", "moved", URL)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "10.0.0.7:9000",
        "ftp://10.0.0.7",
        "file:///etc/passwd",
        "http://",
        "http://a b",
        "http://10.0.0.7:99999",
        "http://10.0.0.7\n",
        "http://10.0.0.7/?a=1",
        "http://10.0.0.7/#a",
        "http://169.254.169.254/latest",
        "http://[fe80::1]:9000",
        "http://[::ffff:169.254.169.254]/",
        f"http://{'a' * 500}",
    ],
)
def test_a_url_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        put(url=url)
    assert refused.value.field == "url"
    assert not RemoteFunction.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_login_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput) as refused:
        put(url="http://ana:hunter2@10.0.0.7")
    assert "without login" in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"version": 0}, "version"),
        ({"queue": "a b"}, "queue"),
        ({"invocation_timeout_seconds": 0.0}, "invocation_timeout_seconds"),
        ({"execution_timeout_seconds": float("nan")}, "execution_timeout_seconds"),
        ({"reason": "a\x00"}, "reason"),
    ],
)
def test_what_else_cannot_be_is_named(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        put(**options)
    assert refused.value.field == field


def test_what_workers_serve_by_their_own_code_is_not_taken_over() -> None:
    registry.register(DurableHandler("orders", 1, lambda event, context: None))
    register_remote("given", URL)
    make_worker(functions=["elsewhere:1"])
    for name in ("orders", "given", "elsewhere"):
        with pytest.raises(ActionRefused, match="served by workers already"):
            put(name)
    assert put("orders", version=2).version == 2


def test_it_is_taken_away_once() -> None:
    put()
    delete_remote_function("price-quote", 1, actor=ANA, reason="gone")
    entry = AuditEntry.objects.get(action="delete_remote_function")
    assert (entry.reason, entry.details) == ("gone", {"function": "price-quote:1", "url": URL})
    with pytest.raises(RemoteFunctionNotFound):
        delete_remote_function("price-quote", 1, actor=ANA)


@pytest.mark.django_db(transaction=True)
def test_a_worker_learns_of_each_change_and_leaves_its_own_handlers_alone() -> None:
    registry.register(DurableHandler("orders", 1, lambda event, context: None))
    put()
    RemoteFunction.objects.create(name="orders", version=1, url=URL, queue="durable", invocation_timeout_seconds=900)
    RemoteFunction.objects.create(name="bad", version=1, url="nowhere", queue="durable", invocation_timeout_seconds=900)
    connection = open_engine_connection()
    try:
        assert follow_remote_functions(connection)
        assert not follow_remote_functions(connection)
        handler = registry.get("price-quote", 1)
        assert isinstance(handler, RemoteHandler)
        assert handler.url == f"{URL}/2015-03-31/functions/price-quote/invocations"
        assert not isinstance(registry.get("orders", 1), RemoteHandler)
        assert registry.get("bad", 1) is None
        put(url="http://10.0.0.8:9000")
        assert follow_remote_functions(connection)
        moved = registry.get("price-quote", 1)
        assert isinstance(moved, RemoteHandler)
        assert moved.url.startswith("http://10.0.0.8:9000")
        RemoteFunction.objects.all().delete()
        assert follow_remote_functions(connection)
        assert [each.key for each in registry.all_handlers()] == ["orders:1"]
    finally:
        connection.close()
