"""The history in the wire form of AWS, event type by event type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from durable_engine.models import Event, Execution
from durable_engine.queries.history import history
from durable_engine.services.callback_ids import callback_id_for
from tests.factories import add_event, make_execution

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ERROR = {"ErrorType": "ValueError", "ErrorMessage": "boom"}
ABOUT = {"operation_id": "1-2", "parent_id": "1", "name": "charge", "subtype": "Step"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def execution() -> Execution:
    return make_execution(created_at=START, input_text='{"a":1}', status="SUSPENDED")


def last(execution: Execution, event_type: str, **columns: Any) -> dict[str, Any]:
    """Append an event one second after the start and return its wire form."""
    add_event(execution, event_type, **({"event_at": START + timedelta(seconds=1)} | columns))
    return history(execution.pk, callback_id_for=callback_id_for)[-1]


def test_every_event_carries_its_number_its_time_and_what_its_operation_has(execution: Execution) -> None:
    first = history(execution.pk)[0]
    assert first == {
        "EventType": "ExecutionStarted",
        "EventId": 1,
        "EventTimestamp": START,
        "ExecutionStartedDetails": {"Input": {"Payload": '{"a":1}', "Truncated": False}},
    }
    started = last(execution, "StepStarted", attempt=1, **ABOUT)
    assert started == {
        "EventType": "StepStarted",
        "SubType": "Step",
        "EventId": 2,
        "Id": "1-2",
        "Name": "charge",
        "ParentId": "1",
        "EventTimestamp": START + timedelta(seconds=1),
        "StepStartedDetails": {},
    }


@pytest.mark.parametrize(
    ("event_type", "columns", "details"),
    [
        (
            "StepSucceeded",
            {"attempt": 2, "payload": '"ok"'},
            {"Result": {"Payload": '"ok"', "Truncated": False}, "RetryDetails": {"CurrentAttempt": 2}},
        ),
        (
            "StepSucceeded",
            {"attempt": 1, "payload": "3", "details": {"next_attempt_delay_seconds": 2.0}},
            {
                "Result": {"Payload": "3", "Truncated": False},
                "RetryDetails": {"CurrentAttempt": 1, "NextAttemptDelaySeconds": 2},
            },
        ),
        (
            "StepFailed",
            {"attempt": 1, "error": ERROR, "details": {"next_attempt_delay_seconds": 1.5}},
            {
                "Error": {"Payload": ERROR, "Truncated": False},
                "RetryDetails": {"CurrentAttempt": 1, "NextAttemptDelaySeconds": 1.5},
            },
        ),
        (
            "StepFailed",
            {"attempt": 3, "error": ERROR},
            {"Error": {"Payload": ERROR, "Truncated": False}, "RetryDetails": {"CurrentAttempt": 3}},
        ),
        ("ContextStarted", {}, {}),
        (
            "ContextSucceeded",
            {"payload": "1", "details": {"replay_children": True}},
            {"Result": {"Payload": "1", "Truncated": False}},
        ),
        ("ContextFailed", {"error": ERROR}, {"Error": {"Payload": ERROR, "Truncated": False}}),
        (
            "WaitStarted",
            {"details": {"duration_seconds": 10}},
            {"Duration": 10, "ScheduledEndTimestamp": START + timedelta(seconds=11)},
        ),
        ("WaitSucceeded", {"details": {"duration_seconds": 0.5}}, {"Duration": 0.5}),
        ("CallbackSucceeded", {"payload": "raw text"}, {"Result": {"Payload": "raw text", "Truncated": False}}),
        ("CallbackSucceeded", {}, {"Result": {"Truncated": False}}),
        ("CallbackFailed", {"error": ERROR}, {"Error": {"Payload": ERROR, "Truncated": False}}),
        ("CallbackTimedOut", {"error": ERROR}, {"Error": {"Payload": ERROR, "Truncated": False}}),
        ("ExecutionSucceeded", {"payload": "null"}, {"Result": {"Payload": "null", "Truncated": False}}),
        ("ExecutionFailed", {"error": ERROR}, {"Error": {"Payload": ERROR, "Truncated": False}}),
        ("ExecutionStopped", {"error": ERROR}, {"Error": {"Payload": ERROR, "Truncated": False}}),
        ("ExecutionTimedOut", {}, {}),
    ],
)
def test_details(execution: Execution, event_type: str, columns: dict[str, Any], details: dict[str, Any]) -> None:
    assert last(execution, event_type, **columns)[f"{event_type}Details"] == details


def test_an_invocation_says_when_it_ran_and_what_killed_it(execution: Execution) -> None:
    details = {"request_id": "r1", "started_at": (START + timedelta(seconds=0.5)).isoformat()}
    completed = last(execution, "InvocationCompleted", details=details)
    assert completed["InvocationCompletedDetails"] == {
        "StartTimestamp": START + timedelta(seconds=0.5),
        "EndTimestamp": START + timedelta(seconds=1),
        "RequestId": "r1",
    }
    assert "Id" not in completed
    died = last(execution, "InvocationCompleted", details=details, error={"ErrorType": "Runtime.ExitError"})
    assert died["InvocationCompletedDetails"]["Error"]["Payload"]["ErrorType"] == "Runtime.ExitError"


def test_an_invocation_that_the_database_dated_is_read_too(execution: Execution) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT jsonb_build_object('started_at', clock_timestamp())::text")
        (text,) = cursor.fetchone()
    add_event(execution, "InvocationCompleted")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE durable_event SET details = %s WHERE event_id = 2", [text])
    assert history(execution.pk)[-1]["InvocationCompletedDetails"]["StartTimestamp"].tzinfo is not None


def test_a_callback_shows_its_id_only_to_who_may_have_it(execution: Execution) -> None:
    details = {"timeout_seconds": 60.0, "heartbeat_timeout_seconds": 5.0}
    started = last(execution, "CallbackStarted", operation_id="2", subtype="Callback", details=details)
    assert started["CallbackStartedDetails"] == {
        "CallbackId": callback_id_for(execution.pk, "2"),
        "Timeout": 60,
        "HeartbeatTimeout": 5,
    }
    assert history(execution.pk)[-1]["CallbackStartedDetails"] == {"Timeout": 60, "HeartbeatTimeout": 5}


def test_an_invoke_says_what_it_started(execution: Execution) -> None:
    child = "01987654-3210-7abc-8def-0123456789ab"
    facts = {"function": "charge", "version": 2, "execution_id": child, "tenant_id": "acme"}
    columns = {"operation_id": "1", "subtype": "ChainedInvoke", "payload": '{"a": 1}'}
    details = last(execution, "ChainedInvokeStarted", details=facts, **columns)["ChainedInvokeStartedDetails"]

    assert details["DurableExecutionArn"].endswith(f":function:charge:$LATEST/durable-execution/{child}/{child}")
    assert {name: value for name, value in details.items() if name != "DurableExecutionArn"} == {
        "FunctionName": "charge",
        "TenantId": "acme",
        "ExecutedVersion": "2",
        "Input": {"Payload": '{"a": 1}', "Truncated": False},
    }


def test_an_invoke_of_nothing_names_no_execution(execution: Execution) -> None:
    started = last(execution, "ChainedInvokeStarted", details={"function": "chrge"}, operation_id="1", payload="{}")

    assert started["ChainedInvokeStartedDetails"] == {
        "FunctionName": "chrge",
        "Input": {"Payload": "{}", "Truncated": False},
    }


def test_the_execution_timeout_is_in_the_first_event(execution: Execution) -> None:
    Event.objects.update(details={"execution_timeout_seconds": 600.0})
    assert history(execution.pk)[0]["ExecutionStartedDetails"]["ExecutionTimeout"] == 600


def test_without_data_nothing_of_payloads_and_errors_is_read(execution: Execution) -> None:
    add_event(execution, "StepFailed", error={"ErrorMessage": "canary"}, payload="canary", **ABOUT)
    with CaptureQueriesContext(connection) as queries:
        events = history(execution.pk, include_data=False)
    assert len(queries) == 1
    assert "payload" not in queries[0]["sql"]
    assert "canary" not in str(events)
    assert events[0]["ExecutionStartedDetails"] == {"Input": {"Truncated": False}}


def test_pages_in_both_directions(execution: Execution) -> None:
    for _ in range(4):
        add_event(execution, "ContextStarted", operation_id="1")

    def ids(**how: Any) -> list[int]:
        return [event["EventId"] for event in history(execution.pk, **how)]

    assert ids(limit=2) == [1, 2]
    assert ids(after=2, limit=2) == [3, 4]
    assert ids(after=4) == [5]
    assert ids(reverse=True, limit=2) == [5, 4]
    assert ids(reverse=True, after=4, limit=10) == [3, 2, 1]


def test_an_unknown_execution_has_no_history() -> None:
    assert history(UUID(int=1)) == []
