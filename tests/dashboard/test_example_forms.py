"""Every example starts from its form as it is shown: nothing typed, one button pressed."""

import json
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

import examples.durable_functions  # noqa: F401 - importing registers them
from durable_engine.models import Event
from durable_engine.sdk import registry
from durable_engine.sdk.inputs import parse_input
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.functions import register_served_functions
from tests.html import elements

EXAMPLES = [
    handler
    for handler in registry.all_handlers()
    if handler.func.__module__.startswith("examples.durable_functions") and handler.input is not None
]


def proposed(html: str) -> dict[str, str]:
    """What a browser would send of the fields of the input."""
    values: dict[str, str] = {}
    select = ""
    for each in elements(html):
        name = each.get("name", "")
        if each["tag"] == "select":
            select = name
        elif each["tag"] == "option" and "selected" in each and select.startswith("input-"):
            values[select] = each["value"]
        elif each["tag"] == "input" and name.startswith("input-"):
            values[name] = each.get("value", "")
    return values


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 17


@pytest.mark.parametrize("handler", EXAMPLES, ids=lambda handler: handler.name)
def test_an_example_starts_from_its_form_as_it_is(handler: DurableHandler, log_in: Callable[..., Client]) -> None:
    register_served_functions()
    client, url = log_in("Operator"), reverse("dashboard:execution-start", args=[handler.name])
    page = client.get(url).content.decode()

    response = client.post(url, {**proposed(page), "as": "fields", "name": ""})

    assert response.status_code == 302
    started = json.loads(Event.objects.get(event_id=1).payload or "")
    assert parse_input(handler.input, started) == parse_input(handler.input, {})
