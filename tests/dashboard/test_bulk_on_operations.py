"""What a bulk action is told besides its executions, through the pages: operation, outcome, input, version."""

import json
from collections.abc import Callable
from uuid import UUID

import pytest
from django.test import Client
from pytest_django import Settings

from dashboard.bulk import EFFECTS, LABELS
from durable_engine.models import AuditEntry, BulkAction, Callback, Event, Execution
from durable_engine.services.bulk import PERMISSIONS
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.dashboard.test_bulk import carry_out, choose, status, url
from tests.factories import make_function
from tests.html import element, elements, words
from tests.seeds import Story, document_that_waits, order_that_failed, order_that_succeeded, payment_in_back_off

LogIn = Callable[..., Client]
RESULT = {"outcome": "result", "result": '{"iban": "DE02", "by": "telephone"}'}


def set_options(client: Client, bulk_id: UUID, **fields: str) -> None:
    response = client.post(url(bulk_id, "options"), fields)
    assert response.status_code == 302, response.content


def page_of(client: Client, bulk_id: UUID) -> str:
    return words(client.get(url(bulk_id)).content.decode())


def seen_options(client: Client, bulk_id: UUID) -> str:
    return element(client.get(url(bulk_id)).content.decode(), name="seen_options")["value"]


def test_every_action_for_many_has_its_words() -> None:
    assert PERMISSIONS.keys() == LABELS.keys() == EFFECTS.keys()


def test_before_a_preview_the_operation_is_named_from_those_that_occur(log_in: LogIn) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "rewind", [order_that_failed(), order_that_failed()])
    html = client.get(url(bulk_id)).content.decode()
    assert "On which operation?" in html
    assert [option["value"] for option in elements(html, tag="option") if option["value"] == "trip"] == ["trip"]
    assert not elements(html, name="seen_options")
    assert "would be acted on" not in html
    # Nor does it start without.
    response = client.post(url(bulk_id, "start"))
    assert response.status_code == 409
    assert "Name it first." in response.content.decode()


def test_each_is_rewound_to_the_operation_that_was_named(log_in: LogIn) -> None:
    stories, client = [order_that_failed(), order_that_failed(), order_that_succeeded()], log_in("Operator")
    bulk_id = choose(client, "rewind", stories)
    set_options(client, bulk_id, operation="trip")
    html = page_of(client, bulk_id)
    assert '<strong class="number">2</strong> would be acted on' in html
    assert '<strong class="number">1</strong> refused: It has no operation named &#x27;trip&#x27;.' in html
    assert not Execution.objects.filter(origin_kind="rewind").exists()
    client.post(url(bulk_id, "start"), {"reason": "hotel opened", "seen_options": seen_options(client, bulk_id)})
    carry_out(bulk_id)
    assert Execution.objects.filter(origin_kind="rewind").count() == 2
    html = page_of(client, bulk_id)
    assert html.count("The execution that goes on") == 2
    assert AuditEntry.objects.get(action="start_bulk_action").details["operation"] == "trip"


def test_a_fork_leads_to_the_copies(log_in: LogIn) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "fork", [order_that_failed()])
    set_options(client, bulk_id, operation="trip", kind="context", version="")
    client.post(url(bulk_id, "start"))
    carry_out(bulk_id)
    html = page_of(client, bulk_id)
    assert "The copy" in html
    assert "trip (context)" in html


def test_what_is_open_gets_the_value_and_only_some_see_it(log_in: LogIn) -> None:
    stories, client = [document_that_waits(), payment_in_back_off()], log_in("Operator")
    bulk_id = choose(client, "complete", stories)
    set_options(client, bulk_id, operation="approve-document", kind="callback", **RESULT)
    assert "telephone" not in page_of(client, bulk_id)
    assert "It succeeded, with a result" in page_of(client, bulk_id)
    client.post(url(bulk_id, "start"))
    carry_out(bulk_id)
    assert Callback.objects.get().status == "SUCCEEDED"
    assert json.loads(Event.objects.get(event_type="CallbackSucceeded").payload or "")["by"] == "telephone"
    assert "telephone" not in page_of(client, bulk_id)
    assert "telephone" in page_of(log_in("Payload viewer"), bulk_id)


def test_masked_fields_of_the_value_stay_masked(log_in: LogIn, settings: Settings) -> None:
    settings.DURABLE_MASKED_KEYS = ["iban"]
    bulk_id = choose(log_in("Operator"), "complete", [document_that_waits()])
    set_options(log_in("Operator", "Payload viewer"), bulk_id, operation="approve-document", **RESULT)
    html = page_of(log_in("Payload viewer"), bulk_id)
    assert "telephone" in html
    assert "DE02" not in html


def test_an_error_needs_a_message_and_is_shown(log_in: LogIn) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "complete", [payment_in_back_off()])
    response = client.post(url(bulk_id, "options"), {"operation": "charge", "outcome": "error"})
    assert response.status_code == 422
    assert "Say what went wrong" in response.content.decode()
    set_options(client, bulk_id, operation="charge", outcome="error", error_message="the bank is closed")
    assert "It failed: CompletedByHand" in page_of(client, bulk_id)
    assert "the bank is closed" not in page_of(client, bulk_id)
    assert "It failed: CompletedByHand: the bank is closed" in page_of(log_in("Payload viewer"), bulk_id)


