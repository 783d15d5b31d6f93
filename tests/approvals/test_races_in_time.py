"""Two at the same moment where one of them is a clock, a sweep or the engine: each timer once, and no answer lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals import After, Group, User
from approvals.models import ApprovalEvent, ApprovalRequest, ApprovalTimer
from approvals.services.exceptions import AlreadyDecided, NotAllowed, RequestNotFound
from approvals.services.requests import ask_requester, extend_request, reply_to_question
from approvals.sweeps.reconcile import ask_again, reconcile
from approvals.sweeps.timers import tick
from durable_engine import Duration
from durable_engine.models import Callback, Execution, OutboxMessage
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.callbacks import time_out_callback
from durable_engine.services.copies import redrive_execution
from durable_engine.services.executions import stop_execution, time_out_execution
from tests.approvals.people import at_once, opened, user, vote
from tests.approvals.races import ROUNDS, check, completions, rounds, winners
from tests.factories import make_function

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def hints_of_its_own(broker_url: str) -> None:
    """Hints of this test go to keys that are removed."""


def kinds(request: ApprovalRequest) -> list[str]:
    return list(ApprovalEvent.objects.filter(request=request).order_by("seq").values_list("kind", flat=True))


def make_due(request: ApprovalRequest) -> None:
    """Let every timer of a request fall due now."""
    ApprovalTimer.objects.filter(request=request).update(fire_at=timezone.now())


def test_an_answer_against_the_end_of_its_time() -> None:
    ana = user("ana", "finance")

    def race() -> str:
        request = opened(expires=Duration.from_days(1))
        # It ends now: whether the answer or the sweep comes first is open.
        soon = timezone.now() + timedelta(milliseconds=3)
        ApprovalRequest.objects.filter(pk=request.pk).update(expires_at=soon)
        ApprovalTimer.objects.filter(request=request).update(fire_at=soon)

        def sweep() -> None:
            while ApprovalRequest.objects.get(pk=request.pk).is_open:
                tick()

        results = at_once(lambda: vote(request, ana), sweep)
        row = check(request, results)
        assert isinstance(results[0], Exception) == (row.state == "EXPIRED")
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "EXPIRED"}


def test_an_answer_against_a_stop_of_the_execution() -> None:
    ana = user("ana", "finance")

    def race() -> str:
        request = opened()
        results = at_once(
            lambda: vote(request, ana), lambda: stop_execution(request.execution_id, actor=PYTHON_CODE, reason="x")
        )
        reconcile()
        row = check(request, results)
        assert (row.state == "APPROVED") == (completions(request) == ["CallbackSucceeded"])
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "CANCELLED"}


def test_an_answer_against_the_engine_s_own_timeout() -> None:
    ana = user("ana", "finance")

    def race() -> str:
        request = opened(expires=Duration.from_days(1))
        soon = timezone.now() + timedelta(milliseconds=3)
        Callback.objects.filter(pk=request.callback_key).update(deadline=soon, timeout_seconds=1)

        def sweep() -> None:
            while Callback.objects.get(pk=request.callback_key).status == "STARTED":
                time_out_callback(request.callback_key)

        results = at_once(lambda: vote(request, ana), sweep)
        reconcile()
        row = check(request, results)
        assert (row.state == "APPROVED") == (completions(request) == ["CallbackSucceeded"])
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "EXPIRED"}


def test_an_answer_against_the_timeout_of_the_execution() -> None:
    ana = user("ana", "finance")

    def race() -> str:
        request = opened()
        Execution.objects.filter(pk=request.execution_id).update(expires_at=timezone.now())
        results = at_once(lambda: vote(request, ana), lambda: time_out_execution(request.execution_id))
        reconcile()
        row = check(request, results)
        assert (row.state == "APPROVED") == (completions(request) == ["CallbackSucceeded"])
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "CANCELLED"}


def test_an_answer_against_an_escalation_that_asks_others_instead() -> None:
    ana, cfo = user("ana", "finance"), user("cfo")

    def race() -> str:
        request = opened(escalate=[After(days=2).replace(User("cfo"))])
        make_due(request)
        results = at_once(lambda: vote(request, ana), tick)
        row = check(request, results)
        if isinstance(results[0], Exception):
            # She is no longer asked: told so, and nothing of hers is counted.
            assert isinstance(results[0], NotAllowed | RequestNotFound)
            assert vote(request, cfo).is_final
        # The sweep steps over a request that somebody holds; the answer has ended its timers.
        return row.state

    assert set(rounds(race)) <= {"APPROVED", "PENDING"}


def test_schedulers_that_find_the_same_timers() -> None:
    user("ana", "finance")
    user("ben")

    def race() -> str:
        request = opened(
            remind=[After(hours=1)], escalate=[After(hours=2).add(User("ben"))], due=Duration.from_hours(3)
        )
        make_due(request)

        def sweep() -> None:
            while ApprovalTimer.objects.filter(request=request).exists():
                tick()

        results = at_once(sweep, sweep, sweep)
        check(request, results)
        assert sorted(kinds(request)) == ["ESCALATED", "OPENED", "OVERDUE", "REMINDED"]
        # Those added by the escalation are reminded too when it came first: all fell due at the same moment.
        mails = OutboxMessage.objects.filter(payload__request_id=str(request.pk))
        told = list(mails.values_list("payload__kind", "recipient"))
        assert len(told) == len(set(told))
        assert {kind for kind, _ in told} == {"escalated", "overdue", "reminder", "requested"}
        return "once"

    assert rounds(race) == {"once": ROUNDS}


def test_a_question_against_the_end_of_its_time() -> None:
    ana = user("ana", "finance")
    user("rae")

    def race() -> str:
        request = opened(requester="rae", expires=Duration.from_days(1))
        ApprovalTimer.objects.filter(request=request).update(fire_at=timezone.now())
        results = at_once(lambda: ask_requester(request.pk, actor=ana, text="Which order?"), tick)
        row = check(request, results)
        # Either the clock stands still from then on, or it was over and she is told.
        assert row.is_open == (not isinstance(results[0], Exception))
        assert (row.asked_at is not None) == row.is_open
        assert Callback.objects.filter(pk=row.callback_key, status="STARTED").exists() == row.is_open
        return row.state

    assert set(rounds(race)) <= {"PENDING", "EXPIRED"}


def test_a_reply_against_an_answer() -> None:
    ana, rae = user("ana", "finance"), user("rae")

    def race() -> str:
        request = opened(requester="rae", expires=Duration.from_days(1))
        ask_requester(request.pk, actor=ana, text="Which order?")
        results = at_once(
            lambda: reply_to_question(request.pk, actor=rae, text="Number 7."), lambda: vote(request, ana)
        )
        row = check(request, results)
        assert row.state == "APPROVED"
        # The reply is in the history, or its writer was told that it came too late.
        assert ("REPLIED" in kinds(request)) == (not isinstance(results[0], AlreadyDecided))
        return row.state

    assert rounds(race) == {"APPROVED": ROUNDS}


def test_more_time_against_the_end_of_it() -> None:
    user("ana", "finance")
    chief = user("chief", rights=["supervise_approvalrequest"])

    def race() -> str:
        request = opened(expires=Duration.from_days(1))
        make_due(request)
        later = timezone.now() + timedelta(days=3)
        results = at_once(lambda: extend_request(request.pk, actor=chief, expires_at=later, reason="holiday"), tick)
        row = check(request, results)
        assert row.is_open == (not isinstance(results[0], Exception))
        timers = ApprovalTimer.objects.filter(request=request).values_list("fire_at", flat=True)
        assert list(timers) == ([later] if row.is_open else [])
        return row.state

    assert set(rounds(race)) <= {"PENDING", "EXPIRED"}


def test_schedulers_that_find_the_same_ended_execution() -> None:
    user("ana", "finance")

    def race() -> str:
        request = opened()
        stop_execution(request.execution_id, actor=PYTHON_CODE)

        def sweep() -> None:
            while ApprovalRequest.objects.get(pk=request.pk).is_open:
                reconcile()

        row = check(request, at_once(sweep, sweep))
        assert kinds(request) == ["OPENED", "CANCELLED"]
        return row.state

    assert rounds(race) == {"CANCELLED": ROUNDS}


def test_schedulers_that_find_the_same_execution_to_ask_again_for() -> None:
    user("ana", "finance")
    make_function("orders")

    def race() -> str:
        request = opened(assignees=[Group("finance")])
        stop_execution(request.execution_id, actor=PYTHON_CODE)
        redriven = redrive_execution(request.execution_id, actor=PYTHON_CODE)
        results = at_once(ask_again, ask_again)
        assert not [each for each in results if isinstance(each, Exception)]
        again = ApprovalRequest.objects.get(execution_id=redriven.id)
        assert kinds(again) == ["OPENED"]
        assert winners(results) == 2
        return "one"

    assert rounds(race) == {"one": ROUNDS}
