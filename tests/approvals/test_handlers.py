"""What handlers write and get back, in the test runner: no database, no waiting."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from approvals import (
    ApprovalError,
    ApprovalExpired,
    ApprovalRejected,
    ApprovalWithdrawn,
    Choice,
    Decision,
    Group,
    InvalidApproval,
    User,
    ask,
    create_approval,
    wait_for_approval,
)
from approvals.testing import answer, approve, auto, expire, reject, withdraw
from durable_engine import DurableContext, Duration, durable_execution
from durable_engine.sdk import registry
from durable_engine.testing.runner import DurableFunctionTestRunner


@dataclass
class Amount:
    """The form of the tests."""

    amount: float
    note: str = ""


Handler = Callable[[dict[str, Any], DurableContext], Any]


@pytest.fixture(autouse=True)
def no_handlers() -> Any:
    with registry.isolated():
        yield


def runner_of(handler: Handler) -> DurableFunctionTestRunner:
    return DurableFunctionTestRunner(durable_execution(name="tested")(handler))


def gate(context: DurableContext, name: str = "manager", **arguments: Any) -> Any:
    given = {"title": "Refund 120 EUR", "assignees": [Group("finance")], **arguments}
    return wait_for_approval(context, name, **given)


def test_the_decision_comes_back_as_the_people_made_it() -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        decision = gate(context, form=Amount, details={"order": 7}, requester="rae")
        return [decision.approved, decision.by, decision.comment, decision.data_as(Amount).amount, decision.people]

    with runner_of(handler) as runner:
        reply = approve(["ana", "ben"], data={"amount": 5}, comment="fine")
        with auto(runner, manager=reply) as people:
            result = runner.run("{}")
    assert json.loads(result.result or "") == [True, "ben", "fine", 5.0, ["ana", "ben"]]
    assert people.asked["manager"].details == {"order": 7}
    assert people.asked["manager"].assignees == [{"group": "finance"}]


def test_a_crash_at_any_event_asks_once_and_decides_the_same() -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        first = gate(context)
        second = gate(context, "cfo", exclude=first.people)
        return [first.by, second.by]

    number = 1
    while number < 30:
        with runner_of(handler) as runner, auto(runner, manager=approve("ana"), cfo=approve("ben")):
            runner.crash_after(number)
            result = runner.run("{}")
            assert json.loads(result.result or "") == ["ana", "ben"], number
            if len(result.events) < number:
                break
        number += 1
    assert number > 10


def test_a_rejection_is_an_answer_and_require_turns_it_into_an_error() -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        decision = gate(context)
        assert decision.rejected
        with pytest.raises(ApprovalRejected, match="reject by ana: too much"):
            decision.require()
        return "went on"

    with runner_of(handler) as runner, auto(runner, manager=reject("ana", comment="too much")):
        assert runner.run("{}").result == '"went on"'


@pytest.mark.parametrize(
    ("on_expire", "expected"),
    [("raise", "raised"), ("reject", "rejected"), ("approve", "approved"), ({"limit": 5}, {"limit": 5})],
)
def test_what_happens_when_nobody_decides_is_the_handler_s_choice(on_expire: Any, expected: Any) -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        try:
            decision = gate(context, expires=Duration.from_days(1), on_expire=on_expire)
        except ApprovalExpired:
            return "raised"
        assert decision.is_expired
        return decision.value or decision.outcome

    with runner_of(handler) as runner, auto(runner, manager=expire()):
        assert json.loads(runner.run("{}").result or "") == expected
    # Nobody is there to apply it, so the callback's own timeout does.
    with runner_of(handler) as runner, auto(runner):
        arn = runner.run_async("{}")
        runner.advance(timedelta(days=1, hours=1, seconds=1).total_seconds())
        assert json.loads(runner.wait_for_result(arn).result or "") == expected


def test_a_question_that_is_withdrawn_is_an_error_of_its_own() -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        with pytest.raises(ApprovalWithdrawn, match="ordered twice"):
            gate(context)
        return "went on"

    with runner_of(handler) as runner, auto(runner, manager=withdraw("ordered twice")):
        assert runner.run("{}").result == '"went on"'


def test_several_are_open_at_once_and_one_is_taken_back() -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        legal = create_approval(context, "legal", title="Contract", assignees=[Group("legal")])
        finance = create_approval(context, "finance", title="Budget", assignees=[Group("finance")])
        if finance.result().rejected:
            legal.withdraw("no budget")
            return "stopped"
        return legal.result().outcome

    with runner_of(handler) as runner, auto(runner) as people:
        arn = runner.run_async("{}")
        assert set(people.asked) == {"legal", "finance"}
        people.reply("legal", approve("lea"))
        people.reply("finance", approve("ana"))
        assert runner.wait_for_result(arn).result == '"approved"'
    with runner_of(handler) as runner, auto(runner, finance=reject("ana")) as people:
        assert runner.run("{}").result == '"stopped"'
        assert people.withdrawn == {"legal": "no budget"}


def test_asking_for_data_has_one_button() -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        decision = ask(context, "account", form=Amount, title="How much?", assignees=[User("ana")], requester="ana")
        return [decision.answered, decision.data["amount"]]

    with runner_of(handler) as runner, auto(runner, account=answer(by="ana", data={"amount": 3})) as people:
        assert json.loads(runner.run("{}").result or "") == [True, 3]
    assert [each["key"] for each in people.asked["account"].spec.subject["choices"]] == ["answer"]


@pytest.mark.parametrize(
    "text",
    [None, "null", "7", "not JSON", "[]", "{}", '{"approved": true}', '{"outcome": "yes"}', '{"outcome": 7}'],
)
def test_what_was_completed_by_other_means_is_no_decision(text: str | None) -> None:
    with pytest.raises(ApprovalError, match="answered outside of approvals"):
        Decision.from_text(text)


@pytest.mark.parametrize("more", ["", ', "votes": 7', ', "votes": [7, {}]', ', "data": [1]', ', "by": null'])
def test_an_operator_may_complete_it_by_hand_with_an_outcome(more: str) -> None:
    decision = Decision.from_text(f'{{"outcome": "approved"{more}}}')
    assert decision.approved
    assert decision.people == []
    assert decision.data == {}


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (approve("rae"), "rae may not decide"),
        (approve(choice="maybe"), "no button 'maybe'"),
        (approve(data={"amount": 1, "other": 2}), "no field 'other'"),
        (approve(data={"note": "x"}), "no 'amount'"),
        (answer("changes", data={"amount": 1}), "needs a comment"),
    ],
)
def test_the_kit_refuses_what_the_product_would_refuse(reply: Any, problem: str) -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        choices = [Choice.approve(), Choice.reject(), Choice("changes", "Needs changes", comment="required")]
        return gate(context, requester="rae", form=Amount, choices=choices).outcome

    with runner_of(handler) as runner, auto(runner) as people:
        runner.run_async("{}")
        with pytest.raises(InvalidApproval, match=problem):
            people.reply("manager", reply)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"assignees": []}, "assignees is empty"),
        ({"assignees": ["ana"]}, r"write User\('ana'\)"),
        ({"assignees": "ana"}, "must be a list of User"),
        ({"title": ""}, "title must have 1 to 200"),
        ({"title": "x" * 201}, "title must have 1 to 200"),
        ({"title": "a\x00"}, "title has a NUL"),
        ({"description": 7}, "description must be text"),
        ({"details": [1]}, "details must be a dict"),
        ({"details": {"a": object()}}, "no JSON value"),
        ({"details": {"a": "\ud800"}}, "details can't be kept"),
        ({"details": {"a": "\x00"}}, "details has a NUL"),
        ({"details": {"a": "x" * 100_001}}, "at most 100,000"),
        ({"details": {"a": float("nan")}}, "details can't be kept"),
        ({"quorum": 0}, "quorum must be a number of 1 or more"),
        ({"quorum": "200%"}, "quorum must be a number of 1 or more"),
        ({"quorum": True}, "quorum must be a number of 1 or more"),
        ({"quorum": {"finance": 0}}, "quorum must give each group"),
        ({"due": 5}, "due must be a Duration"),
        ({"due": Duration.from_days(2), "expires": Duration.from_days(1)}, "due is later than expires"),
        ({"on_expire": "ignore"}, "on_expire must be"),
        ({"remind": [5]}, r"write After\(hours=24\)"),
        ({"escalate": [Group("x")]}, "escalate has"),
        ({"notify": "email"}, "notify must be a list"),
        ({"notify": ["pigeon"]}, "notify has 'pigeon'"),
        ({"notify": ["webhook"]}, "notify has 'webhook'"),
        ({"choices": []}, "choices must be a list"),
        ({"choices": [Choice.approve(), Choice.approve()]}, "different keys"),
        ({"link": "click"}, "link must be"),
        ({"title": "\ud800"}, "title can't be kept"),
        ({"choices": [Choice("a", "x\x00")]}, "choices has a NUL"),
        ({"expires": timedelta(days=366)}, "expires must be at most 365 days"),
        ({"form": {"properties": {"a": {"type": "string", "default": "\x00"}}}}, "form has a NUL"),
        ({"form": {"properties": {"a": {"type": "string", "default": "x" * 100_001}}}}, "form has 100,"),
        ({"form": 7}, "form must be"),
        ({"form": {"properties": {"a": {"type": "object"}}}}, "form.a must have a type"),
        ({"form": {"properties": {"a": {"type": "string", "format": "ipv4"}}}}, "format must be one of"),
        ({"form": {"properties": {"a": {"type": "string", "minimun": 3}}}}, "form.a has 'minimun'"),
        ({"form": {"properties": {"a": {"$ref": "https://example.com/a.json"}}}}, "only #/\\$defs"),
        ({"form": {"properties": {"a b": {"type": "string"}}}}, "no name of a field"),
        ({"form": {"properties": {"a": {"type": "string", "pattern": "("}}}}, "no regular expression"),
        ({"form": {"properties": {"a": {"type": "string"}}, "required": ["b"]}}, "required must list"),
    ],
)
def test_a_mistake_is_named_before_anything_is_recorded(arguments: dict[str, Any], problem: str) -> None:
    def handler(event: dict[str, Any], context: DurableContext) -> Any:
        return gate(context, **arguments).outcome

    with runner_of(handler) as runner, auto(runner):
        result = runner.run("{}")
    assert result.status == "FAILED"
    assert result.error is not None
    assert result.error.type in ("InvalidApproval", "ValidationError")
    assert re.search(problem, result.error.message or "")
    assert result.get_all_operations() == []
