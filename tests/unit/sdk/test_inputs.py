from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Literal
from uuid import UUID

import pytest

from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.inputs import input_schema, parse_input


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Line:
    sku: str
    count: int = 1


@dataclass
class Order:
    number: int
    amount: Decimal
    lines: list[Line]
    price: float = 0.5
    size: Size = Size.SMALL
    speed: Literal["slow", "fast"] = "slow"
    due: date | None = None
    token: UUID | None = None
    labels: dict[str, str] = field(default_factory=dict)
    note: str = field(default="", metadata={"description": "For the driver"})

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("number must not be negative")


VALID: dict[str, Any] = {"number": 7, "amount": "1.10", "lines": [{"sku": "a"}]}


def test_a_dataclass_gives_an_instance_with_nested_and_converted_values() -> None:
    order = parse_input(Order, {**VALID, "price": 2, "size": "l", "due": "2026-01-02", "labels": {"a": "b"}})

    assert order == Order(7, Decimal("1.10"), [Line("a")], 2.0, Size.LARGE, due=date(2026, 1, 2), labels={"a": "b"})
    assert type(order.price) is float


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"number": "7"}, "input.number must be a whole number, not '7'"),
        ({"number": True}, "input.number must be a whole number"),
        ({"number": -1}, "input: number must not be negative"),
        ({"amount": "much"}, "input.amount must be a decimal as a string, not 'much'"),
        ({"lines": {}}, "input.lines must be a list"),
        ({"lines": [{"sku": "a"}, {"count": 2}]}, r"input.lines\[1\].sku is missing"),
        ({"lines": [{"sku": 5}]}, r"input.lines\[0\].sku must be a string"),
        ({"size": "xl"}, "input.size must be one of 's', 'l', not 'xl'"),
        ({"speed": "medium"}, "input.speed must be one of 'slow', 'fast'"),
        ({"due": "tomorrow"}, "input.due must be a date as a string"),
        ({"labels": {"a": 1}}, "input.labels.a must be a string"),
        ({"colour": "red"}, "input.colour is not known; the fields are number, amount"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        parse_input(Order, {**VALID, **change})


@pytest.mark.parametrize("value", [None, [], "text"])
def test_an_input_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match="input must be an object"):
        parse_input(Order, value)


def test_the_schema_describes_every_field() -> None:
    schema = input_schema(Order)

    assert schema is not None
    assert schema["required"] == ["number", "amount", "lines"]
    properties = schema["properties"]
    assert properties["number"] == {"type": "integer"}
    assert properties["amount"] == {"type": "string", "format": "decimal"}
    assert properties["lines"]["items"]["properties"]["count"] == {"type": "integer", "default": 1}
    assert properties["price"] == {"type": "number", "default": 0.5}
    assert properties["size"] == {"enum": ["s", "l"]}
    assert properties["due"] == {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}], "default": None}
    assert properties["labels"] == {"type": "object", "additionalProperties": {"type": "string"}}
    assert properties["note"] == {"type": "string", "description": "For the driver", "default": ""}


SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}}


def test_a_json_schema_passes_the_value_on_and_names_what_is_wrong() -> None:
    assert parse_input(SCHEMA, {"name": "x", "other": 1}) == {"name": "x", "other": 1}
    assert input_schema(SCHEMA) == SCHEMA
    with pytest.raises(ValidationError, match=r"input\.name is missing"):
        parse_input(SCHEMA, {})
    with pytest.raises(ValidationError, match=r"input\.n must be of type integer, not 'five'"):
        parse_input(SCHEMA, {"name": "x", "n": "five"})


def test_without_a_type_everything_is_passed_on() -> None:
    assert parse_input(None, [1, None]) == [1, None]
    assert input_schema(None) is None


def test_a_pydantic_model_checks_and_describes_itself() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        number: int

    assert parse_input(Model, {"number": 7}) == Model(number=7)
    schema = input_schema(Model)
    assert schema is not None
    assert schema["required"] == ["number"]
    with pytest.raises(ValidationError, match="number"):
        parse_input(Model, {"number": "x"})


def test_defaults_that_are_no_json_values_are_proposed_as_the_text_that_is_read_back() -> None:
    @dataclass
    class Booking:
        price: Decimal = Decimal("19.90")
        day: date = date(2026, 11, 21)
        at: datetime = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

    schema = input_schema(Booking)
    assert schema is not None
    proposed = {name: rule["default"] for name, rule in schema["properties"].items()}
    assert proposed == {"price": "19.90", "day": "2026-11-21", "at": "2026-11-21T09:30:00+00:00"}
    assert parse_input(Booking, proposed) == Booking()
