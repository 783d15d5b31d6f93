"""The examples as a newcomer would test them: in memory, with virtual time, and with a crash at every event."""

import json
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from durable_engine import DurableHandler, ValidationError
from durable_engine.core.ports import RecordedEvent
from durable_engine.sdk.inputs import input_schema, parse_input
from durable_engine.sdk.types import ErrorObject
from durable_engine.testing.runner import DurableFunctionTestRunner
from examples.durable_functions.booking_saga import booking_saga
from examples.durable_functions.conditional_branch import conditional_branch
from examples.durable_functions.data_pipeline import data_pipeline
from examples.durable_functions.document_approval import document_approval
from examples.durable_functions.endless_loop import endless_loop
from examples.durable_functions.fan_out import fan_out
from examples.durable_functions.flaky_payment import flaky_payment
from examples.durable_functions.function_chain import function_chain
from examples.durable_functions.job_monitor import job_monitor
from examples.durable_functions.onboarding import onboarding
from examples.durable_functions.order_processing import order_processing
from examples.durable_functions.payment_flow import payment_flow
from examples.durable_functions.report_polling import report_polling

EXAMPLES = [
    order_processing,
    flaky_payment,
    document_approval,
    data_pipeline,
    booking_saga,
    function_chain,
    endless_loop,
    fan_out,
    conditional_branch,
    job_monitor,
    onboarding,
    payment_flow,
    report_polling,
]
YES = '{"approved": true, "by": "reviewer", "comment": "well written"}'


def names_of(handler: DurableHandler) -> str:
    return handler.name


@pytest.mark.parametrize("handler", EXAMPLES, ids=names_of)
def test_the_start_form_suggests_an_input_that_works(handler: DurableHandler) -> None:
    schema = input_schema(handler.input)

    assert schema is not None
    suggested = {name: rule["default"] for name, rule in schema["properties"].items()}
    assert parse_input(handler.input, suggested) == parse_input(handler.input, {})
    assert handler.description


def test_an_order_is_paid_once_and_confirmed_after_its_wait() -> None:
    with DurableFunctionTestRunner(order_processing) as runner:
        result = runner.run('{"order_id": "B-7", "quantity": 3, "unit_price_cents": 99}')

        assert runner.clock.now == 10
    assert json.loads(result.result or "")["confirmation"] == "order B-7 confirmed, 2.97 paid"
    assert [operation.name for operation in result.operations] == ["validate", "pay", "cooling-off", "confirm"]


def test_a_wrong_order_fails_without_being_tried_again() -> None:
    with DurableFunctionTestRunner(order_processing) as runner:
        result = runner.run('{"quantity": 0}')

    assert (result.status, result.error and result.error.type) == ("FAILED", "StepError")
    assert [operation.attempt for operation in result.operations] == [1]


def test_a_payment_gives_up_after_four_attempts_over_21_seconds() -> None:
    with DurableFunctionTestRunner(flaky_payment) as runner:
        result = runner.run('{"failing_attempts": 4}')

        assert runner.clock.now == 3 + 6 + 12
    assert (result.status, result.operations[0].attempt) == ("FAILED", 4)


@pytest.mark.parametrize(
    ("answer", "outcome", "location"),
    [
        (YES, "approved", "published/quarterly-report.pdf"),
        ('{"approved": false, "comment": "no"}', "rejected", None),
        ('{"approved": "yes"}', "rejected", None),
        ('"approved"', "rejected", None),
        ("null", "rejected", None),
    ],
)
def test_only_an_explicit_yes_publishes_the_document(answer: str, outcome: str, location: str | None) -> None:
    with DurableFunctionTestRunner(document_approval) as runner:
        execution = runner.run_async("{}")
        runner.send_callback_success(runner.wait_for_callback(execution), answer)
        result = json.loads(runner.wait_for_result(execution).result or "")

    assert (result["outcome"], result["location"]) == (outcome, location)


def test_a_document_nobody_decides_on_expires_after_a_minute() -> None:
    with DurableFunctionTestRunner(document_approval) as runner:
        execution = runner.run_async("{}")
        runner.advance(59.9)
        assert runner.execution(execution).status == "SUSPENDED"
        runner.advance(0.2)
        result = json.loads(runner.wait_for_result(execution).result or "")

    assert result["outcome"] == "expired"


@pytest.mark.parametrize(
    ("failing", "steps"),
    [
        ("none", ["book flight", "book hotel", "book car"]),
        ("flight", ["book flight"]),
        ("hotel", ["book flight", "book hotel", "cancel flight"]),
        ("car", ["book flight", "book hotel", "book car", "cancel hotel", "cancel flight"]),
    ],
)
def test_a_saga_cancels_what_it_has_booked_last_one_first(failing: str, steps: list[str]) -> None:
    with DurableFunctionTestRunner(booking_saga) as runner:
        result = runner.run(json.dumps({"failing_booking": failing}))

    assert [operation.name for operation in result.operations] == steps
    assert json.loads(result.result or "")["outcome"] == ("booked" if failing == "none" else "cancelled")


def test_the_best_of_the_quotes_that_came_is_taken_and_who_was_silent_is_told() -> None:
    with DurableFunctionTestRunner(fan_out) as runner:
        result = json.loads(runner.run('{"suppliers": 8}').result or "")
        assert runner.clock.now < 8

    assert (result["outcome"], result["quotes"]) == ("ordered", 6)
    assert result["silent"] == ["supplier 4 does not answer", "supplier 8 does not answer"]


