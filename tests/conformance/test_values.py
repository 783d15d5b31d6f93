"""What handlers get back: values, errors, tags, callbacks that come early."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from durable_engine.sdk import (
    CallbackConfig,
    CallbackExternalError,
    CallbackSubmitterError,
    ChildContextError,
    DurableContext,
    Duration,
    ExtendedTypeSerDes,
    JsonSerDes,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    WaitForCallbackConfig,
    register_type,
)
from tests.conformance.driver import Driver
from tests.conformance.handlers import run

ONCE = StepConfig(RetryPresets.none())


@register_type
@dataclass
class Receipt:
    number: int
    total: Decimal


@register_type
class PaymentDeclined(Exception):
    def __init__(self, code: str, *, retry_after: int) -> None:
        super().__init__(f"declined: {code}")
        self.code = code
        self.retry_after = retry_after


def twice(function: Callable[[DurableContext, list[Any]], None]) -> tuple[Callable[[Any, DurableContext], None], Any]:
    """Return a handler that runs the function, waits, and so runs it again on replay; and what it noted each time."""
    notes: list[list[Any]] = []

    def handler(event: Any, context: DurableContext) -> None:
        noted: list[Any] = []
        function(context, noted)
        notes.append(noted)
        context.wait(Duration(1))

    return handler, notes


def test_a_step_returns_the_same_value_on_the_first_run_and_on_replay(runner: Driver) -> None:
    values = [
        {"total": Decimal("1.10"), "when": datetime(2026, 1, 2, tzinfo=UTC), 3: (1, 2)},
        Receipt(7, Decimal(5)),
        {1, 2},
        None,
        "",
    ]

    def function(context: DurableContext, noted: list[Any]) -> None:
        noted += [context.step(lambda step, value=value: value) for value in values]  # type: ignore[misc]

    handler, notes = twice(function)
    run(runner, handler)

    assert notes == [values, values]


def test_json_serdes_shows_its_losses_on_the_first_run_already(runner: Driver) -> None:
    handler, notes = twice(
        lambda context, noted: noted.append(
            context.step(lambda step: (1, {2: 3}), config=StepConfig(serdes=JsonSerDes()))
        )
    )
    run(runner, handler)

    assert notes == [[[1, {"2": 3}]], [[1, {"2": 3}]]]


def test_a_serdes_of_the_handler_serves_its_operations_and_its_result(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        return context.run_in_child_context(lambda child: child.step(lambda step: Receipt(1, Decimal(2))))

    run(runner, handler, serdes=ExtendedTypeSerDes())

    assert json.loads(runner.events[-1].payload or "")["t"] == "dc"


def test_a_failed_step_raises_the_same_error_on_the_first_run_and_on_replay(runner: Driver) -> None:
    def decline(step: StepContext) -> None:
        raise PaymentDeclined("no funds", retry_after=3)

    def function(context: DurableContext, noted: list[Any]) -> None:
        with pytest.raises(StepError) as caught:
            context.step(decline, config=ONCE)
        error, cause = caught.value, caught.value.__cause__
        assert isinstance(cause, PaymentDeclined)
        noted += [str(error), error.error_type, error.stack_trace, cause.args, cause.code, cause.retry_after]

    handler, notes = twice(function)
    run(runner, handler)

    assert notes[0] == notes[1]
    assert notes[0][:2] == ["declined: no funds", "PaymentDeclined"]
    assert "in decline" in notes[0][2][0]
    assert notes[0][3:] == [("declined: no funds",), "no funds", 3]


@pytest.mark.parametrize("raised", [ValueError, LookupError])
def test_the_cause_of_a_step_error_is_a_built_in_exception_where_the_original_was(
    runner: Driver, raised: type[Exception]
) -> None:
    def fail(step: StepContext) -> None:
        raise raised("boom")

    def function(context: DurableContext, noted: list[Any]) -> None:
        with pytest.raises(StepError) as caught:
            context.step(fail, config=ONCE)
        noted.append((type(caught.value.__cause__), str(caught.value.__cause__)))

    handler, notes = twice(function)
    run(runner, handler)

    assert notes == [[(raised, "boom")]] * 2


def test_each_level_names_the_error_of_the_level_below_and_keeps_stack_and_data(runner: Driver) -> None:
    def decline(step: StepContext) -> None:
        raise PaymentDeclined("no funds", retry_after=3)

    def function(context: DurableContext, noted: list[Any]) -> None:
        with pytest.raises(ChildContextError) as caught:
            context.run_in_child_context(lambda child: child.step(decline, config=ONCE))
        noted += [caught.value.error_type, str(caught.value), caught.value.stack_trace]

    handler, notes = twice(function)
    run(runner, handler)

    assert notes[0] == notes[1]
    assert notes[0][:2] == ["StepError", "declined: no funds"]
    assert "in decline" in notes[0][2][0]


def test_a_callback_completed_before_its_result_is_asked_for_needs_no_suspension(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        callback = context.create_callback("answer")
        context.step(lambda step: runner.complete_callback("answer", result="early"))
        return callback.result()

    run(runner, handler)

    assert runner.status == "SUCCEEDED"
    assert [event.event_type for event in runner.events].count("InvocationCompleted") == 1


def test_a_callback_completed_around_the_suspend_is_not_lost(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        callback = context.create_callback("answer")
        try:
            return callback.result()
        finally:
            if runner.status == "RUNNING" and "CallbackSucceeded" not in [e.event_type for e in runner.events]:
                runner.complete_callback("answer", result="just in time")

    run(runner, handler)

    assert runner.events[-1].payload == '"just in time"'


def test_the_callback_id_is_the_same_on_every_replay(runner: Driver) -> None:
    ids: list[str] = []

    def handler(event: Any, context: DurableContext) -> Any:
        callback = context.create_callback("answer")
        ids.append(callback.callback_id)
        return callback.result()

    run(runner, handler)
    runner.complete_callback("answer")
    runner.drive()

    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_an_external_failure_keeps_message_and_data_and_its_type_in_the_history(runner: Driver) -> None:
    noted: list[Any] = []

    def handler(event: Any, context: DurableContext) -> Any:
        try:
            context.create_callback("answer").result()
        except CallbackExternalError as error:
            noted.extend([str(error), error.error_type, error.data])

    run(runner, handler)
    runner.complete_callback(
        "answer", error='{"ErrorType": "NoMood", "ErrorMessage": "not today", "ErrorData": "{\\"until\\": 5}"}'
    )
    runner.drive()

    assert noted == ["not today", "CallbackExternalError", '{"until": 5}']
    failed = next(event for event in runner.events if event.event_type == "CallbackFailed")
    assert json.loads(failed.error or "")["ErrorType"] == "NoMood"


def test_a_submitter_that_fails_for_good_raises_a_submitter_error(runner: Driver) -> None:
    def submit(callback_id: str, context: Any) -> None:
        raise ConnectionError("mail server away")

    def handler(event: Any, context: DurableContext) -> Any:
        try:
            context.wait_for_callback(submit, "appr", WaitForCallbackConfig(retry_strategy=RetryPresets.none()))
        except CallbackSubmitterError as error:
            return str(error)

    run(runner, handler)

    assert runner.events[-1].payload == '"mail server away"'


def test_a_step_sees_one_idempotency_key_at_every_attempt_and_another_step_another(runner: Driver) -> None:
    keys: list[tuple[str, int]] = []

    def flaky(step: StepContext) -> None:
        keys.append((step.idempotency_key, step.attempt))
        if step.attempt == 1:
            raise ValueError

    def handler(event: Any, context: DurableContext) -> Any:
        context.step(flaky)
        context.step(flaky)

    run(runner, handler)

    assert [attempt for _, attempt in keys] == [1, 2, 1, 2]
    assert keys[0][0] == keys[1][0] != keys[2][0] == keys[3][0]
    assert keys[0][0].endswith(":1")


def test_tags_and_status_text_are_recorded_with_the_next_operation_and_the_last_value_stays(runner: Driver) -> None:
    seen: list[tuple[dict[str, str], str]] = []

    def handler(event: Any, context: DurableContext) -> Any:
        context.tag(order=17, stage="paying")
        context.set_status_text("paying")
        context.step(lambda step: None)
        context.wait(Duration(1))
        seen.append((dict(runner.tags), runner.status_text))
        context.tag(stage="done")
        context.set_status_text("x" * 300)

    run(runner, handler)

    assert seen == [({"order": "17", "stage": "paying"}, "paying")]
    assert runner.tags == {"order": "17", "stage": "done"}
    assert runner.status_text == "x" * 255 + "…"


def test_details_of_waits_retries_and_callbacks_are_in_seconds(runner: Driver) -> None:
    def flaky(step: StepContext) -> None:
        if step.attempt == 1:
            raise ValueError

    def handler(event: Any, context: DurableContext) -> Any:
        context.wait(Duration(1.5))
        context.step(flaky, config=StepConfig(RetryPresets.fixed(Duration(2))))
        context.create_callback(config=CallbackConfig(timeout=Duration.from_minutes(1), heartbeat_timeout=Duration(5)))
        context.create_callback()

    run(runner, handler)

    details = {event.event_type: event.details for event in runner.events if event.operation_id and event.details}
    assert details == {
        "WaitStarted": {"duration_seconds": 1.5},
        "WaitSucceeded": {"duration_seconds": 1.5},
        "StepFailed": {"next_attempt_delay_seconds": 2},
        "CallbackStarted": {"timeout_seconds": 60, "heartbeat_timeout_seconds": 5},
    }
