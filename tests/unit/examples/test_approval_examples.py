"""The examples that ask people, in memory: what they ask whom, and what they do with the answers."""

import json
from typing import Any

import pytest

from approvals.testing import Reply, answer, approve, auto, expire, reject
from durable_engine import DurableHandler
from durable_engine.sdk.inputs import input_schema, parse_input
from durable_engine.testing.runner import DurableFunctionTestRunner
from examples.durable_functions.access_request import access_request
from examples.durable_functions.ai_draft import ai_draft
from examples.durable_functions.document_review import document_review
from examples.durable_functions.expense_approval import expense_approval

GRANTED = {"granted_amount": "2400.00", "cost_centre": "4100 Travel"}


def played(handler: DurableHandler, replies: dict[str, Reply], **values: Any) -> tuple[dict[str, Any], list[str]]:
    """What the handler returns, and whom it asked, in this order."""
    with DurableFunctionTestRunner(handler) as runner, auto(runner, replies) as people:
        result = runner.run(json.dumps(values))
        assert result.status == "SUCCEEDED"
        return json.loads(result.result or ""), list(people.asked)


@pytest.mark.parametrize(
    "handler", [expense_approval, document_review, access_request, ai_draft], ids=lambda handler: handler.name
)
def test_the_start_form_suggests_an_input_that_works(handler: DurableHandler) -> None:
    schema = input_schema(handler.input)

    assert schema is not None
    suggested = {name: rule["default"] for name, rule in schema["properties"].items()}
    assert parse_input(handler.input, suggested) == parse_input(handler.input, {})
    assert "make_sample_people" in handler.description


@pytest.mark.parametrize(
    ("granted", "asked"),
    [("1000.00", ["manager"]), ("1000.01", ["manager", "director"]), ("10000.01", ["manager", "director", "cfo"])],
)
def test_an_expense_climbs_by_what_was_granted(granted: str, asked: list[str]) -> None:
    replies = {
        "manager": approve("mia", data={**GRANTED, "granted_amount": granted}),
        "director": approve("dora"),
        "cfo": approve("cleo"),
    }
    result, stages = played(expense_approval, replies, amount="99999.00")
    assert stages == asked
    assert result["payment"] == f"transfer of {granted} EUR to sam"


def test_an_expense_that_nobody_decides_or_a_director_refuses_is_not_paid() -> None:
    result, _ = played(expense_approval, {"manager": expire()})
    assert (result["outcome"], result["payment"]) == ("rejected", None)
    replies = {"manager": approve("mia", data=GRANTED), "director": reject("dora", comment="too much")}
    result, _ = played(expense_approval, replies)
    assert (result["outcome"], result["by"], result["granted"]) == ("rejected", "dora", None)


def test_a_document_goes_through_three_rounds_at_most() -> None:
    changes = answer("changes", "eva", comment="shorter")
    replies = {f"review {number}": changes for number in (1, 2, 3)}
    replies |= {f"changes {number}": answer(by="sam", data={"text": f"version {number + 1}"}) for number in (1, 2)}
    result, asked = played(document_review, replies)
    assert asked == ["review 1", "changes 1", "review 2", "changes 2", "review 3"]
    assert (result["outcome"], result["published"]) == ("answered", None)


def test_access_is_revoked_when_its_time_is_over() -> None:
    with DurableFunctionTestRunner(access_request) as runner, auto(runner, access=approve(["sina", "sven"])):
        result = runner.run('{"seconds": 900}')
        assert runner.clock.now == 900
    assert [each.name for each in result.operations if each.name in {"grant", "revoke"}] == ["grant", "revoke"]
    refused, _ = played(access_request, {"access": reject("sina", comment="ask your manager")})
    assert refused["outcome"] == "rejected"


def test_a_draft_is_sent_as_the_editor_left_it() -> None:
    replies = {
        "edit 1": answer("again", "eva", data={"text": "x"}, comment="friendlier"),
        "edit 2": approve("eva", data={"text": "Dear Ms Okafor, it arrives today."}),
    }
    result, _ = played(ai_draft, replies)
    assert (result["outcome"], result["drafts"], result["edited"]) == ("sent", 2, True)
    dropped, _ = played(ai_draft, {"edit 1": reject("eva")})
    assert dropped["outcome"] == "rejected"
