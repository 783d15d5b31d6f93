import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import pytest
from django.test import Client
from django.urls import reverse

from durable_engine.models import AuditEntry, Event, Execution
from durable_engine.sdk import registry
from durable_engine.sdk.execution import durable_execution
from durable_engine.services.functions import register_served_functions
from tests.dashboard.corpus import HOSTILE, executable_parts


class Speed(StrEnum):
    SLOW = "slow"
    FAST = "fast"


@dataclass(frozen=True)
class Line:
    sku: str = "A"
    count: int = 1


@dataclass(frozen=True)
class Shipment:
    order_id: str
    quantity: int = 2
    weight: float = 1.5
    price: Decimal = Decimal("19.90")
    express: bool = False
    day: date = date(2026, 11, 21)
    note: str | None = None
    speed: Speed = Speed.SLOW
    carrier: Literal["dhl", "ups"] = "ups"
    lines: list[Line] = field(default_factory=lambda: [Line()])

    def __post_init__(self) -> None:
        if self.quantity > 100:
            raise ValueError("quantity must be at most 100")


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    with registry.isolated():

        @durable_execution(name="shipment", input=Shipment)
        def shipment(event: Shipment, context: Any) -> None:
            """Ship an order.

            The second paragraph is
            wrapped.
            """

        @durable_execution(name="anything")
        def anything(event: object, context: Any) -> None:
            """Take any input."""

        yield


def url(function: str = "shipment") -> str:
    return reverse("dashboard:execution-start", args=[function])


def filled(**changes: str) -> dict[str, str]:
    values = {
        "order_id": "A-1",
        "quantity": "3",
        "weight": "2.5",
        "price": "19.95",
        "express": "on",
        "day": "2026-12-24",
        "note": "",
        "speed": '"fast"',
        "carrier": '"dhl"',
        "lines": '[{"sku": "B", "count": 4}]',
    }
    return {f"input-{name}": value for name, value in (values | changes).items()} | {"as": "fields", "name": ""}


def started_input() -> Any:
    return json.loads(Event.objects.get(event_id=1).payload or "")


def test_fields_start_with_the_defaults_of_the_input_type(log_in: Callable[..., Client]) -> None:
    html = log_in("Operator").get(url()).content.decode()
    for part in (
        'value="2"',
        'value="1.5"',
        'value="19.90"',
        'value="2026-11-21"',
        '"&quot;ups&quot;" selected',
        "&quot;sku&quot;: &quot;A&quot;",
    ):
        assert part in html, part
    assert "The second paragraph is wrapped." in html


def test_starting_from_fields_sends_what_was_typed(log_in: Callable[..., Client]) -> None:
    response = log_in("Operator").post(url(), filled(name="shipment-7"))
    execution = Execution.objects.get()
    assert response["Location"] == reverse("dashboard:execution-detail", args=[execution.id])
    assert execution.name != "shipment-7"
    assert started_input() == {
        "order_id": "A-1",
        "quantity": 3,
        "weight": 2.5,
        "price": "19.95",
        "express": True,
        "day": "2026-12-24",
        "speed": "fast",
        "carrier": "dhl",
        "lines": [{"sku": "B", "count": 4}],
    }


def test_the_name_of_the_execution_is_kept_and_the_start_is_audited(log_in: Callable[..., Client]) -> None:
    log_in("Operator").post(url(), {**filled(), "name": "shipment-7"})
    assert Execution.objects.get().name == "shipment-7"
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.channel) == ("operator", "start_execution", "dashboard")


def test_the_input_can_be_written_as_json(log_in: Callable[..., Client]) -> None:
    text = '{"order_id":   "B-2", "price": "1.10"}'
    assert log_in("Operator").post(url(), {"as": "json", "text": text, "name": ""}).status_code == 302
    assert Event.objects.get(event_id=1).payload == text


def test_a_function_without_an_input_type_takes_json(log_in: Callable[..., Client]) -> None:
    client = log_in("Operator")
    assert "Input (JSON)" in client.get(url("anything")).content.decode()
    assert client.post(url("anything"), {"text": "[1, 2]", "name": ""}).status_code == 302
    assert started_input() == [1, 2]


