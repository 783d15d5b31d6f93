"""Failures of one problem have one fingerprint, those of different problems have not."""

from __future__ import annotations

import json

import pytest

from durable_engine.services.fingerprints import Fingerprint, fingerprint, own_frame, shape_of


def of(message: str = "card 4242 was declined", **changes: object) -> Fingerprint:
    error = {
        "ErrorType": "CardDeclined",
        "ErrorMessage": message,
        "StackTrace": ['File "/app/orders/tasks.py", line 42, in charge\n    raise CardDeclined(card)'],
    }
    given: dict[str, object] = {"kind": "FAILED", "function": "orders", "operation": "charge", "error": error} | changes
    error_text = json.dumps(given.pop("error"))
    return fingerprint(error_text=error_text, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("card 4242 was declined", "card 1881 was declined"),
        ("no order 'A-1' of ana@example.com", "no order 'B-77' of bob@example.org"),
        ("at 2026-11-21T10:11:12Z: 503", "at 2026-11-22 23:00:00+01:00: 502"),
        ("01a1fefe-0b25-71c4-b077-93f2b86cabdc is gone", "11a1fefe-0b25-71c4-b077-93f2b86cabdd is gone"),
        ("GET https://a.example/x?id=7 failed", "GET https://a.example/y failed"),
        ("object at 0x7f001122", "object at 0x7f00aabb"),
    ],
)
def test_particulars_of_a_message_do_not_count(one: str, other: str) -> None:
    assert of(one).digest == of(other).digest


@pytest.mark.parametrize(
    "other",
    [
        of("card was lost"),
        of(function="refunds"),
        of(operation="refund"),
        of(kind="TIMED_OUT"),
        of(error={"ErrorType": "Timeout", "ErrorMessage": "card 4242 was declined"}),
    ],
)
def test_what_failed_and_how_counts(other: Fingerprint) -> None:
    assert of().digest != other.digest


def test_a_step_of_a_loop_is_one_step() -> None:
    assert of(operation="item-1").digest == of(operation="item-17").digest


def test_of_the_error_of_an_operation_the_cause_counts() -> None:
    inner = json.dumps({"ErrorType": "CardDeclined", "ErrorMessage": "declined"})
    outer = {"ErrorType": "StepError", "ErrorMessage": "charge: declined"}
    assert of(error=outer, inner_text=inner).error_type == "CardDeclined"


def test_an_error_the_handler_raised_after_catching_another_is_its_own() -> None:
    inner = json.dumps({"ErrorType": "CardDeclined", "ErrorMessage": "declined"})
    outer = {"ErrorType": "OutOfStock", "ErrorMessage": "nothing left"}
    assert of(error=outer, inner_text=inner).error_type == "OutOfStock"


def test_the_frame_is_the_innermost_of_the_handlers_own_code_without_its_line() -> None:
    stack = [
        'File "/srv/app/orders/tasks.py", line 10, in handler\n    charge()',
        'File "/srv/app/orders/payments.py", line 42, in charge\n    client.post()',
        'File "/srv/.venv/lib/python3.12/site-packages/client/api.py", line 3, in post\n    raise Oops',
    ]
    assert own_frame(stack) == "orders/payments.py in charge"
    assert own_frame(stack[2:]) == ""


@pytest.mark.parametrize("text", ["", "not json", "[]", "7", "[" * 30_000, '{"StackTrace": 5, "ErrorMessage": null}'])
def test_an_error_that_cannot_be_read_still_has_a_group(text: str) -> None:
    mark = fingerprint(kind="FAILED", function="orders", error_text=text)
    assert len(mark.digest) == 64


def test_a_message_made_to_be_slow_is_not() -> None:
    for hostile in ("'" * 6000, "a" * 6000, "1." * 3000, "a@" * 3000, "http://" * 900):
        assert len(shape_of(hostile)) <= 300
