"""Take it, send it on, talk about it, hand it to others, give it more time, take it back."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from approvals import User
from approvals.models import ApprovalEvent, ApprovalRequest, ApprovalTimer, Candidate
from approvals.services.absences import end_absence, end_delegation, start_absence, start_delegation
from approvals.services.exceptions import (
    AlreadyDecided,
    AlreadyVoted,
    ClaimedByOther,
    InvalidAnswer,
    NobodyCanDecide,
    NotAllowed,
    RequestNotFound,
)
from approvals.services.requests import (
    ask_requester,
    claim_request,
    comment_on_request,
    delegate_request,
    extend_request,
    reassign_request,
    release_request,
    reply_to_question,
    withdraw_request,
)
from durable_engine import Duration
from durable_engine.models import Callback, Event, Execution
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.executions import stop_execution
from tests.approvals.people import opened, user, vote

pytestmark = pytest.mark.django_db


def last_event(request: ApprovalRequest) -> ApprovalEvent:
    return ApprovalEvent.objects.filter(request=request).order_by("-seq")[0]


def times_of(request: ApprovalRequest) -> tuple[datetime, datetime]:
    found = ApprovalRequest.objects.get(pk=request.pk)
    assert found.due_at is not None
    assert found.expires_at is not None
    return found.due_at, found.expires_at


def in_hours(hours: float) -> datetime:
    return timezone.now() + timedelta(hours=hours)


# Claims


def test_a_claimed_request_is_not_decided_over_the_holder_s_head() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened()
    claim_request(request.pk, actor=ana)
    with pytest.raises(ClaimedByOther, match="ana is working on this"):
        vote(request, ben)
    with pytest.raises(ClaimedByOther):
        claim_request(request.pk, actor=ben)
    assert vote(request, ana).is_final


def test_a_released_request_is_open_to_all_again() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened()
    claim_request(request.pk, actor=ana)
    with pytest.raises(NotAllowed):
        release_request(request.pk, actor=ben)
    release_request(request.pk, actor=ana)
    assert vote(request, ben).is_final


def test_a_supervisor_ends_the_claim_of_another() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    chief = user("chief", rights=["supervise_approvalrequest"])
    request = opened()
    claim_request(request.pk, actor=ana)
    release_request(request.pk, actor=chief)
    assert vote(request, ben).is_final


def test_a_claim_ends_by_itself() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened()
    claim_request(request.pk, actor=ana)
    ApprovalRequest.objects.update(claimed_until=in_hours(-0.1))
    assert vote(request, ben).is_final


def test_a_request_that_takes_two_answers_is_nobody_s_alone() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    with pytest.raises(NotAllowed):
        claim_request(opened(quorum=2).pk, actor=ana)


# Colleagues


def test_a_colleague_answers_on_behalf_of_who_sent_the_request_on() -> None:
    ana, ben = user("ana"), user("ben")
    request = opened(assignees=[User("ana")])
    delegate_request(request.pk, actor=ana, to="ben", comment="you know more")
    decided = vote(request, ben)
    assert (decided.vote.voter_label, decided.vote.on_behalf_of_label) == ("ben", "ana")
    result = json.loads(Event.objects.filter(event_type="CallbackSucceeded").get().payload or "")
    assert result["votes"][0]["on_behalf_of"] == "ana"


def test_together_they_count_once() -> None:
    ana, ben = user("ana"), user("ben")
    user("cem")
    request = opened(assignees=[User("ana"), User("cem")], quorum=2)
    delegate_request(request.pk, actor=ana, to="ben")
    assert not vote(request, ben).is_final
    with pytest.raises(AlreadyVoted, match="ben answered this"):
        vote(request, ana)


def test_what_was_sent_on_is_not_sent_on_further() -> None:
    ana, ben = user("ana"), user("ben")
    user("cem")
    request = opened(assignees=[User("ana")])
    delegate_request(request.pk, actor=ana, to="ben")
    with pytest.raises(NotAllowed):
        delegate_request(request.pk, actor=ben, to="cem")


@pytest.mark.parametrize("to", ["requester", "nobody", "ana", "gone", " "])
def test_a_request_is_not_sent_to_somebody_who_could_not_decide_it(to: str) -> None:
    ana = user("ana")
    user("requester")
    user("gone", is_active=False)
    request = opened(assignees=[User("ana")], requester="requester")
    with pytest.raises(InvalidAnswer) as refused:
        delegate_request(request.pk, actor=ana, to=to)
    assert set(refused.value.errors) == {"to"}


def test_a_delegation_lets_a_colleague_answer_until_it_ends() -> None:
    ana, ben = user("ana", "finance"), user("ben")
    first, second = opened(), opened()
    delegation = start_delegation(actor=ana, to="ben", ends_at=in_hours(5))
    assert vote(first, ben).vote.on_behalf_of_label == "ana"
    end_delegation(delegation.pk, actor=ana)
    with pytest.raises(RequestNotFound):
        vote(second, ben)


def test_a_delegation_can_be_for_some_functions_only() -> None:
    ana, ben = user("ana", "finance"), user("ben")
    start_delegation(actor=ana, to="ben", functions=["payroll"])
    with pytest.raises(RequestNotFound):
        vote(opened(), ben)


def test_a_substitute_answers_while_somebody_is_away() -> None:
    ana, ben = user("ana", "finance"), user("ben")
    first, second = opened(), opened()
    absence = start_absence(actor=ana, starts_at=None, ends_at=in_hours(5), substitute="ben")
    assert vote(first, ben).is_final
    end_absence(absence.pk, actor=ana)
    with pytest.raises(RequestNotFound):
        vote(second, ben)


def test_the_requester_does_not_decide_through_a_colleague_nor_for_one() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    user("cem", "finance")
    start_delegation(actor=ana, to="ben")
    start_delegation(actor=ben, to="ana")
    of_ana = opened(requester="ana")
    with pytest.raises(NotAllowed):
        vote(of_ana, ana)  # for ben
    assert vote(of_ana, ben).vote.on_behalf_of_label == ""  # for himself, never for ana


def test_who_may_answer_for_several_says_for_whom() -> None:
    ana, ben, cem = user("ana", "finance"), user("ben", "finance"), user("cem")
    start_delegation(actor=ana, to="cem")
    start_delegation(actor=ben, to="cem")
    request = opened()
    with pytest.raises(InvalidAnswer, match="ana, ben"):
        vote(request, cem)
    assert vote(request, cem, on_behalf_of=ben.pk).vote.on_behalf_of_label == "ben"


# Words


def test_a_question_stops_the_clocks_until_the_reply() -> None:
    ana, rae = user("ana", "finance"), user("rae")
    request = opened(requester="rae", due=Duration.from_hours(1), expires=Duration.from_hours(2))
    before = times_of(request)
    ask_requester(request.pk, actor=ana, text="Which order?")
    assert set(ApprovalTimer.objects.values_list("is_held", flat=True)) == {True}
    assert Callback.objects.get().deadline is None
    # Three hours pass.
    ApprovalRequest.objects.update(asked_at=in_hours(-3))
    reply_to_question(request.pk, actor=rae, text="Number 7.")
    after = times_of(request)
    assert after[1] - before[1] >= timedelta(hours=3)
    assert after[0] - before[0] == after[1] - before[1]
    assert set(ApprovalTimer.objects.values_list("is_held", flat=True)) == {False}
    deadline = Callback.objects.get().deadline
    assert deadline is not None
    assert deadline > after[1]
    assert vote(request, ana).is_final


def test_a_question_that_is_open_does_not_let_the_request_expire_but_may_be_decided() -> None:
    ana = user("ana", "finance")
    user("rae")
    request = opened(requester="rae", expires=Duration.from_hours(1))
    ask_requester(request.pk, actor=ana, text="Which order?")
    ApprovalRequest.objects.update(expires_at=in_hours(-1))
    assert vote(request, ana).is_final


def test_only_the_requester_replies() -> None:
    ana = user("ana", "finance")
    user("rae")
    request = opened(requester="rae")
    with pytest.raises(NotAllowed):
        reply_to_question(request.pk, actor=ana, text="me")
    ask_requester(request.pk, actor=ana, text="Which order?")
    with pytest.raises(NotAllowed):
        reply_to_question(request.pk, actor=ana, text="me")
    with pytest.raises(NotAllowed):
        ask_requester(request.pk, actor=ana, text="And why?")


def test_comments_are_kept_also_after_the_decision() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")
    request = opened()
    vote(request, ana)
    comment_on_request(request.pk, actor=ben, text="I would have said no.")
    assert last_event(request).data == {"text": "I would have said no."}
    with pytest.raises(RequestNotFound):
        comment_on_request(request.pk, actor=user("eve"), text="hello")
    with pytest.raises(InvalidAnswer):
        comment_on_request(request.pk, actor=ben, text="  ")


# Supervisors


def test_others_are_asked_instead() -> None:
    ana, ben = user("ana", "finance"), user("ben")
    chief = user("chief", rights=["supervise_approvalrequest"])
    request = opened()
    reassign_request(request.pk, actor=chief, to=[User("ben")], reason="ana left")
    with pytest.raises(RequestNotFound):
        vote(request, ana)
    assert vote(request, ben).is_final


def test_others_are_asked_too() -> None:
    ana = user("ana", "finance")
    user("ben")
    chief = user("chief", rights=["supervise_approvalrequest"])
    request = opened()
    for _ in range(2):
        reassign_request(request.pk, actor=chief, to=[User("ben")], reason="help", replace=False)
    assert Candidate.objects.filter(is_open=True).count() == 2
    assert vote(request, ana).is_final


def test_a_request_that_nobody_can_decide_any_longer_says_so() -> None:
    user("ana", "finance")
    rae = user("rae")
    chief = user("chief", rights=["supervise_approvalrequest"])
    request = opened(requester="rae")
    reassign_request(request.pk, actor=chief, to=[User("rae")], reason="mistake")
    assert ApprovalRequest.objects.get().health == "UNSATISFIABLE"
    with pytest.raises(NotAllowed):
        vote(request, rae)
    reassign_request(request.pk, actor=chief, to=[User("ana")], reason="mended")
    assert ApprovalRequest.objects.get().health == "OK"


def test_more_time_moves_the_timers_and_the_engine_s_own_timeout() -> None:
    user("ana", "finance")
    chief = user("chief", rights=["supervise_approvalrequest"])
    request = opened(due=Duration.from_hours(1), expires=Duration.from_hours(2))
    until = in_hours(48)
    extend_request(request.pk, actor=chief, due_at=in_hours(24), expires_at=until, reason="holiday")
    assert ApprovalTimer.objects.get(kind="expire").fire_at == until
    deadline = Callback.objects.get().deadline
    assert deadline is not None
    assert deadline > until
    assert last_event(request).data["reason"] == "holiday"


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ({}, "due_at"),
        ({"due_at": -1}, "due_at"),
        ({"expires_at": 24 * 400}, "expires_at"),
        ({"due_at": 48, "expires_at": 24}, "expires_at"),
    ],
)
def test_times_that_do_not_fit_are_refused(times: dict[str, Any], field: str) -> None:
    user("ana", "finance")
    chief = user("chief", rights=["supervise_approvalrequest"])
    request = opened()
    moments: dict[str, Any] = {name: in_hours(value) for name, value in times.items()}
    with pytest.raises(InvalidAnswer) as refused:
        extend_request(request.pk, actor=chief, reason="x", **moments)
    assert set(refused.value.errors) == {field}


# The end


@pytest.mark.parametrize("who", ["rae", "chief"])
def test_the_requester_and_supervisors_take_a_question_back(who: str) -> None:
    ana = user("ana", "finance")
    people = {"rae": user("rae"), "chief": user("chief", rights=["supervise_approvalrequest"])}
    request = opened(requester="rae")
    withdraw_request(request.pk, actor=people[who], reason="ordered twice")
    event = Event.objects.filter(event_type="CallbackFailed").get()
    assert json.loads(event.error or "") == {"ErrorType": "ApprovalWithdrawn", "ErrorMessage": "ordered twice"}
    with pytest.raises(AlreadyDecided, match="withdrawn"):
        vote(request, ana)


def test_candidates_do_not_withdraw() -> None:
    ana = user("ana", "finance")
    with pytest.raises(NotAllowed):
        withdraw_request(opened().pk, actor=ana, reason="no time")


def test_an_answer_to_an_execution_that_was_stopped_is_not_counted_and_the_person_is_told() -> None:
    ana = user("ana", "finance")
    request = opened()
    stop_execution(request.execution_id, actor=PYTHON_CODE)
    with pytest.raises(Exception, match="no longer waits for this"):
        vote(request, ana)
    assert ApprovalRequest.objects.get().revision == 1


# Opening


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"assignees": [User("nobody")]}, "no user named 'nobody'"),
        ({"assignees": [User("gone")]}, "not active"),
        ({"assignees": [User("ana")], "requester": "ana"}, "0 active people"),
        ({"assignees": [User("ana")], "quorum": 2}, "it takes 2"),
        ({"assignees": [User("ana")], "exclude": ["ana"]}, "0 active people"),
        ({"assignees": [User("ana")], "quorum": {"finance": 1}}, "1 of them of finance"),
    ],
)
def test_a_question_to_nobody_is_not_opened(arguments: dict[str, Any], problem: str) -> None:
    user("ana")
    user("gone", is_active=False)
    with pytest.raises(NobodyCanDecide, match=problem):
        opened(**arguments)
    assert not ApprovalRequest.objects.exists()


def test_the_fallback_is_asked_instead() -> None:
    user("ana")
    ben = user("ben")
    request = opened(assignees=[User("ana")], requester="ana", fallback=[User("ben")])
    assert vote(request, ben).is_final


def test_opening_twice_opens_one_request() -> None:
    user("ana", "finance")
    first = opened()
    again = opened(execution=Execution.objects.get())
    assert again.pk == first.pk
    assert ApprovalEvent.objects.count() == 1
