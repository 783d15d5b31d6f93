from __future__ import annotations

import json
import math
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_engine.sdk import type_registry
from durable_engine.sdk.exceptions import SerDesError, ValidationError
from durable_engine.sdk.serdes import ExtendedTypeSerDes, JsonSerDes, PassThroughSerDes, SerDesContext
from durable_engine.sdk.type_registry import register_type

CONTEXT = SerDesContext("1", "arn")
EXTENDED = ExtendedTypeSerDes()


@register_type
class Size(Enum):
    SMALL = "s"
    LARGE = "l"


@register_type
class Level(IntEnum):
    LOW = 1


@register_type
@dataclass(frozen=True, slots=True)
class Item:
    sku: str
    price: Decimal
    size: Size = Size.SMALL


@register_type
@dataclass
class Order:
    items: list[Item]
    note: str | None = None
    total: Decimal = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum((item.price for item in self.items), Decimal())


@register_type
class Point(NamedTuple):
    x: int
    y: int


class Unregistered(Enum):
    ONE = 1


@dataclass
class AlsoUnregistered:
    value: int


def stored(value: Any) -> str:
    return EXTENDED.serialize(value, CONTEXT)


def round_trip(value: Any) -> Any:
    return EXTENDED.deserialize(stored(value), CONTEXT)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (2.5, "2.5"),
        ("hi bob", '"hi bob"'),
        ([1, "a", [None]], '[1, "a", [null]]'),
        ({"a": 1}, '{"t": "m", "v": {"a": {"t": "i", "v": 1}}}'),
        ((1,), '{"t": "t", "v": [{"t": "i", "v": 1}]}'),
        (b"\x00\xff", '{"t": "B", "v": "AP8="}'),
        (UUID(int=1), '{"t": "u", "v": "00000000-0000-0000-0000-000000000001"}'),
        (Decimal("1.10"), '{"t": "d", "v": "1.10"}'),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), '{"t": "dt", "v": "2026-01-02T03:00:00+00:00"}'),
        (date(2026, 1, 2), '{"t": "D", "v": "2026-01-02"}'),
        ([{"a": None}], '{"t": "l", "v": [{"t": "m", "v": {"a": {"t": "n", "v": null}}}]}'),
    ],
)
def test_wire_form_is_that_of_the_aws_sdk(value: Any, text: str) -> None:
    assert stored(value) == text
    assert EXTENDED.deserialize(text, CONTEXT) == value


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        frozenset({"a"}),
        {1: "a", (2, 3): "b", None: "c"},
        time(1, 2, 3),
        timedelta(days=-1, microseconds=5),
        datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=-3))),
        Size.LARGE,
        Level.LOW,
        Point(1, 2),
        Order([Item("a", Decimal("1.5")), Item("b", Decimal(2), Size.LARGE)]),
        {"deep": [({"x": {Item("a", Decimal(1))}},)]},
        math.inf,
        "nul \x00 and \ud800",
        "",
        [],
        {},
    ],
)
def test_rich_values_come_back_equal_and_of_the_same_type(value: Any) -> None:
    assert round_trip(value) == value
    assert type(round_trip(value)) is type(value)


def test_nan_comes_back() -> None:
    assert math.isnan(round_trip([math.nan])[0])


def test_subclasses_of_plain_types_are_stored_as_those() -> None:
    class Marked(str):
        pass

    assert type(round_trip([Marked("x")])[0]) is str
    assert round_trip(OrderedDict(a=1)) == {"a": 1}


def test_a_registered_exception_keeps_its_arguments_and_attributes() -> None:
    restored = round_trip(Declined("no", code=5))

    assert type(restored) is Declined
    assert (restored.args, restored.code) == (("no",), 5)


@register_type
class Declined(Exception):
    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


