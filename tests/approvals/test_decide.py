"""The one writer of answers: what it counts, what it refuses, and what the handler gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.utils import ProgrammingError

from approvals import Choice, Group
from approvals.models import ApprovalEvent, ApprovalRequest, Vote
from approvals.sdk.decision import Decision
from approvals.services.decisions import break_glass, decide
from approvals.services.exceptions import (
    AlreadyDecided,
    AlreadyVoted,
    InvalidAnswer,
    NotAllowed,
    OperationIdReused,
    RequestNotFound,
    StaleSubject,
)
from durable_engine.models import AuditEntry, Event, Execution
from tests.approvals.people import opened, user, vote, waiting_execution

pytestmark = pytest.mark.django_db


def outcome_of(request: ApprovalRequest) -> Event:
    return Event.objects.filter(execution_id=request.execution_id).order_by("-event_id")[0]


def kinds(request: ApprovalRequest) -> list[str]:
    return list(ApprovalEvent.objects.filter(request=request).order_by("seq").values_list("kind", flat=True))


@pytest.mark.parametrize(("choice", "outcome"), [("approve", "approved"), ("reject", "rejected")])
def test_an_answer_that_decides_completes_the_callback_and_wakes_the_execution(choice: str, outcome: str) -> None:
    ana = user("ana", "finance")
    request = opened()
    decided = vote(request, ana, choice, comment="read it twice")

    assert decided.is_final
    event = outcome_of(request)
    assert event.event_type == "CallbackSucceeded"
    decision = Decision.from_text(event.payload)
    assert (decision.outcome, decision.by, decision.comment) == (outcome, "ana", "read it twice")
    assert decision.digest == request.digest
    assert Execution.objects.get(pk=request.execution_id).status == "PENDING"
    assert kinds(request) == ["OPENED", "VOTED", "DECIDED"]
    assert AuditEntry.objects.get().actor == "ana"


def test_an_answer_short_of_the_quorum_is_counted_and_the_request_stays_open() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened(quorum=2)
    assert not vote(request, ana).is_final
    assert outcome_of(request).event_type == "CallbackStarted"
    assert vote(request, ben).is_final
    decision = Decision.from_text(outcome_of(request).payload)
    assert decision.people == ["ana", "ben"]


def test_a_rejection_decides_where_two_have_to_agree() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request = opened(quorum=2)
    assert vote(request, ana, "reject").request.state == "REJECTED"


def test_rejections_that_make_a_majority_impossible_decide() -> None:
    people = [user(name, "finance") for name in ("ana", "ben", "cem", "dia", "eva")]
    request = opened(quorum="60%")
    assert [vote(request, each, "reject").is_final for each in people[:3]] == [False, False, True]


def test_everybody_has_to_agree() -> None:
    people = [user(name, "finance") for name in ("ana", "ben", "cem")]
    request = opened(quorum="all")
    assert [vote(request, each).is_final for each in people] == [False, False, True]


def test_one_person_in_two_groups_counts_for_one_of_them() -> None:
    both, legal = user("both", "legal", "finance"), user("lea", "legal")
    request = opened(assignees=[Group("legal"), Group("finance")], quorum={"legal": 1, "finance": 1})
    assert not vote(request, both).is_final
    assert vote(request, legal).is_final


def test_a_choice_of_the_handler_s_own_decides_at_once() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    changes = Choice("changes", "Needs changes", comment="required")
    request = opened(quorum=2, choices=[Choice.approve(), changes])
    with pytest.raises(InvalidAnswer) as refused:
        vote(request, ana, "changes")
    assert refused.value.errors == {"comment": ["Say why."]}
    decided = vote(request, ana, "changes", comment="shorter, please")
    assert (decided.request.state, decided.request.choice) == ("ANSWERED", "changes")


def test_the_same_operation_id_again_gives_the_same_answer_and_counts_nothing() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request = opened(quorum=2)
    operation_id = uuid4().hex
    first = vote(request, ana, operation_id=operation_id)
    again = vote(request, ana, operation_id=operation_id)
    assert (first.is_repeat, again.is_repeat) == (False, True)
    assert first.vote.pk == again.vote.pk
    assert Vote.objects.count() == 1


def test_a_repeat_after_the_decision_is_still_an_answer() -> None:
    ana = user("ana", "finance")
    request, operation_id = opened(), uuid4().hex
    vote(request, ana, operation_id=operation_id)
    assert vote(request, ana, operation_id=operation_id).is_final


@pytest.mark.parametrize("other", ["person", "choice", "request"])
def test_an_operation_id_of_another_answer_is_refused(other: str) -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request, operation_id = opened(quorum=2), uuid4().hex
    vote(request, ana, operation_id=operation_id)
    elsewhere = opened() if other == "request" else request
    with pytest.raises(OperationIdReused):
        vote(
            elsewhere,
            ben if other == "person" else ana,
            "reject" if other == "choice" else "approve",
            operation_id=operation_id,
        )


def test_who_comes_second_learns_who_was_first_and_when() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened()
    vote(request, ana)
    with pytest.raises(AlreadyDecided) as refused:
        vote(request, ben, "reject")
    assert refused.value.decided_by == "ana"
    assert str(refused.value) == "ana approved this just now. Your answer was not counted."


def test_nobody_answers_twice() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request = opened(quorum=2)
    vote(request, ana)
    with pytest.raises(AlreadyVoted, match="You answered this"):
        vote(request, ana)


def test_what_somebody_else_saw_is_not_what_they_decide() -> None:
    ana = user("ana", "finance")
    with pytest.raises(StaleSubject):
        vote(opened(), ana, digest="0" * 64)


def test_a_request_does_not_exist_for_a_stranger() -> None:
    user("ana", "finance")
    request = opened()
    with pytest.raises(RequestNotFound):
        vote(request, user("eve"))
    with pytest.raises(RequestNotFound):
        decide(uuid4(), actor=user("mallory"), choice="approve", operation_id=uuid4().hex, digest="")


def test_the_requester_may_not_decide_even_as_a_member_of_the_group() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request = opened(requester="ana")
    with pytest.raises(NotAllowed, match="You asked for it"):
        vote(request, ana)


def test_the_requester_may_decide_where_the_handler_says_so() -> None:
    ana = user("ana", "finance")
    assert vote(opened(requester="ana", requester_may_decide=True), ana).is_final


def test_an_inactive_user_is_nobody() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request = opened()
    ana.is_active = False
    ana.save()
    with pytest.raises(RequestNotFound):
        vote(request, ana)


def test_who_has_left_the_group_may_no_longer_decide() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    request = opened()
    ana.groups.clear()
    with pytest.raises(RequestNotFound):
        vote(request, ana)


def test_nobody_decides_twice_in_an_execution_that_wants_separate_people() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    execution = waiting_execution()
    vote(opened(execution=execution), ana)
    second = opened(execution=execution, operation_id="2-1", separate=True)
    with pytest.raises(NotAllowed, match="another request of the same process"):
        vote(second, ana)
    assert vote(second, ben).is_final


@dataclass
class Refund:
    """What the approver fills in."""

    amount: float
    reason: str = "goodwill"


def test_what_the_form_was_filled_in_with_reaches_the_handler_typed() -> None:
    ana = user("ana", "finance")
    request = opened(form=Refund)
    vote(request, ana, data={"amount": "12.5", "reason": "damaged"})
    decision = Decision.from_text(outcome_of(request).payload)
    assert decision.data == {"amount": 12.5, "reason": "damaged"}
    assert decision.data_as(Refund) == Refund(12.5, "damaged")


def test_a_bad_field_is_named_and_the_request_stays_open() -> None:
    ana = user("ana", "finance")
    request = opened(form=Refund)
    with pytest.raises(InvalidAnswer) as refused:
        vote(request, ana, data={"amount": "much"})
    assert refused.value.errors["amount"] == ["Enter a number."]
    assert not Vote.objects.exists()
    assert ApprovalRequest.objects.get().is_open
    assert vote(request, ana, data={"amount": 3, "reason": ""}).is_final


def test_who_rejects_need_not_fill_in_the_form() -> None:
    ana = user("ana", "finance")
    assert vote(opened(form=Refund), ana, "reject").request.state == "REJECTED"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"choice": "maybe"}, "choice"),
        ({"comment": "x" * 2_001}, "comment"),
        ({"comment": "a\x00b"}, "comment"),
        ({"comment": "\ud800"}, "comment"),
        ({"operation_id": "short"}, "operation_id"),
        ({"operation_id": "x" * 65}, "operation_id"),
        ({"data": {"amount": 1}}, "data"),
    ],
)
def test_bad_input_names_its_field(options: dict[str, Any], field: str) -> None:
    ana = user("ana", "finance")
    request = opened()
    with pytest.raises(InvalidAnswer) as refused:
        vote(request, ana, **{"choice": "approve", **options})
    assert set(refused.value.errors) == {field}
    assert ApprovalRequest.objects.get().revision == 1


def test_in_an_emergency_one_person_with_the_right_decides_and_it_shows() -> None:
    user("ana", "finance")
    user("ben", "finance")
    chief = user("chief", rights=["break_glass"])
    request = opened(quorum=2)
    with pytest.raises(InvalidAnswer):
        break_glass(
            request.pk, actor=chief, choice="approve", reason=" ", operation_id=uuid4().hex, digest=request.digest
        )
    decided = break_glass(
        request.pk, actor=chief, choice="approve", reason="fire", operation_id=uuid4().hex, digest=request.digest
    )
    assert decided.request.is_break_glass
    assert Decision.from_text(outcome_of(request).payload).is_break_glass
    assert kinds(request) == ["OPENED", "BROKE_GLASS", "DECIDED"]


def test_nobody_breaks_the_glass_for_their_own_request() -> None:
    user("ben", "finance")
    chief = user("chief", rights=["break_glass"])
    request = opened(requester="chief")
    with pytest.raises(NotAllowed, match="never for one's own"):
        break_glass(
            request.pk, actor=chief, choice="approve", reason="fire", operation_id=uuid4().hex, digest=request.digest
        )


def test_the_history_can_neither_be_changed_nor_deleted() -> None:
    user("ana", "finance")
    request = opened()
    for change in (
        lambda: ApprovalEvent.objects.update(actor_label="nobody"),
        lambda: ApprovalEvent.objects.all().delete(),
        lambda: request.delete(),
    ):
        with pytest.raises(ProgrammingError, match="append-only"), transaction.atomic():
            change()


def test_deleting_an_account_keeps_what_it_did() -> None:
    ana = user("ana", "finance")
    request = opened()
    vote(request, ana)
    ana.delete()
    assert Vote.objects.get().voter_label == "ana"
    assert ApprovalRequest.objects.get().closed_by_label == "ana"
    assert [event.actor_label for event in ApprovalEvent.objects.filter(request=request, kind="VOTED")] == ["ana"]


def test_many_long_comments_still_reach_the_handler() -> None:
    people = [user(f"u{number}", "finance") for number in range(60)]
    request = opened(quorum="all", form={"properties": {"note": {"type": "string"}}})
    for each in people:
        vote(request, each, comment="ü" * 2_000, data={"note": "n"})
    decision = Decision.from_text(outcome_of(request).payload)
    assert (decision.outcome, len(decision.people)) == ("approved", 60)
    assert json.dumps(ApprovalRequest.objects.get().result).count("\\u00fc") > 2_000
