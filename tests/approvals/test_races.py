"""Two people at the same moment, on two connections, in whatever order Postgres lets them in."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from django.core import mail
from django.db import transaction

from approvals import Group
from approvals.models import ApprovalRequest, ApprovalTimer, Candidate, LinkToken, Vote
from approvals.sdk.spec import freeze
from approvals.services.absences import start_delegation
from approvals.services.decisions import break_glass
from approvals.services.exceptions import AlreadyDecided, NotAllowed
from approvals.services.links import make_link, open_link
from approvals.services.opening import open_request
from approvals.services.requests import claim_request, reassign_request, withdraw_request
from approvals.services.withdrawing import withdraw_by_handler
from durable_engine import Duration
from durable_engine.models import Event, Execution, OutboxMessage, callback_uuid
from durable_engine.scheduler.outbox import deliver_due
from tests.approvals.people import at_once, opened, user, vote, waiting_execution
from tests.approvals.races import ROUNDS, check, completions, rounds, winners

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def hints_of_its_own(broker_url: str) -> None:
    """Hints of this test go to keys that are removed."""


def test_approve_against_reject() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")

    def race() -> str:
        request = opened()
        results = at_once(lambda: vote(request, ana, "approve"), lambda: vote(request, ben, "reject"))
        row = check(request, results)
        assert winners(results) == 1
        loser = next(each for each in results if isinstance(each, Exception))
        assert isinstance(loser, AlreadyDecided)
        assert loser.decided_by == row.closed_by_label
        completed = Event.objects.get(execution_id=request.execution_id, event_type="CallbackSucceeded")
        assert json.loads(completed.payload or "")["by"] == row.closed_by_label
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "REJECTED"}


def test_an_answer_against_a_withdrawal() -> None:
    ana, rae = user("ana", "finance"), user("rae")

    def race() -> str:
        request = opened(requester="rae")
        results = at_once(
            lambda: vote(request, ana), lambda: withdraw_request(request.pk, actor=rae, reason="ordered twice")
        )
        row = check(request, results)
        assert winners(results) == 1
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "CANCELLED"}


def test_an_answer_against_the_handler_that_takes_its_question_back() -> None:
    ana = user("ana", "finance")

    def race() -> str:
        request = opened()
        results = at_once(lambda: vote(request, ana), lambda: withdraw_by_handler(request.callback_key, "bought"))
        row = check(request, results)
        # The handler's step is without effect when somebody was first; whoever answers late is told.
        assert results[1] is None
        assert isinstance(results[0], Exception) == (row.state == "CANCELLED")
        assert len(completions(request)) == 1
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "CANCELLED"}


def test_an_answer_against_somebody_who_decides_alone() -> None:
    ana, chief = user("ana", "finance"), user("chief", rights=["break_glass"])

    def alone(request: ApprovalRequest) -> object:
        return break_glass(
            request.pk, actor=chief, choice="reject", reason="fire", operation_id=uuid4().hex, digest=request.digest
        )

    def race() -> str:
        request = opened()
        results = at_once(lambda: vote(request, ana), lambda: alone(request))
        assert winners(results) == 1
        loser = next(each for each in results if isinstance(each, Exception))
        row = ApprovalRequest.objects.get(pk=request.pk)
        assert isinstance(loser, AlreadyDecided)
        assert loser.decided_by == row.closed_by_label
        assert row.is_break_glass == (row.state == "REJECTED")
        assert completions(request) == ["CallbackSucceeded"]
        assert Vote.objects.filter(request=request).count() == 1
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "REJECTED"}


def test_the_answer_that_completes_the_quorum_against_one_more() -> None:
    people = [user(name, "finance") for name in ("ana", "ben", "cem", "dia")]

    def race() -> str:
        request = opened(quorum=2)
        vote(request, people[0])
        results = at_once(*(lambda each=each: vote(request, each) for each in people[1:]))
        assert winners(results) == 1
        row = ApprovalRequest.objects.get(pk=request.pk)
        assert row.result is not None
        assert len(row.result["votes"]) == Vote.objects.filter(request=request).count() == 2
        return row.state

    assert rounds(race) == {"APPROVED": ROUNDS}


def test_everybody_at_once_where_all_have_to_agree() -> None:
    people = [user(name, "finance") for name in ("ana", "ben", "cem", "dia")]

    def race() -> str:
        request = opened(quorum="all")
        results = at_once(*(lambda each=each: vote(request, each) for each in people))
        assert sum(each.is_final for each in results) == 1
        return check(request, results).state

    assert rounds(race) == {"APPROVED": ROUNDS}


def test_the_same_answer_twice() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")

    def race() -> str:
        request, operation_id = opened(quorum=2), uuid4().hex
        results = at_once(*[lambda: vote(request, ana, operation_id=operation_id)] * 3)
        check(request, results)
        assert sorted(each.is_repeat for each in results) == [False, True, True]
        return "once"

    assert rounds(race) == {"once": ROUNDS}


def test_two_answers_of_one_person_from_two_tabs() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")

    def race() -> str:
        request = opened(quorum=2)
        results = at_once(lambda: vote(request, ana, "approve"), lambda: vote(request, ana, "approve"))
        check(request, results)
        assert winners(results) == 1
        return "once"

    assert rounds(race) == {"once": ROUNDS}


def test_somebody_and_the_colleagues_who_may_answer_for_them() -> None:
    ana, ben, cem = user("ana", "finance"), user("ben"), user("cem")
    user("dia", "finance")
    start_delegation(actor=ana, to="ben")
    start_delegation(actor=ana, to="cem")

    def race() -> str:
        request = opened(quorum=2)
        results = at_once(lambda: vote(request, ana), lambda: vote(request, ben), lambda: vote(request, cem))
        row = check(request, results)
        # Whoever was first counts, for the one seat; the request goes on waiting for dia.
        assert winners(results) == 1
        assert Vote.objects.get(request=request).seat_id == ana.pk
        assert row.is_open
        return Vote.objects.get(request=request).voter_label

    assert set(rounds(race)) <= {"ana", "ben", "cem"}


def test_one_link_open_in_two_tabs() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")

    def race() -> str:
        request = opened(quorum=2, link="confirm")
        grant = open_link(make_link(request, ana.pk))
        assert grant is not None
        results = at_once(*[lambda: vote(request, ana, channel="link", link=grant.token)] * 2)
        check(request, results)
        assert winners(results) == 1
        assert LinkToken.objects.get(request=request).used_at is not None
        return "once"

    assert rounds(race) == {"once": ROUNDS}


def test_a_link_against_the_page() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")

    def race() -> str:
        request = opened(quorum=2, link="confirm")
        grant = open_link(make_link(request, ana.pk))
        assert grant is not None
        results = at_once(lambda: vote(request, ana, channel="link", link=grant.token), lambda: vote(request, ana))
        check(request, results)
        assert winners(results) == 1
        # The link is used up by the answer that it gave, and by no other.
        assert (LinkToken.objects.get(request=request).used_at is None) == isinstance(results[0], Exception)
        return Vote.objects.get(request=request).channel

    assert set(rounds(race)) <= {"link", "page"}


def test_one_person_in_two_requests_that_each_need_somebody_else() -> None:
    ana = user("ana", "finance")
    user("ben", "finance")
    user("cem", "finance")

    def race() -> str:
        execution = waiting_execution()
        first = opened(execution=execution, separate=True, quorum=2)
        second = opened(execution=execution, operation_id="2-1", separate=True, quorum=2)
        results = at_once(lambda: vote(first, ana), lambda: vote(second, ana))
        assert winners(results) == 1
        assert isinstance(next(each for each in results if isinstance(each, Exception)), NotAllowed)
        return "once"

    assert rounds(race) == {"once": ROUNDS}


def test_one_person_in_one_request_and_a_colleague_for_them_in_another() -> None:
    ana, ben = user("ana", "finance"), user("ben")
    user("cem", "finance")
    user("dia", "finance")
    start_delegation(actor=ana, to="ben")

    def race() -> str:
        execution = waiting_execution()
        first = opened(execution=execution, separate=True, quorum=2)
        second = opened(execution=execution, operation_id="2-1", separate=True, quorum=2)
        results = at_once(lambda: vote(first, ana), lambda: vote(second, ben))
        assert winners(results) == 1
        assert isinstance(next(each for each in results if isinstance(each, Exception)), NotAllowed)
        return "once"

    assert rounds(race) == {"once": ROUNDS}


def test_a_submitter_that_runs_twice() -> None:
    user("ana", "finance")
    spec = freeze(title="Refund", assignees=[Group("finance")], remind=[], expires=Duration.from_days(1))

    def race() -> str:
        execution = waiting_execution()
        key = callback_uuid(execution.pk, "1-1")
        results = at_once(lambda: open_request(key, "manager", spec), lambda: open_request(key, "manager", spec))
        assert results[0].pk == results[1].pk
        request = ApprovalRequest.objects.get(callback_key=key)
        assert request.revision == 1
        assert ApprovalTimer.objects.filter(request=request).count() == 1
        assert Candidate.objects.filter(request=request).count() == 1
        return "one"

    assert rounds(race) == {"one": ROUNDS}


def test_two_who_claim() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")

    def race() -> str:
        request = opened()
        results = at_once(lambda: claim_request(request.pk, actor=ana), lambda: claim_request(request.pk, actor=ben))
        assert winners(results) == 1
        row = ApprovalRequest.objects.get(pk=request.pk)
        holder = ana if isinstance(results[1], Exception) else ben
        assert row.claimed_by_id == holder.pk
        return "one"

    assert rounds(race) == {"one": ROUNDS}


def test_a_claim_against_the_answer_of_a_colleague() -> None:
    ana, ben = user("ana", "finance"), user("ben", "finance")

    def race() -> str:
        request = opened()
        results = at_once(lambda: claim_request(request.pk, actor=ana), lambda: vote(request, ben))
        # Whoever claims is not overtaken; whoever comes too late is told who has it, or who decided.
        assert winners(results) == 1
        row = ApprovalRequest.objects.get(pk=request.pk)
        assert row.is_open == isinstance(results[1], Exception)
        assert (row.claimed_by_id == ana.pk) == row.is_open
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "PENDING"}


def test_an_answer_against_a_reassignment_to_others() -> None:
    ana = user("ana", "finance")
    user("ben", "others")
    chief = user("chief", rights=["supervise_approvalrequest"])

    def race() -> str:
        request = opened()
        results = at_once(
            lambda: vote(request, ana),
            lambda: reassign_request(request.pk, actor=chief, to=[Group("others")], reason="left"),
        )
        row = ApprovalRequest.objects.get(pk=request.pk)
        # One of them was told no: by the decision, or as somebody who is no longer asked.
        assert winners(results) == 1
        assert row.is_open == isinstance(results[0], Exception)
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "PENDING"}


def test_a_crash_before_the_commit_leaves_nothing_and_the_answer_can_be_sent_again() -> None:
    ana = user("ana", "finance")
    request, operation_id = opened(), uuid4().hex

    with transaction.atomic():
        vote(request, ana, operation_id=operation_id)
        # The process dies: Postgres rolls back whatever it had written.
        transaction.set_rollback(True)
    assert completions(request) == []
    assert ApprovalRequest.objects.get().is_open
    assert vote(request, ana, operation_id=operation_id).is_final
    assert completions(request) == ["CallbackSucceeded"]


class _Died(Exception):
    """The process was killed."""


def test_a_crash_between_the_commit_and_what_follows_it_loses_nothing() -> None:
    ana = user("ana", "finance")
    user("rae")
    request, operation_id = opened(requester="rae"), uuid4().hex

    def die() -> None:
        raise _Died

    def answer() -> None:
        with transaction.atomic():
            # The first thing after the commit: neither the hint to the workers nor a mail has gone out.
            transaction.on_commit(die)
            vote(request, ana, operation_id=operation_id)

    with pytest.raises(_Died):
        answer()
    assert completions(request) == ["CallbackSucceeded"]
    # Whoever looks for work finds the execution, and whoever delivers finds the mail.
    assert Execution.objects.get(pk=request.execution_id).status == "PENDING"
    assert OutboxMessage.objects.filter(payload__kind="closed", status="PENDING").count() == 1
    # The page is sent again: the same answer, and nothing is done twice.
    assert vote(request, ana, operation_id=operation_id).is_repeat
    for _ in range(2):
        while deliver_due():
            pass
    assert [each.subject for each in mail.outbox] == ["Approved: Refund 120 EUR"]
    assert completions(request) == ["CallbackSucceeded"]
