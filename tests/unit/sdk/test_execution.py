from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from durable_engine import DurableContext, DurableHandler, Duration, JsonSerDes, durable_execution
from durable_engine.sdk import registry, type_registry
from durable_engine.sdk.exceptions import ValidationError


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    with registry.isolated():
        yield


def simple(event: Any, context: DurableContext) -> Any:
    """Adds one.

    Slowly.
    """
    return event + 1


def test_without_parentheses_the_handler_has_the_functions_name_and_the_defaults() -> None:
    handler = durable_execution(simple)

    assert isinstance(handler, DurableHandler)
    assert (handler.name, handler.version, handler.key) == ("simple", 1, "simple:1")
    assert handler.invocation_timeout == Duration.from_minutes(15)
    assert handler.execution_timeout is None
    assert handler.queue == "durable"
    assert handler.description == "Adds one.\n\nSlowly."
    assert len(handler.fingerprint) == 64


def test_a_handler_is_still_the_function_for_plain_tests() -> None:
    handler = durable_execution(simple)

    assert handler(1, None) == 2
    assert handler.__name__ == "simple"  # type: ignore[attr-defined]
    assert handler.__doc__ == simple.__doc__


def test_options_are_kept_and_timedeltas_become_durations() -> None:
    serdes = JsonSerDes()
    handler = durable_execution(
        name="order-processing",
        version=3,
        execution_timeout=timedelta(days=1),
        invocation_timeout=Duration(60),
        queue="slow",
        serdes=serdes,
        input={"type": "object"},
    )(simple)

    assert handler.key == "order-processing:3"
    assert (handler.execution_timeout, handler.invocation_timeout) == (Duration.from_days(1), Duration(60))
    assert handler.queue == "slow"
    assert handler.serdes is serdes
    assert handler.input == {"type": "object"}


def test_the_registry_finds_handlers_by_name_and_version() -> None:
    first = durable_execution(name="x", version=1)(simple)
    second = durable_execution(name="x", version=2)(simple)

    assert registry.get("x", 1) is first
    assert registry.latest("x") is second
    assert registry.get("x", 3) is None
    assert registry.latest("y") is None
    assert registry.all_handlers() == [first, second]


def test_another_function_of_the_same_name_and_version_is_refused_at_import() -> None:
    durable_execution(name="x")(simple)

    def other(event: Any, context: DurableContext) -> None: ...

    with pytest.raises(ValidationError, match=r"'x' version 1 is already the function .*simple; .*other needs another"):
        durable_execution(name="x")(other)


def test_importing_a_module_again_replaces_its_handlers() -> None:
    durable_execution(name="x")(simple)
    again = durable_execution(name="x")(simple)

    assert registry.get("x", 1) is again


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": "has space"}, "name: 'has space' must be 1 to 140 letters"),
        ({"name": ""}, "name: '' must be"),
        ({"name": "x" * 141}, "name: "),
        ({"version": 0}, "version: 0 must be a whole number of 1 or more"),
        ({"version": True}, "version: True"),
        ({"execution_timeout": Duration(0)}, "execution_timeout must be more than 0"),
        ({"execution_timeout": timedelta(days=-1)}, "execution_timeout must not be negative"),
        ({"execution_timeout": Duration.from_days(400)}, "execution_timeout must be at most 366 days"),
        ({"invocation_timeout": 900}, "invocation_timeout must be a Duration or a timedelta, not int"),
        ({"queue": "a b"}, "queue: 'a b' must be"),
        ({"serdes": JsonSerDes}, "serdes: .* must be an instance"),
        ({"input": int}, "input: .* must be a dataclass"),
    ],
)
def test_options_that_cannot_be_used_are_refused_by_name(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        durable_execution(**options)(simple)
    assert registry.all_handlers() == []


async def asynchronous(event: Any, context: Any) -> None: ...


def generator(event: Any, context: Any) -> Iterator[int]:
    yield 1


def one_argument(event: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (asynchronous, "asynchronous must be a plain function"),
        (generator, "generator must be a plain function"),
        (one_argument, r"one_argument must accept two arguments: \(event, context\)"),
        (3, "decorates a function"),
    ],
)
def test_functions_that_cannot_be_handlers_are_refused(function: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        durable_execution(function)


@dataclass
class OrderInput:
    number: int


@dataclass
class DefinedBesideAHandler:
    x: int


def test_classes_of_the_handlers_module_and_of_its_input_may_be_restored() -> None:
    durable_execution(name="x", input=OrderInput)(simple)

    assert type_registry.name_of(OrderInput) == f"{__name__}.OrderInput"
    assert type_registry.name_of(DefinedBesideAHandler) == f"{__name__}.DefinedBesideAHandler"


@pytest.mark.parametrize("keys", ["card_number", [""], [7], ["a", None]])
def test_masked_keys_that_are_no_list_of_names_are_refused(keys: Any) -> None:
    with pytest.raises(ValidationError, match="masked_keys"):
        durable_execution(name="masked", masked_keys=keys)(lambda event, context: None)
