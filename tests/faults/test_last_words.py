"""What handlers log and print is in the file in order, the last words before a kill -9 included, and on the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.models import LogRecord
from tests.faults.stack import Run, Stack, until

pytestmark = pytest.mark.process

AFTER_THE_CRASH = ["again", "ends"]
BEFORE_IT = ["begins", "prints 1 line", "does first", "between", "last words"]


def lines_of(stack: Stack, run: Run) -> list[dict[str, Any]]:
    lines = map(json.loads, stack.handler_log.read_text().splitlines())
    return [line for line in lines if line["executionArn"].endswith(f"/{run.id}")]


def test_the_file_has_every_line_once_in_order_and_the_page_has_them_too(stack: Stack, run: Callable[..., Run]) -> None:
    said = run("last-words", order="A-7")
    said.finish()

    lines = until(lambda: lines if len(lines := lines_of(stack, said)) >= 7 else None, "the lines of both workers")
    assert [line["message"] for line in lines] == [*BEFORE_IT, *AFTER_THE_CRASH]
    by_message = {line["message"]: line for line in lines}
    began, last = by_message["begins"], by_message["last words"]
    assert (began["level"], began["order"]) == ("INFO", "A-7")
    assert list(began)[:4] == ["timestamp", "level", "message", "executionArn"]
    assert (last["level"], last["operationId"], last["operationName"], last["attempt"]) == ("ERROR", "2", "second", 1)
    assert by_message["again"]["attempt"] == 2
    assert by_message["prints 1 line"]["stream"] == "stdout"
    assert by_message["ends"]["logger"] == "shop"
    times = [line["timestamp"] for line in lines]
    assert times == sorted(times)
    assert abs(times[0] / 1000 - said.row().created_at.timestamp()) < 60

    # What the killed process had not sent yet is in the file alone.
    found = LogRecord.objects.filter(execution_id=said.id)
    until(lambda: found.filter(message="ends").exists(), "the records of the second worker")
    messages = list(found.order_by("position").values_list("message", flat=True))
    assert messages[-2:] == AFTER_THE_CRASH
    assert [message for message in BEFORE_IT if message in messages] == messages[:-2]
