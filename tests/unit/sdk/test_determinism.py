"""The static look at handlers finds what a replay would do differently, and leaves alone what is recorded."""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from durable_engine import DurableContext, StepContext, durable_execution
from durable_engine.checks import check_determinism
from durable_engine.sdk import registry
from durable_engine.sdk.determinism import look_at

Handler = Callable[[Any, DurableContext], Any]
HERE = Path(__file__)


def lines_with(handler: Callable[..., Any], mark: str) -> list[int]:
    """The lines of a handler that carry a comment."""
    first = handler.__code__.co_firstlineno
    rest = HERE.read_text().splitlines()[first - 1 :]
    end = next((number for number, line in enumerate(rest[1:], 1) if line and not line[0].isspace()), len(rest))
    return [first + number for number, line in enumerate(rest[:end]) if f"# {mark}" in line]


def asks_the_world(event: Any, context: DurableContext) -> Any:
    began = time.time()  # found
    today = dt.date.today()  # found  # noqa: DTZ011
    now = datetime.now()  # found  # noqa: DTZ005
    local = timezone.now()  # found
    chance = random.random() + random.Random(7).random()  # found
    key = uuid.uuid4()  # found
    with open("prices.csv") as file:  # found  # noqa: PTH123
        prices = file.read()
    return began, today, now, local, chance, key, prices


def replays_its_children(event: Any, context: DurableContext) -> None:
    def child(inner: DurableContext) -> float:
        return time.monotonic()  # found

    def never_run() -> float:
        return time.monotonic()

    context.run_in_child_context(child)
    context.parallel([lambda inner: random.random()])  # found
    context.map([1], lambda inner, item, index, items: uuid.uuid4())  # found


def records(event: Any, context: DurableContext) -> Any:
    def body(step: StepContext) -> float:
        return time.time()

    def named(step: StepContext) -> str:
        return str(uuid.uuid4())

    moment = context.step(body)
    drawn = context.step(lambda step: random.random())
    silenced = time.time()  # replay: ok
    shown = time.strftime("%Y", time.gmtime(moment))
    return moment, drawn, silenced, shown, context.step(named)


def helper() -> float:
    return time.time()  # found


def calls_a_helper(event: Any, context: DurableContext) -> float:
    return helper()


def hides_a_name(event: Any, context: DurableContext) -> Any:
    random = context.step(lambda step: [3, 1])
    return random.index(1)


def send(text: str) -> None:
    assert text


def acts_before_the_answer(event: Any, context: DurableContext) -> Any:
    answer = context.create_callback("answer")
    context.step(lambda step: send(answer.callback_id))
    send(answer.callback_id)  # found
    result = answer.result()
    send("after the answer")
    return result


@pytest.mark.parametrize("handler", [asks_the_world, replays_its_children, acts_before_the_answer])
def test_what_answers_anew_or_acts_again_is_found_with_its_line(handler: Handler) -> None:
    found = look_at(handler)

    assert [(finding.file, finding.line) for finding in found] == [
        (str(HERE), line) for line in lines_with(handler, "found")
    ]


@pytest.mark.parametrize("handler", [records, hides_a_name])
def test_what_is_recorded_silenced_or_something_else_is_left_alone(handler: Handler) -> None:
    assert look_at(handler) == []


def test_functions_of_the_same_module_are_followed() -> None:
    assert [finding.line for finding in look_at(calls_a_helper)] == lines_with(helper, "found")


def test_manage_py_check_names_file_line_function_and_the_fix() -> None:
    with registry.isolated():
        durable_execution(name="late-payment")(asks_the_world)
        found = check_determinism(None)

    assert [message.id for message in found] == ["durable_engine.W001"] * len(lines_with(asks_the_world, "found"))
    assert str(found[0]).startswith("the function late-payment:1: ")
    assert f"{HERE}:{lines_with(asks_the_world, 'found')[0]}: time.time() answers anew" in found[0].msg


def test_the_examples_and_all_other_installed_handlers_replay_alike() -> None:
    out = StringIO()

    call_command("check", tags=["determinism"], fail_level="WARNING", stdout=out)

    assert "no issues" in out.getvalue()
