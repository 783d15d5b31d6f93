"""Callbacks by business key: unique while open, completed by it, told apart by function, whoever comes first."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from durable_engine import client
from durable_engine.core.ports import Batch, CallbackKeyTaken, EventType, NewCallback, NewEvent
from durable_engine.models import Callback, Event, Execution
from durable_engine.sdk import CallbackConfig, ValidationError
from durable_engine.services.actors import Actor
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.copies import fork_execution, redrive_execution
from durable_engine.services.exceptions import CallbackNotFound, InvalidInput
from durable_engine.services.executions import start_execution, stop_execution
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.leases import Served, claim, register_worker
from tests.factories import event_types, make_callback, make_execution
from tests.integration.races import wait_until_one_waits

ACTOR = Actor("ana", channel="dashboard")
KEYED = {"key": "order-7", "key_function": "orders"}

pytestmark = pytest.mark.django_db


class TestCompleting:
    def test_by_key_and_function(self) -> None:
        make_callback(make_execution(), **KEYED)
        client.send_callback_success(result={"ok": True}, key="order-7", function="orders")
        assert Callback.objects.get().status == "SUCCEEDED"
        assert Event.objects.get(event_type="CallbackSucceeded").payload == '{"ok": true}'

    def test_with_a_failure_and_a_heartbeat(self) -> None:
        make_callback(make_execution(), heartbeat_timeout_seconds=60, **KEYED)
        before = Callback.objects.get().heartbeat_deadline
        client.send_callback_heartbeat(key="order-7", function="orders")
        assert before is not None
        assert (Callback.objects.get().heartbeat_deadline or before) > before
        client.send_callback_failure(message="broken", key="order-7", function="orders")
        assert Callback.objects.get().status == "FAILED"

    @pytest.mark.parametrize("names", [{"key": "order-8", "function": "orders"}, {"key": "order-7", "function": "x"}])
    def test_another_key_or_function_is_not_found(self, names: dict[str, Any]) -> None:
        make_callback(make_execution(), **KEYED)
        with pytest.raises(CallbackNotFound, match="No open callback"):
            client.send_callback_success(**names)

    def test_one_that_is_completed_is_not_found_by_its_key(self) -> None:
        make_callback(make_execution(), status="SUCCEEDED", **KEYED)
        with pytest.raises(CallbackNotFound):
            client.send_callback_success(key="order-7", function="orders")

    @pytest.mark.parametrize(
        "names", [{}, {"key": "a"}, {"function": "orders"}, {"callback_id": "x", "key": "a", "function": "orders"}]
    )
    def test_it_is_named_in_one_way(self, names: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            client.send_callback_success(**names)

    @pytest.mark.parametrize("key", ["", "x" * 257, "a\nb", "\x00", 7])
    def test_a_key_is_printable_text(self, key: Any) -> None:
        with pytest.raises(ValidationError, match="1 to 256 printable"):
            CallbackConfig(key=key)


class TestCopies:
    def test_a_redriven_execution_keeps_the_key_of_an_open_callback(self) -> None:
        execution = make_execution()
        make_callback(execution, **KEYED)
        stop_execution(execution.pk, actor=ACTOR)
        new_id = redrive_execution(execution.pk, actor=ACTOR).id
        client.send_callback_success(key="order-7", function="orders")
        assert event_types(new_id)[-1] == "CallbackSucceeded"

    def test_a_key_that_another_one_has_meanwhile_stays_theirs(self) -> None:
        execution = make_execution()
        make_callback(execution, **KEYED)
        stop_execution(execution.pk, actor=ACTOR)
        other = make_execution()
        make_callback(other, **KEYED)
        new_id = redrive_execution(execution.pk, actor=ACTOR).id
        assert Callback.objects.get(execution_id=new_id).key is None
        client.send_callback_success(callback_id_for(execution.pk, "1"))
        assert (event_types(new_id)[-1], Callback.objects.get(execution=other).status) == (
            "CallbackSucceeded",
            "STARTED",
        )

    def test_a_fork_leaves_the_key_to_the_original(self) -> None:
        execution = make_execution()
        make_callback(execution, **KEYED)
        make_callback(execution, "2", name="other")
        new_id = fork_execution(execution.pk, "2", actor=ACTOR).id
        assert Callback.objects.get(execution_id=new_id).key is None


@pytest.mark.django_db(transaction=True)
class TestStore:
    @pytest.fixture
    def connections(self) -> Iterator[ConnectionHolder]:
        holder = ConnectionHolder()
        yield holder
        holder.discard()

    def invocation(self, connections: ConnectionHolder) -> PostgresInvocation:
        execution_id = start_execution("orders", "{}", actor=ACTOR, version=1).id
        engine = connections.get()
        worker_id = register_worker(engine, hostname="test", pid=1, release="", functions=[], queues=[])
        served = [Served("orders", 1, 900.0)]
        claimed = claim(engine, worker_id=worker_id, served=served, queues=["durable"], execution_id=execution_id)
        assert claimed is not None
        store = PostgresInvocation(
            connections,
            claimed,
            callback_id=callback_id_for,
            should_release=lambda: False,
            hint=lambda *_: None,
        )
        store.load()
        return store

    def opening(self, operation_id: str, key: str | None) -> Batch:
        event = NewEvent(EventType.CALLBACK_STARTED, time.monotonic(), operation_id, subtype="Callback")
        return Batch([event], callbacks=[NewCallback(operation_id, None, None, key=key)])

    def test_the_second_one_records_nothing_and_is_told_who_has_the_key(self, connections: ConnectionHolder) -> None:
        self.invocation(connections).checkpoint(self.opening("1", "order-7"))
        first = Execution.objects.get()
        second = self.invocation(connections)
        with pytest.raises(CallbackKeyTaken, match=f"operation 1 of execution {first.pk}"):
            second.checkpoint(self.opening("1", "order-7"))
        assert Event.objects.filter(event_type="CallbackStarted").count() == 1
        second.checkpoint(self.opening("1", "order-8"))
        assert Callback.objects.count() == 2

    def test_a_key_is_free_again_when_its_callback_is_closed(self, connections: ConnectionHolder) -> None:
        self.invocation(connections).checkpoint(self.opening("1", "order-7"))
        client.send_callback_success(key="order-7", function="orders")
        self.invocation(connections).checkpoint(self.opening("1", "order-7"))
        assert Callback.objects.filter(status="STARTED").count() == 1

    def test_threads_whose_batches_share_a_statement_are_told_apart(self, connections: ConnectionHolder) -> None:
        self.invocation(connections).checkpoint(self.opening("1", "order-7"))
        store = self.invocation(connections)
        problems: dict[str, BaseException | None] = {}

        def open_callback(operation_id: str, key: str) -> None:
            try:
                store.checkpoint(self.opening(operation_id, key))
                problems[operation_id] = None
            except CallbackKeyTaken as problem:
                problems[operation_id] = problem

        with transaction.atomic():
            # The first thread waits for the row; what the others bring meanwhile goes into one statement.
            Execution.objects.select_for_update().get(pk=store._claim.execution_id)
            threads = [threading.Thread(target=open_callback, args=("1", "order-8"))]
            threads[0].start()
            wait_until_one_waits()
            threads += [
                threading.Thread(target=open_callback, args=("2", "order-7")),
                threading.Thread(target=open_callback, args=("3", "order-9")),
            ]
            for thread in threads[1:]:
                thread.start()
            while len(store._queue._entries) < 2:
                threads[1].join(0.01)
        for thread in threads:
            thread.join(60)
        assert [type(problems[each]) for each in "123"] == [type(None), CallbackKeyTaken, type(None)]
        keys = Callback.objects.filter(execution_id=store._claim.execution_id).values_list("key", flat=True)
        assert sorted(str(key) for key in keys) == ["order-8", "order-9"]
        assert event_types(store._claim.execution_id).count("CallbackStarted") == 2
