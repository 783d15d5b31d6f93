"""What application code calls."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from uuid_utils.compat import uuid7

from durable_engine import client
from durable_engine.client import ExecutionNotSucceeded, ResultNotReady, StartSpec
from durable_engine.models import AuditEntry, Event, Execution
from durable_engine.sdk import registry
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.actors import Actor
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.exceptions import (
    ActionRefused,
    CallbackClosed,
    DurableServiceError,
    ExecutionAlreadyStarted,
    ExecutionNotFound,
    InvalidInput,
)
from tests.factories import add_event, make_callback, make_execution

pytestmark = pytest.mark.django_db


def handle(event: Any, context: Any) -> None:
    """Do nothing."""


HANDLER = DurableHandler("orders", 1, handle)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Two versions of one function to start."""
    with registry.isolated():
        registry.register(HANDLER)
        registry.register(DurableHandler("orders", 2, handle))
        yield


class TestStart:
    def test_a_value_becomes_json_and_a_handle_comes_back(self) -> None:
        handle = client.start_execution(
            "orders", {"name": "Zoë", "amounts": [1, 2.5, None]}, name="o-1", tags={"a": "b"}
        )
        assert (handle.name, handle.created, handle.status) == ("o-1", True, "PENDING")
        assert Event.objects.get().payload == '{"name": "Zoë", "amounts": [1, 2.5, null]}'
        assert handle.refresh().tags == {"a": "b"}
        assert client.start_execution("orders", {"amounts": [1, 2.5, None], "name": "Zoë"}, name="o-1").id == handle.id
        with pytest.raises(ExecutionAlreadyStarted):
            client.start_execution("orders", {}, name="o-1")

    def test_a_handler_starts_as_the_version_it_is(self) -> None:
        assert client.start_execution(HANDLER).refresh().version == 1
        assert client.start_execution("orders").refresh().version == 2

    @pytest.mark.parametrize("delay", [60, timedelta(minutes=1), Duration.from_minutes(1)])
    def test_a_delay_in_any_form(self, delay: Any) -> None:
        execution = Execution.objects.get(pk=client.start_execution("orders", delay=delay).id)
        assert execution.ready_at == execution.created_at + timedelta(minutes=1)

    @pytest.mark.parametrize("value", [object(), math.nan, {1: {2, 3}}, {(1, 2): 3}])
    def test_a_value_json_cannot_hold_is_refused(self, value: Any) -> None:
        with pytest.raises(InvalidInput) as refused:
            client.start_execution("orders", value)
        assert refused.value.field == "input"

    def test_a_delay_that_is_no_duration_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="delay"):
            client.start_execution("orders", delay="soon")  # type: ignore[arg-type]

    def test_many_at_once(self) -> None:
        handles = client.start_executions([StartSpec("orders", number, name=f"n{number}") for number in range(3)])
        assert [handle.name for handle in handles] == ["n0", "n1", "n2"]

    def test_the_audit_names_the_actor_that_is_given(self) -> None:
        client.start_execution("orders")
        client.start_execution("orders", actor=Actor("nightly import"))
        assert list(AuditEntry.objects.order_by("at", "id").values_list("actor", flat=True)) == [
            "python code",
            "nightly import",
        ]


class TestResults:
    def test_a_result_is_decoded(self) -> None:
        for text, value in (('{"a": 1}', {"a": 1}), ("null", None), (None, None), ("<xml/>", "<xml/>")):
            execution = make_execution(status="SUCCEEDED", result=text)
            assert client.ExecutionHandle(execution.pk, "", True).result(timeout=0) == value

    def test_a_failure_is_raised_with_its_error(self) -> None:
        execution = make_execution(status="FAILED", error={"ErrorType": "StepError", "ErrorMessage": "boom"})
        with pytest.raises(ExecutionNotSucceeded, match="is FAILED: StepError: boom") as raised:
            client.ExecutionHandle(execution.pk, "", True).result()
        assert raised.value.error is not None
        assert raised.value.error.message == "boom"

    def test_waiting_ends_at_the_timeout_and_the_execution_goes_on(self) -> None:
        handle = client.start_execution("orders")
        with pytest.raises(ResultNotReady, match="is PENDING"):
            handle.result(timeout=0.01)
        with pytest.raises(TimeoutError):
            handle.result(timeout=timedelta(0))
        assert handle.status == "PENDING"

    def test_an_execution_that_is_gone_is_not_waited_for(self) -> None:
        with pytest.raises(ExecutionNotFound):
            client.ExecutionHandle(uuid7(), "", True).result()

    def test_invoke_in_a_transaction_would_wait_for_ever_and_is_refused(self) -> None:
        with pytest.raises(DurableServiceError, match="only after the commit"), transaction.atomic():
            client.invoke("orders", {}, 5)
        assert not Execution.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_invoke_returns_when_the_execution_has_ended(self) -> None:
        started = threading.Event()

        def finish() -> None:
            # Stands in for a worker process, which ends the execution from another connection.
            while not (execution := Execution.objects.first()):
                started.wait(0.005)
            add_event(execution, "ExecutionSucceeded", payload="42")
            execution.status, execution.closed_at = "SUCCEEDED", execution.created_at
            execution.save()
            connection.close()

        worker = threading.Thread(target=finish)
        worker.start()
        assert client.invoke("orders", {}, 20) == 42
        worker.join()


class TestAskingAndAnswering:
    def test_executions_are_listed_and_shown(self) -> None:
        execution = make_execution(name="o-1")
        make_execution(status="FAILED")
        assert [row.name for row in client.list_executions(text="o-").items] == ["o-1"]
        assert client.get_execution(str(execution.pk)).name == "o-1"
        assert client.history(execution.pk)[0]["EventType"] == "ExecutionStarted"
        for ask in (client.get_execution, client.history):
            for unknown in (uuid7(), "no id"):
                with pytest.raises(ExecutionNotFound):
                    ask(unknown)

    def test_a_stop_is_final(self) -> None:
        execution = make_execution()
        client.stop_execution(str(execution.pk), reason="wrong")
        with pytest.raises(ActionRefused):
            client.stop_execution(execution.pk)

    @pytest.mark.parametrize(
        ("value", "text"), [("as it is", "as it is"), ({"ok": True}, '{"ok": true}'), (None, None), (7, "7")]
    )
    def test_a_callback_gets_text_as_it_is_and_values_as_json(self, value: Any, text: str | None) -> None:
        execution = make_execution(status="SUSPENDED")
        make_callback(execution, "2")
        client.send_callback_success(callback_id_for(execution.pk, "2"), value)
        assert Event.objects.get(event_type="CallbackSucceeded").payload == text

    def test_a_callback_fails_with_message_type_and_data(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_callback(execution, "2")
        callback_id = callback_id_for(execution.pk, "2")
        client.send_callback_heartbeat(callback_id)
        client.send_callback_failure(callback_id, "too much", error_type="Rejected", data="42")
        error = Event.objects.get(event_type="CallbackFailed").error
        assert error == '{"ErrorType": "Rejected", "ErrorMessage": "too much", "ErrorData": "42"}'
        with pytest.raises(CallbackClosed):
            client.send_callback_heartbeat(callback_id)
