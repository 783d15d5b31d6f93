"""The registry of functions that all processes read."""

from __future__ import annotations

import pytest

from durable_engine.models import Function
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.functions import function_names, known_functions, register_served_functions
from tests.factories import make_function
from tests.integration.services.conftest import handle

pytestmark = pytest.mark.django_db


def test_a_worker_writes_down_what_it_serves() -> None:
    register_served_functions()
    assert list(Function.objects.values_list("name", "version")) == [("orders", 2), ("orders", 1), ("refund", 1)]
    refund = Function.objects.get(name="refund")
    assert refund.config["execution_timeout_seconds"] == 600.0
    assert refund.config["invocation_timeout_seconds"] == 900.0
    assert refund.config["queue"] == "slow"
    assert sorted(refund.config["input_schema"]["properties"]) == ["amount", "order"]


def test_registering_again_describes_anew_and_adds_nothing() -> None:
    register_served_functions()
    before = Function.objects.get(name="orders", version=2)
    registry.register(DurableHandler("orders", 2, handle, description="Sells things.", fingerprint="new"))
    register_served_functions()
    after = Function.objects.get(name="orders", version=2)
    assert (after.pk, after.description, after.fingerprint) == (before.pk, "Sells things.", "new")
    assert after.seen_at >= before.seen_at
    assert Function.objects.count() == 3


def test_a_process_without_handlers_registers_nothing() -> None:
    with registry.isolated():
        register_served_functions()
    assert not Function.objects.exists()


def test_a_handler_of_this_process_wins_over_an_older_registration() -> None:
    make_function("refund", 1, config={"queue": "old"})
    assert known_functions([("refund", 1)])["refund", 1].queue == "slow"


def test_names_come_from_both_sides() -> None:
    make_function("archive")
    assert function_names() == ["archive", "orders", "refund"]