JSON_LIKE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@given(JSON_LIKE)
def test_every_value_comes_back_and_is_stored_the_same_again(value: Any) -> None:
    restored = round_trip(value)

    assert restored == value
    assert stored(restored) == stored(value)


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ({"order": [object()]}, ["the value['order'][0]", "builtins.object", "register_type"]),
        (Unregistered.ONE, ["Unregistered", "not registered", "@register_type"]),
        ([AlsoUnregistered(1)], ["the value[0]", "AlsoUnregistered", "@register_type"]),
        (lambda: None, ["function"]),
    ],
)
def test_what_cannot_be_stored_is_named_with_its_place_and_the_fix(value: Any, parts: list[str]) -> None:
    with pytest.raises(SerDesError) as refused:
        stored(value)
    for part in parts:
        assert part in str(refused.value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = [{}]
    loop[0]["loop"] = loop

    with pytest.raises(SerDesError, match="contains itself"):
        stored(loop)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{broken", "not JSON"),
        ('{"a": 1}', "not a tagged value"),
        ('{"t": "zz", "v": 1}', "not a tagged value"),
        ('{"t": "u", "v": "no uuid"}', "not a value of tag 'u'"),
        ('{"t": "d", "v": "no number"}', "not a value of tag 'd'"),
        ('{"t": "dc", "v": ["os.environ", {}]}', "os.environ is not registered"),
        ('{"t": "en", "v": ["subprocess.Popen", "x"]}', "subprocess.Popen is not registered"),
        (f'{{"t": "en", "v": ["{__name__}.Size", "HUGE"]}}', "no longer has the recorded member 'HUGE'"),
        (f'{{"t": "dc", "v": ["{__name__}.Item", {{"sku": {{"t": "s", "v": "a"}}}}]}}', "'price'"),
        (f'{{"t": "dc", "v": ["{__name__}.Point", {{}}]}}', "not a value of tag 'dc'"),
    ],
)
def test_text_that_is_no_stored_value_is_refused_and_imports_nothing(text: str, part: str) -> None:
    modules = set(sys.modules)
    with pytest.raises(SerDesError) as refused:
        EXTENDED.deserialize(text, CONTEXT)
    assert part in str(refused.value)
    assert set(sys.modules) - modules <= {"warnings"}


def test_a_field_added_later_takes_its_default_and_a_removed_one_is_named() -> None:
    recorded = json.loads(stored(Item("a", Decimal(1))))
    del recorded["v"][1]["size"]
    assert EXTENDED.deserialize(json.dumps(recorded), CONTEXT) == Item("a", Decimal(1))

    recorded["v"][1]["colour"] = {"t": "s", "v": "red"}
    with pytest.raises(SerDesError, match="no longer has the recorded field 'colour'"):
        EXTENDED.deserialize(json.dumps(recorded), CONTEXT)


def test_restoring_a_dataclass_does_not_run_its_constructor_again() -> None:
    order = Order([Item("a", Decimal(1))])
    order.total = Decimal(99)

    assert round_trip(order).total == Decimal(99)


def test_a_class_registered_under_a_name_may_move() -> None:
    @dataclass
    class Before:
        x: int

    register_type(Before, name="test.moved")
    text = stored(Before(1))

    assert '"test.moved"' in text
    assert type_registry.type_named("test.moved") is Before


def test_two_classes_may_not_share_a_name() -> None:
    with pytest.raises(ValidationError, match="already belongs to"):
        register_type(AlsoUnregistered, name=f"{__name__}.Size")


def test_classes_of_no_supported_kind_are_refused() -> None:
    with pytest.raises(ValidationError, match="must be a dataclass"):
        register_type(dict)


def test_annotations_of_decorated_functions_register_their_classes_even_when_defined_later() -> None:
    def uses(event: "list[Later]", context: Any) -> "LaterToo | None":  # noqa: UP037 - defined further down
        return None

    type_registry.learn_from_function(uses)

    assert round_trip([Later(LaterToo(1))]) == [Later(LaterToo(1))]


@dataclass
class LaterToo:
    x: int


@dataclass
class Later:
    inner: LaterToo


def test_pydantic_models_come_back() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Inner(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        when: datetime

    class Model(pydantic.BaseModel):  # type: ignore[misc, name-defined]
        total: Decimal
        inner: Inner
        label: str = pydantic.Field(default="x", alias="Label")

    register_type(Model)
    register_type(Inner)
    value = Model(total=Decimal("1.10"), inner=Inner(when=datetime(2026, 1, 2, tzinfo=UTC)), Label="y")

    assert round_trip(value) == value
    assert round_trip(value).model_fields_set == value.model_fields_set


def test_json_serdes_names_what_json_does_not_hold() -> None:
    serdes = JsonSerDes()

    assert serdes.deserialize(serdes.serialize({"a": [1]}, CONTEXT), CONTEXT) == {"a": [1]}
    with pytest.raises(SerDesError, match="datetime is not JSON serializable"):
        serdes.serialize(datetime.now(UTC), CONTEXT)
    with pytest.raises(SerDesError, match="JSON"):
        serdes.serialize(math.nan, CONTEXT)


def test_pass_through_keeps_strings_and_refuses_the_rest() -> None:
    serdes = PassThroughSerDes()

    assert serdes.deserialize(serdes.serialize("{raw", CONTEXT), CONTEXT) == "{raw"
    with pytest.raises(SerDesError, match="strings only, not int"):
        serdes.serialize(1, CONTEXT)  # type: ignore[arg-type]
