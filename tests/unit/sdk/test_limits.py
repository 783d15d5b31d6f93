from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from durable_engine.sdk import ConcurrencyScope, ValidationError, durable_execution, registry
from durable_engine.sdk.inputs import parse_input
from durable_engine.sdk.limits import ConcurrencyLimit, limit_key


def key_of(key: str | Callable[[Any], object] | None, text: str | None, input: Any = None) -> str:
    return ConcurrencyLimit(1, key).key_of("orders", text, lambda value: parse_input(input, value))


@dataclass
class Order:
    customer: str


def test_without_a_key_all_executions_of_the_function_count_together() -> None:
    assert key_of(None, '{"customer": "a"}') == "orders"


@pytest.mark.parametrize(
    ("place", "text", "expected"),
    [("customer", '{"customer": "a"}', "orders/a"), ("customer.id", '{"customer": {"id": 7}}', "orders/7")],
)
def test_a_place_in_the_input_is_the_key(place: str, text: str, expected: str) -> None:
    assert key_of(place, text) == expected


def test_a_function_is_given_what_the_handler_is_given() -> None:
    assert key_of(lambda order: order.customer.lower(), '{"customer": "A"}', Order) == "orders/a"


@pytest.mark.parametrize(
    "text", ["{}", "[]", '{"customer": null}', '{"customer": {"id": 1}}', '{"customer": ""}', None]
)
def test_an_input_without_the_key_is_an_error_that_names_it(text: str | None) -> None:
    with pytest.raises(ValidationError, match="concurrency_key"):
        key_of("customer", text)


@pytest.mark.parametrize("key", ["", "x" * 257, "a\nb", None, ["a"]])
def test_what_is_no_key_is_refused(key: object) -> None:
    with pytest.raises(ValidationError, match="printable"):
        limit_key("orders", key)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"max_concurrency": True}, "max_concurrency"),
        ({"max_concurrency": 1001}, "max_concurrency"),
        ({"concurrency_key": "customer"}, "needs max_concurrency"),
        ({"max_concurrency": 1, "concurrency_key": 7}, "concurrency_key"),
        ({"max_concurrency": 1, "concurrency_key": ""}, "concurrency_key"),
        ({"max_concurrency": 1, "concurrency_scope": "execution"}, "concurrency_scope"),
    ],
)
def test_options_that_cannot_be_are_refused_when_the_handler_is_defined(options: dict[str, Any], problem: str) -> None:
    with registry.isolated(), pytest.raises(ValidationError, match=problem):
        durable_execution(**options)(handler)


def handler(event: Any, context: Any) -> None:
    """Do nothing."""


def test_the_handler_carries_its_limit() -> None:
    with registry.isolated():
        made = durable_execution(
            max_concurrency=2, concurrency_key="customer", concurrency_scope=ConcurrencyScope.EXECUTION
        )(handler)
    assert made.limit == ConcurrencyLimit(2, "customer", ConcurrencyScope.EXECUTION)