def test_a_process_without_the_code_draws_the_form_from_what_a_worker_wrote_down(log_in: Callable[..., Client]) -> None:
    register_served_functions()
    with registry.isolated():
        client = log_in("Operator")
        assert 'name="input-order_id"' in client.get(url()).content.decode()
        assert client.post(url(), filled()).status_code == 302
    assert started_input()["order_id"] == "A-1"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"order_id": ""}, "This field is required"),
        ({"quantity": "many"}, "Enter a whole number"),
        ({"quantity": "101"}, "quantity must be at most 100"),
        ({"price": "cheap"}, "Enter a number"),
        ({"day": "24.12."}, "Enter a valid date"),
        ({"carrier": '"post"'}, "Select a valid choice"),
        ({"lines": "[{"}, "not valid JSON"),
        ({"lines": '[{"sku": 1}]'}, "input.lines[0].sku must be a string"),
    ],
)
def test_what_cannot_be_accepted_is_said_at_its_field_and_nothing_typed_is_lost(
    log_in: Callable[..., Client], changes: dict[str, str], problem: str
) -> None:
    response = log_in("Operator").post(url(), filled(note="typed with care", **changes))
    html = response.content.decode()
    assert response.status_code == 422
    assert problem in html
    assert "typed with care" in html
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{not json", "not valid JSON"),
        ("NaN", "not valid JSON"),
        ('{"order_id": 7}', "input.order_id must be a string"),
        ('{"order_id": "A", "colour": "red"}', "input.colour is not known"),
        ("[" * 100 + "]" * 100, "nested deeper"),
    ],
)
def test_json_that_cannot_be_accepted_is_kept_for_mending(
    log_in: Callable[..., Client], text: str, problem: str
) -> None:
    response = log_in("Operator").post(url(), {"as": "json", "text": text, "name": ""})
    assert response.status_code == 422
    assert problem in response.content.decode()
    assert text[:9].replace('"', "&quot;") in response.content.decode()


def test_an_input_over_the_limit_is_refused_with_its_size(log_in: Callable[..., Client]) -> None:
    text = json.dumps("x" * 6_291_456)
    response = log_in("Operator").post(url("anything"), {"text": text, "name": ""})
    assert response.status_code == 422
    assert "6,291,458 bytes" in response.content.decode()


def test_a_bad_name_is_said_at_the_name(log_in: Callable[..., Client]) -> None:
    response = log_in("Operator").post(url(), {**filled(), "name": "two words"})
    assert response.status_code == 422
    assert "is not a name for an execution" in response.content.decode()


def test_a_name_used_with_another_input_leads_to_its_execution(log_in: Callable[..., Client]) -> None:
    client = log_in("Operator")
    client.post(url(), {**filled(), "name": "shipment-7"})
    response = client.post(url(), {**filled(quantity="9"), "name": "shipment-7"})
    html = response.content.decode()
    assert response.status_code == 409
    assert reverse("dashboard:execution-detail", args=[Execution.objects.get().id]) in html
    assert 'value="9"' in html


def test_the_same_name_and_input_lead_to_the_same_execution(log_in: Callable[..., Client]) -> None:
    client = log_in("Operator")
    first = client.post(url(), {**filled(), "name": "shipment-7"})
    second = client.post(url(), {**filled(), "name": "shipment-7"}, follow=True)
    assert second.redirect_chain == [(first["Location"], 302)]
    assert "was started before" in second.content.decode()
    assert Execution.objects.count() == 1


def test_the_list_of_functions_says_what_each_does(log_in: Callable[..., Client]) -> None:
    html = log_in("Operator").get(reverse("dashboard:function-list")).content.decode()
    assert "Ship an order." in html
    assert ">none</span>" in html  # no worker serves it
    assert url() in html
    assert url() not in log_in("Viewer").get(reverse("dashboard:function-list")).content.decode()


@pytest.mark.parametrize("group", ["", "Viewer", "Payload viewer", "Approver"])
def test_only_operators_may_start(log_in: Callable[..., Client], group: str) -> None:
    client = log_in(*filter(None, [group]))
    assert client.get(url()).status_code == 403
    assert client.post(url(), filled()).status_code == 403
    assert not Execution.objects.exists()


def test_anonymous_people_may_not_start(client: Client, db: None) -> None:
    assert client.post(url(), filled()).status_code == 302
    assert not Execution.objects.exists()


def test_opening_the_form_starts_nothing(log_in: Callable[..., Client]) -> None:
    log_in("Operator").get(url(), filled())
    assert not Execution.objects.exists()


def test_an_unknown_function_is_404(log_in: Callable[..., Client]) -> None:
    assert log_in("Operator").get(url("no-such-function")).status_code == 404


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: Callable[..., Client], hostile: str) -> None:
    client = log_in("Operator")
    data = {**filled(order_id=hostile, lines=hostile, note=hostile), "name": hostile}
    assert executable_parts(client.post(url(), data).content.decode()) == []
    assert executable_parts(client.post(url(), {"as": "json", "text": hostile, "name": hostile}).content.decode()) == []