def test_too_many_silent_suppliers_end_the_asking_early() -> None:
    with DurableFunctionTestRunner(fan_out) as runner:
        result = runner.run('{"silent_every": 1, "suppliers": 40}')

    quotes = next(operation for operation in result.operations if operation.name == "quotes")
    asked = [each for each in result.get_all_operations() if each.parent_id == quotes.operation_id]
    assert json.loads(result.result or "")["outcome"] == "nobody delivers"
    assert 21 <= len(asked) <= 26


def test_a_chain_of_functions_runs_each_as_an_execution_of_its_own() -> None:
    with DurableFunctionTestRunner(function_chain) as runner:
        arn = runner.run_async()
        result = json.loads(runner.wait_for_result(arn).result or "")

        assert [child.handler.name for child in runner.execution(arn).children] == ["charge-card", "ship-parcel"]
    assert (result["outcome"], result["label"]) == ("shipped", "label of A-1001")


def test_a_chain_ends_where_the_payment_fails() -> None:
    with DurableFunctionTestRunner(function_chain) as runner:
        result = json.loads(runner.run('{"amount": 900}').result or "")

    assert (result["outcome"], result["reason"]) == ("not paid", "900 is over the limit of 500")


def test_a_loop_is_a_chain_of_executions_that_ends_with_the_last_turn() -> None:
    with DurableFunctionTestRunner(endless_loop) as runner:
        arn = runner.run_async('{"seconds_between": 60}')
        turns = list(runner.execution(arn).family())

        assert runner.wait_for_result(arn).result == '"C-7 left after 3 months"'
        assert [turn.tags for turn in turns] == [{"customer": "C-7"}] * 3
        assert runner.clock.now == 120


@pytest.mark.parametrize(
    ("handler", "value", "problem"),
    [
        (order_processing, {"cooling_off_seconds": 0}, "cooling_off_seconds must be more than 0"),
        (document_approval, {"timeout_seconds": -1}, "timeout_seconds must be more than 0"),
        (data_pipeline, {"batch_size": 0}, "records and batch_size must be 1 or more"),
        (data_pipeline, {"records": 10_000, "batch_size": 1}, "more than 200 batches"),
        (data_pipeline, {"seconds_per_batch": 3600}, "seconds_per_batch must be 0 to 60"),
        (endless_loop, {"turn": 4}, "turn not above last_turn"),
        (booking_saga, {"failing_booking": "train"}, "input.failing_booking must be one of"),
        (conditional_branch, {"amount": "0"}, "amount must be more than 0"),
        (conditional_branch, {"suspicion": 101}, "suspicion must be 0 to 100"),
        (job_monitor, {"silence_seconds": 0}, "silence_seconds must be more than 0"),
        (onboarding, {"seconds_per_day": 86_401}, "seconds_per_day must be more than 0 and at most 86400"),
        (payment_flow, {"amount": "-1"}, "amount must be more than 0"),
        (payment_flow, {"settled_after_looks": 11}, "settled_after_looks must be 1 to 10"),
        (report_polling, {"ready_at_look": 0}, "ready_at_look must be 1 or more"),
        (report_polling, {"first_delay_seconds": 61}, "first_delay_seconds must be more than 0 and at most 60"),
    ],
)
def test_an_input_that_makes_no_sense_is_refused_at_the_start(
    handler: DurableHandler, value: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        parse_input(handler.input, value)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("handler", EXAMPLES, ids=names_of)
def test_a_crash_at_any_event_changes_no_result(handler: DurableHandler, before: bool) -> None:
    undisturbed, history = outcome(handler)

    crashes = 0
    for number in range(1, len(history) + 1):
        disturbed, its_history = outcome(handler, crash_at=number, before=before)
        assert disturbed == undisturbed, f"crash at event {number}"
        crashes += any(event.event_type == "InvocationCompleted" and event.error for event in its_history)
    if before:
        assert crashes == len(history)
    else:
        assert crashes >= min(len(history) / 2, interruptible(history))


def interruptible(history: list[RecordedEvent]) -> int:
    """After how many events an invocation still runs. A wait and an invoke share the statement that ends it."""
    types = [str(event.event_type) for event in history]
    ends = {"InvocationCompleted", "ExecutionSucceeded"}
    shared = {"WaitStarted", "ChainedInvokeStarted"}
    pairs = zip(types, [*types[1:], ""], strict=True)
    return sum(not (one in ends or (one in shared and following in ends)) for one, following in pairs)


def outcome(
    handler: DurableHandler, crash_at: int | None = None, before: bool = False
) -> tuple[Any, list[RecordedEvent]]:
    """Return the result of one execution, without what depends on its id, and its history."""
    text = '{"records": 5, "batch_size": 2, "seconds_per_batch": 0}' if handler is data_pipeline else "{}"
    with DurableFunctionTestRunner(handler) as runner:
        if crash_at is not None:
            (runner.crash_before if before else runner.crash_after)(crash_at)
        runner.mock_callback("on north", error=ErrorObject("out of memory", "Crashed"))
        runner.mock_callback("on south", result='{"frames": 240}')
        runner.mock_callback("confirmation 1", result=YES)
        execution = runner.run_async(text)
        if handler is document_approval:
            runner.send_callback_success(runner.wait_for_callback(execution), YES)
        result = runner.wait_for_result(execution)
        stored = result.result or ""
        for operation in result.operations:
            key = uuid5(NAMESPACE_OID, f"{execution}:{operation.operation_id}").hex
            stored = stored.replace(key[:12], "key").replace(key[:8], "key")
        return (result.status, stored), runner.execution(execution).events