@pytest.mark.parametrize(
    ("action", "fields", "field"),
    [
        ("rewind", {"operation": ""}, "operation"),
        ("rewind", {"operation": "x" * 300}, "operation"),
        ("rewind", {"operation": "trip", "kind": "thing"}, "kind"),
        ("fork", {"operation": "trip", "version": "x"}, "version"),
        ("complete", {"operation": "trip", "outcome": "result", "result": "{no json"}, "result"),
    ],
)
def test_what_is_typed_wrong_is_kept_and_said_at_its_field(
    log_in: LogIn, action: str, fields: dict[str, str], field: str
) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, action, [order_that_failed()])
    response = client.post(url(bulk_id, "options"), fields)
    assert response.status_code == 422
    html = response.content.decode()
    assert f'id="id_{field}_error"' in html
    assert BulkAction.objects.get().options == {}
    if fields["operation"]:
        assert element(html, id="id_operation")["value"] == fields["operation"]


def test_who_saw_the_preview_of_something_else_is_told_so(log_in: LogIn) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "complete", [payment_in_back_off()])
    set_options(client, bulk_id, operation="charge", **RESULT)
    seen = seen_options(client, bulk_id)
    set_options(client, bulk_id, operation="charge", outcome="result", result="0")
    response = client.post(url(bulk_id, "start"), {"seen_options": seen})
    assert response.status_code == 409
    assert "has changed what it would do" in response.content.decode()
    assert status(bulk_id) == "DRAFT"


def test_of_one_that_was_started_or_takes_none_no_operation_is_named(log_in: LogIn) -> None:
    client = log_in("Operator")
    started = choose(client, "rewind", [order_that_failed()])
    set_options(client, started, operation="trip")
    client.post(url(started, "start"))
    plain = choose(client, "stop", [document_that_waits()])
    for bulk_id in (started, plain):
        assert client.post(url(bulk_id, "options"), {"operation": "other"}).status_code == 409
    assert BulkAction.objects.get(pk=started).options == {"operation": "trip"}


@pytest.mark.parametrize("group", ["Viewer", "Payload viewer", "Approver"])
@pytest.mark.parametrize("action", ["rewind", "fork", "complete"])
def test_people_without_the_right_of_the_action_neither_name_nor_start(log_in: LogIn, group: str, action: str) -> None:
    bulk_id = choose(log_in("Operator"), action, [order_that_failed()])
    client = log_in(group)
    assert client.post("/bulk/new/", {"action": action, "scope": "matching"}).status_code == 403
    for name in ("options", "start"):
        assert client.post(url(bulk_id, name), {"operation": "trip"}).status_code == 403
    html = client.get(url(bulk_id)).content.decode()
    assert "Your account may not start it." in html
    assert not elements(html, name="operation")
    assert client.get(url(bulk_id, "options")).status_code == 405


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_and_values_stay_texts(log_in: LogIn, hostile: str) -> None:
    story = Story().step("1", hostile, 0.1, 0.2).close("FAILED", 1)
    client = log_in("Operator", "Payload viewer")
    bulk_id = choose(client, "rewind", [story])
    assert executable_parts(client.get(url(bulk_id)).content.decode()) == []
    fields = {"operation": hostile, "outcome": "result", "result": json.dumps(hostile)}
    complete = choose(client, "complete", [story])
    for each in (bulk_id, complete):
        response = client.post(url(each, "options"), fields)
        assert executable_parts(response.content.decode()) == []
        assert executable_parts(client.get(url(each)).content.decode()) == []
    assert '<strong class="number">1</strong> would be acted on' in page_of(client, bulk_id)


def test_many_run_again_with_another_input_that_only_some_see(log_in: LogIn) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "rerun", [order_that_failed(), order_that_failed()])
    assert '<strong class="number">2</strong> would be acted on' in page_of(client, bulk_id)
    assert client.post(url(bulk_id, "options"), {"input": "{no json"}).status_code == 422
    set_options(client, bulk_id, version="", input='{"trip": "B-1"}')
    assert "B-1" not in page_of(client, bulk_id)
    assert "B-1" in page_of(log_in("Payload viewer"), bulk_id)
    make_function("booking-saga", 1)
    client.post(url(bulk_id, "start"))
    carry_out(bulk_id)
    again = Event.objects.filter(execution__origin_kind="rerun", event_type="ExecutionStarted")
    assert [event.payload for event in again] == ['{"trip": "B-1"}'] * 2
    assert AuditEntry.objects.get(action="start_bulk_action").details["input"] == "another one"


def test_many_are_redriven_on_another_version(log_in: LogIn) -> None:
    client = log_in("Operator")
    bulk_id = choose(client, "redrive", [order_that_failed()])
    for wrong in ("0", "x"):
        assert client.post(url(bulk_id, "options"), {"version": wrong}).status_code == 422
    set_options(client, bulk_id, version="2")
    make_function("booking-saga", 2)
    client.post(url(bulk_id, "start"))
    carry_out(bulk_id)
    assert Execution.objects.get(origin_kind="redrive").version == 2
