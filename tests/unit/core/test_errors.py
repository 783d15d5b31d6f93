from __future__ import annotations

import json
from typing import Any

import pytest

from durable_engine.core.errors import RecordedError, error_object, error_text, operation_error
from durable_engine.sdk.exceptions import ChildContextError, StepError, StepTimeoutError
from durable_engine.sdk.type_registry import register_type


def raised(function: Any, *arguments: Any) -> Exception:
    try:
        function(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is returned
        return error
    raise AssertionError("nothing was raised")


def parse(text: str) -> Any:
    return json.loads(text)


def test_the_stack_has_the_authors_frames_before_those_of_libraries() -> None:
    recorded = error_object(raised(parse, "{broken"))

    assert recorded["ErrorType"] == "JSONDecodeError"
    stack = recorded["StackTrace"]
    assert "in raised" in stack[0]
    assert "in parse\n    return json.loads(text)" in stack[1]
    assert all("json/" in frame for frame in stack[2:])
    assert len(stack) > 2


def test_causes_are_in_the_stack() -> None:
    def fail() -> None:
        try:
            parse("{broken")
        except ValueError as error:
            raise RuntimeError("cannot go on") from error

    stack = error_object(raised(fail))["StackTrace"]

    assert any(line.startswith("Caused by JSONDecodeError: Expecting property name") for line in stack)


def test_an_error_object_stays_below_32_kib_and_keeps_both_ends_of_the_stack() -> None:
    def deep(depth: int) -> None:
        if depth == 0:
            raise ValueError("x" * 100_000 + "the end")
        deep(depth - 1)

    text = error_text(raised(deep, 400))
    recorded = json.loads(text)

    assert len(text.encode()) <= 32_768
    assert recorded["ErrorMessage"].endswith("the end")
    assert "characters cut" in recorded["ErrorMessage"]
    assert "in raised" in recorded["StackTrace"][0]
    assert "raise ValueError" in recorded["StackTrace"][-1]
    assert any("frames cut" in line for line in recorded["StackTrace"])


def test_an_error_of_an_operation_keeps_its_data_and_stack_under_its_own_name() -> None:
    error = StepError("boom", "ValueError", data="{}", stack_trace=["frame"])

    assert error_object(error) == {
        "ErrorType": "StepError",
        "ErrorMessage": "boom",
        "ErrorData": "{}",
        "StackTrace": ["frame"],
    }


def test_a_message_that_cannot_be_made_does_not_hide_the_error() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert error_object(Broken())["ErrorMessage"] == "<Broken whose message cannot be shown>"


def test_characters_that_postgres_cannot_hold_are_replaced() -> None:
    assert error_object(ValueError("a\x00\ud800"))["ErrorMessage"] == "a\N{REPLACEMENT CHARACTER}?"


@register_type
class Declined(Exception):
    def __init__(self, reason: str, *, code: int) -> None:
        super().__init__(reason)
        self.code = code


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("boom"), ValueError),
        (Declined("boom", code=3), Declined),
        (StepTimeoutError("boom"), StepTimeoutError),
        (StepError("boom"), StepError),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "boom"), RecordedError),
        (type("Unknown", (Exception,), {})("boom"), RecordedError),
        (type("SystemExit", (Exception,), {})("boom"), RecordedError),
    ],
)
def test_the_cause_is_rebuilt_from_what_is_allowed(error: Exception, cause: type[Exception]) -> None:
    rebuilt = operation_error(ChildContextError, error_text(error))

    assert type(rebuilt) is ChildContextError
    assert rebuilt.error_type == type(error).__name__
    assert type(rebuilt.__cause__) is cause
    assert "boom" in str(rebuilt.__cause__)


def test_a_registered_exception_comes_back_with_its_attributes_also_through_two_levels() -> None:
    step_error = operation_error(StepError, error_text(Declined("no", code=3)))
    context_error = operation_error(ChildContextError, error_text(step_error))

    assert context_error.error_type == "StepError"
    assert isinstance(context_error.__cause__, Declined)
    assert context_error.__cause__.code == 3


@pytest.mark.parametrize("text", ["{broken", "[]", '"text"'])
def test_text_that_is_no_error_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        operation_error(StepError, text)


def test_an_error_object_without_fields_is_enough() -> None:
    assert str(operation_error(StepError, None)) == ""
    assert operation_error(StepError, "{}").__cause__ is None
