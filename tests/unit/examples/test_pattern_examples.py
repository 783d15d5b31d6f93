"""The examples named after a pattern, in memory: each way through them, with days passing at once."""

import json
from typing import Any

import pytest

from approvals.testing import Reply, approve, auto, expire, reject
from durable_engine import DurableHandler
from durable_engine.sdk.types import ErrorObject
from durable_engine.testing.runner import DurableFunctionTestRunner
from examples.durable_functions.conditional_branch import conditional_branch
from examples.durable_functions.job_monitor import job_monitor
from examples.durable_functions.onboarding import onboarding
from examples.durable_functions.payment_flow import payment_flow
from examples.durable_functions.report_polling import report_polling


def played(
    handler: DurableHandler, replies: dict[str, Reply] | None = None, **values: Any
) -> tuple[dict[str, Any], list[str | None]]:
    """What the handler returns, and the operations of its own context, in order."""
    with DurableFunctionTestRunner(handler) as runner, auto(runner, replies or {}):
        result = runner.run(json.dumps(values))
    assert result.status == "SUCCEEDED"
    return json.loads(result.result or ""), [each.name for each in result.operations]


@pytest.mark.parametrize(
    ("values", "steps", "outcome"),
    [
        ({}, ["assess", "pay"], "paid"),
        ({"amount": "200.01"}, ["assess", "survey", "pay"], "paid"),
        ({"suspicion": 90}, ["assess", "refuse"], "refused"),
    ],
)
def test_a_claim_takes_the_branch_that_its_assessment_asks_for(
    values: dict[str, Any], steps: list[str], outcome: str
) -> None:
    result, taken = played(conditional_branch, **values)

    assert (taken, result["outcome"]) == (steps, outcome)


def test_a_claim_stays_in_its_branch_when_the_assessment_would_say_something_else_by_now() -> None:
    with DurableFunctionTestRunner(conditional_branch) as runner:
        runner.mock_step("assess", side_effect=[10, 99])
        runner.crash_after("assess")
        result = runner.run()

    assert [each.name for each in result.operations] == ["assess", "pay"]


def test_a_machine_keeps_its_job_as_long_as_it_says_something() -> None:
    with DurableFunctionTestRunner(job_monitor) as runner:
        execution = runner.run_async('{"silence_seconds": 60}')
        for _ in range(5):
            runner.advance(59)
            runner.send_callback_heartbeat(runner.wait_for_callback(execution, "on north create callback id"))
        runner.send_callback_success(runner.wait_for_callback(execution), '{"frames": 240}')
        result = json.loads(runner.wait_for_result(execution).result or "")

    assert result == {"film": "trailer", "by": "north", "answer": {"frames": 240}, "lost": []}


def test_a_silent_machine_is_given_up_and_one_that_fails_is_too() -> None:
    with DurableFunctionTestRunner(job_monitor) as runner:
        execution = runner.run_async('{"silence_seconds": 60}')
        runner.advance(61)
        south = runner.wait_for_callback(execution, "on south create callback id")
        runner.send_callback_failure(south, ErrorObject("out of memory", "Crashed"))
        result = runner.wait_for_result(execution)

    assert json.loads(result.result or "")["lost"] == ["north", "south"]
    assert [each.name for each in result.operations] == [
        "on north",
        "take back from north",
        "on south",
        "take back from south",
        "render_draft",
    ]


def test_a_report_is_looked_at_less_and_less_often() -> None:
    with DurableFunctionTestRunner(report_polling) as runner:
        result = json.loads(runner.run('{"ready_at_look": 8}').result or "")

        assert runner.clock.now == 2 + 4 + 8 + 16 + 32 + 60 + 60
    assert (result["outcome"], result["rows"]) == ("ready", 12_500)


def test_a_report_that_never_comes_is_cancelled() -> None:
    result, steps = played(report_polling, ready_at_look=9)

    assert result["outcome"] == "not ready after 8 looks"
    assert steps == ["order", "report is ready", "cancel"]


@pytest.mark.parametrize(
    ("amount", "reply", "outcome", "last"),
    [
        ("1000.00", None, "settled", "book"),
        ("1000.01", approve("sina"), "settled", "book"),
        ("1000.01", reject("sina", comment="stolen card"), "declined", "release"),
        ("1000.01", expire(), "declined", "release"),
        ("10000.01", None, "declined", "release"),
    ],
)
def test_a_payment_is_settled_or_its_reservation_is_released(
    amount: str, reply: Reply | None, outcome: str, last: str
) -> None:
    result, steps = played(payment_flow, {"fraud review": reply} if reply else {}, amount=amount)

    assert (result["outcome"], steps[-1]) == (outcome, last)
    assert ("fraud review" in steps) is (reply is not None)
    assert ("capture" in steps) is (outcome == "settled")


def test_a_payment_that_cannot_be_captured_releases_its_reservation() -> None:
    with DurableFunctionTestRunner(payment_flow) as runner:
        runner.mock_step("capture", error=ConnectionError("no answer"))
        result = runner.run()

    assert (result.status, result.operations[-1].name) == ("FAILED", "release")


def test_somebody_new_confirms_after_the_first_reminder_and_gets_a_tip_on_three_days() -> None:
    day = 86_400
    with DurableFunctionTestRunner(onboarding) as runner:
        execution = runner.run_async(json.dumps({"seconds_per_day": day}))
        runner.advance(1.5 * day)
        link = runner.wait_for_callback(execution, "confirmation 2 create callback id")
        runner.send_callback_success(link, '{"approved": true}')
        result = runner.wait_for_result(execution)

        assert runner.clock.now == (1.5 + 7) * day
    assert json.loads(result.result or "")["outcome"] == "settled in"
    assert [each.name for each in result.operations][3:] == [
        "day 1",
        "tip: a first project",
        "day 3",
        "tip: invite your team",
        "day 7",
        "tip: shortcuts",
        "count_projects",
    ]


@pytest.mark.parametrize("answer", [None, '"yes"', '{"approved": false}'])
def test_an_account_whose_address_nobody_confirms_is_deleted(answer: str | None) -> None:
    with DurableFunctionTestRunner(onboarding) as runner:
        execution = runner.run_async('{"seconds_per_day": 60}')
        if answer is None:
            runner.advance(3 * 60 + 1)
        else:
            runner.send_callback_success(runner.wait_for_callback(execution), answer)
        result = runner.wait_for_result(execution)

    assert json.loads(result.result or "")["outcome"] == "not confirmed"
    assert result.operations[-1].name == "delete_account"
