"""What becomes of payloads that cannot be read, written or kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_engine.sdk import (
    CallbackConfig,
    DurableContext,
    Duration,
    ExtendedTypeSerDes,
    JsonSerDes,
    RetryPresets,
    SerDesError,
    StepConfig,
)
from tests.conformance.driver import Driver
from tests.conformance.handlers import error_of, run


def test_an_undecodable_result_in_the_history_pauses_and_names_the_event(runner: Driver) -> None:
    runs = 0

    def handler(event: Any, context: DurableContext) -> Any:
        nonlocal runs
        runs += 1
        serdes = ExtendedTypeSerDes() if runs > 1 else _NotJson()
        context.step(lambda step: "value", "note", StepConfig(serdes=serdes))
        context.wait(Duration(1))

    run(runner, handler)

    assert (runner.status, runner.pause[0]) == ("PAUSED", "undecodable")
    assert "Event 3, the outcome of operation 1 'note' (step)" in runner.pause[1]
    assert "not JSON" in runner.pause[1]


class _NotJson(JsonSerDes):
    def serialize(self, value: Any, serdes_context: Any) -> str:
        return f"<{value}>"

    def deserialize(self, data: str, serdes_context: Any) -> Any:
        return data


def test_a_callback_result_that_its_serdes_cannot_read_pauses(runner: Driver) -> None:
    run(
        runner,
        lambda event, context: context.create_callback("answer", CallbackConfig(serdes=JsonSerDes())).result(),
    )
    runner.complete_callback("answer", result="{broken")
    runner.drive()

    assert (runner.status, runner.pause[0]) == ("PAUSED", "undecodable")
    assert "'answer' (callback)" in runner.pause[1]


def test_input_that_is_not_json_pauses(runner: Driver) -> None:
    run(runner, lambda event, context: event, input="{broken")

    assert (runner.status, runner.pause[0]) == ("PAUSED", "undecodable")
    assert "Event 1" in runner.pause[1]


def test_an_unserialisable_step_result_fails_the_step_without_a_retry(runner: Driver) -> None:
    run(runner, lambda event, context: context.step(lambda step: object(), "odd", StepConfig(RetryPresets.fixed())))

    failed = next(event for event in runner.events if event.event_type == "StepFailed")
    recorded = json.loads(failed.error or "")
    assert (recorded["ErrorType"], failed.details) == ("SerDesError", None)
    assert "the result of operation 1 'odd' (step) cannot be stored" in recorded["ErrorMessage"]
    assert "builtins.object" in recorded["ErrorMessage"]
    assert error_of(runner)["ErrorType"] == "SerDesError"


def test_a_value_that_cannot_be_stored_is_the_same_error_at_every_level_and_on_replay(runner: Driver) -> None:
    seen: list[Any] = []

    def unstorable(child: DurableContext) -> None:
        child.step(lambda step: object(), "odd")

    def handler(event: Any, context: DurableContext) -> None:
        try:
            context.run_in_child_context(unstorable, "kid")
        except SerDesError as error:
            seen.append([error.error_type, error.message, error.stack_trace])
        batch = context.parallel([unstorable], "all")
        with pytest.raises(SerDesError, match="operation 2-1-1 'odd'"):
            batch.throw_if_error()
        context.wait(Duration(1))

    run(runner, handler)

    assert runner.status == "SUCCEEDED"
    assert seen[0] == seen[1]
    assert seen[0][0] == "SerDesError"
    failed = [json.loads(event.error or "")["ErrorType"] for event in runner.events if "Failed" in event.event_type]
    assert failed == ["SerDesError"] * 4


def test_a_step_result_above_the_limit_fails_the_step_and_says_how_to_go_on(runner: Driver) -> None:
    run(runner, lambda event, context: context.step(lambda step: "x" * 262_144, "big"))

    failed = next(event for event in runner.events if event.event_type == "StepFailed")
    recorded = json.loads(failed.error or "")
    assert (recorded["ErrorType"], failed.details) == ("PayloadTooLargeError", None)
    for part in ("'big'", "262,146 bytes", "262,144", "Store the data elsewhere"):
        assert part in recorded["ErrorMessage"]


def test_a_step_result_of_exactly_the_limit_is_kept(runner: Driver) -> None:
    run(runner, lambda event, context: len(context.step(lambda step: "x" * 262_142, "big")))

    assert runner.events[-1].payload == "262142"


@pytest.mark.parametrize(
    ("result", "error_type", "part"),
    [
        ({"when": {1, 2}}, "SerDesError", "set is not JSON serializable"),
        (float("nan"), "SerDesError", "JSON"),
        ("x" * 6_291_456, "PayloadTooLargeError", "6,291,458 bytes"),
    ],
)
def test_a_result_that_cannot_be_stored_fails_the_execution(
    runner: Driver, result: Any, error_type: str, part: str
) -> None:
    run(runner, lambda event, context: result)

    assert runner.status == "FAILED"
    assert error_of(runner)["ErrorType"] == error_type
    assert part in error_of(runner)["ErrorMessage"]
    assert "'test-handler'" in error_of(runner)["ErrorMessage"]


def test_nul_characters_in_errors_and_results_are_stored(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        kept = context.step(lambda step: "a\x00b", "nul")
        raise RuntimeError(kept)

    run(runner, handler)

    assert error_of(runner)["ErrorMessage"] == "a\N{REPLACEMENT CHARACTER}b"
