"""Approvals with the real worker and the real scheduler, which die."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from approvals.clock import database_now
from approvals.models import ApprovalEvent, ApprovalRequest
from approvals.services.absences import end_absence, start_absence, start_delegation
from approvals.services.decisions import decide
from approvals.services.exceptions import AlreadyDecided, RequestNotFound
from durable_engine.models import OutboxMessage, Worker
from tests.approvals.people import at_once
from tests.faults.stack import Run, Stack, until
from tests.integration.delivery.receiver import Receiver, receiver

pytestmark = pytest.mark.process

SECRET = "a-secret-of-32-characters-or-more-x"


@pytest.fixture
def reviewer() -> User:
    group, _ = Group.objects.get_or_create(name="reviewers")
    found, _ = User.objects.get_or_create(username="reviewer", email="reviewer@example.com")
    found.groups.add(group)
    User.objects.get_or_create(username="lead", email="lead@example.com")
    return found


@pytest.fixture
def other_side() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def request_of(run: Run) -> ApprovalRequest:
    return until(ApprovalRequest.objects.filter(execution_id=run.id).first, "the request is opened")


def result_of(run: Run) -> dict[str, object]:
    run.finish()
    found: dict[str, object] = json.loads(run.events()[-1].payload or "")
    return found


def kinds(run: Run) -> list[str]:
    rows = ApprovalEvent.objects.filter(request__execution_id=run.id).order_by("seq")
    return list(rows.values_list("kind", flat=True))


def test_the_scheduler_reminds_escalates_and_ends_what_nobody_decides(
    stack: Stack, run: Callable[..., Run], reviewer: User
) -> None:
    started = run("asks-people")
    assert result_of(started) == {"outcome": "rejected", "by": "", "is_expired": True}
    assert kinds(started) == ["OPENED", "REMINDED", "ESCALATED", "OVERDUE", "EXPIRED"]
    # Of this request: the webhook of another test may have nobody to take it any more.
    waiting = OutboxMessage.objects.filter(status="PENDING", payload__request_id=str(request_of(started).pk))
    until(lambda: not waiting.exists(), "every mail is sent or dropped")
    log = (stack.home / "scheduler.log").read_text()
    assert "Subject: Please decide: Refund 120 EUR" in log
    assert "To: lead@example.com" in log


def test_an_answer_wakes_the_execution(run: Callable[..., Run], reviewer: User) -> None:
    started = run("asks-people", seconds=600)
    request = request_of(started)
    decide(request.pk, actor=reviewer, choice="approve", operation_id=uuid4().hex, digest=request.digest)
    assert result_of(started) == {"outcome": "approved", "by": "reviewer", "is_expired": False}


def test_of_answers_at_once_exactly_one_counts_and_reaches_the_handler_though_workers_are_killed(
    run: Callable[..., Run], reviewer: User
) -> None:
    people = [reviewer]
    for name in ("reviewer-2", "reviewer-3"):
        people.append(User.objects.get_or_create(username=name, email=f"{name}@example.com")[0])
        people[-1].groups.set(reviewer.groups.all())
    deciders = dict(zip(people, ("approve", "reject", "approve"), strict=True))
    runs = [run("asks-people", seconds=600) for _ in range(4)]

    def kill_a_worker() -> None:
        worker = Worker.objects.filter(lost_at=None, queues__contains=["durable"]).first()
        if worker is not None:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)

    def answer(request: ApprovalRequest, person: User) -> Callable[[], object]:
        sent: dict[str, Any] = {"choice": deciders[person], "operation_id": uuid4().hex, "digest": request.digest}
        return lambda: decide(request.pk, actor=person, **sent)

    winners = {}
    for started in runs:
        request = request_of(started)
        *results, killed = at_once(*(answer(request, person) for person in people), kill_a_worker)
        assert killed is None
        (winner,) = (person for person, each in zip(people, results, strict=True) if not isinstance(each, Exception))
        losers = [each for each in results if isinstance(each, Exception)]
        assert all(isinstance(each, AlreadyDecided) and each.decided_by == winner.username for each in losers)
        winners[started] = winner
    for started, winner in winners.items():
        outcome = {"approve": "approved", "reject": "rejected"}[deciders[winner]]
        assert result_of(started) == {"outcome": outcome, "by": winner.username, "is_expired": False}
        assert started.types().count("CallbackSucceeded") == 1
    for person in people[1:]:
        person.groups.clear()


def test_a_substitute_is_told_and_answers_and_a_delegation_ends_by_the_real_clock(
    run: Callable[..., Run], reviewer: User
) -> None:
    for name in ("deputy", "former"):
        User.objects.get_or_create(username=name, email=f"{name}@example.com")
    deputy, former = User.objects.get(username="deputy"), User.objects.get(username="former")
    ends_at = timezone.now() + timedelta(seconds=1)
    start_delegation(actor=reviewer, to="former", ends_at=ends_at)
    until_tomorrow = timezone.now() + timedelta(days=1)
    absence = start_absence(actor=reviewer, starts_at=None, ends_at=until_tomorrow, substitute="deputy")
    request = request_of(started := run("asks-people", seconds=600))
    mails = OutboxMessage.objects.filter(payload__request_id=str(request.pk), payload__kind="requested")
    until(lambda: mails.filter(recipient="deputy@example.com", status="SENT").exists(), "the substitute is told")
    until(lambda: database_now() > ends_at, "the delegation has ended")
    sent: dict[str, Any] = {"choice": "approve", "operation_id": uuid4().hex, "digest": request.digest}
    with pytest.raises(RequestNotFound):
        decide(request.pk, actor=former, **sent)
    assert decide(request.pk, actor=deputy, **sent).vote.on_behalf_of_label == "reviewer"
    assert result_of(started) == {"outcome": "approved", "by": "deputy", "is_expired": False}
    end_absence(absence.pk, actor=reviewer)


def test_a_scheduler_that_dies_while_delivering_delivers_again_under_the_same_id(
    stack: Stack, run: Callable[..., Run], reviewer: User, other_side: Receiver
) -> None:
    os.killpg(stack.scheduler.pid, signal.SIGKILL)
    stack.scheduler.wait()
    started = run("asks-people", seconds=600, notify=["webhook:crm"])
    request = request_of(started)
    variables = {"DURABLE_WEBHOOKS": f"crm={other_side.url}|{SECRET}", "DURABLE_WEBHOOKS_PRIVATE": "1"}
    other_side.hold.set()
    dying = stack.start_scheduler(**variables)
    try:
        until(lambda: other_side.received, "the webhook is on its way")
        os.killpg(dying.pid, signal.SIGKILL)
        dying.wait()
        row = OutboxMessage.objects.get(payload__request_id=str(request.pk), payload__kind="requested")
        assert (row.status, row.attempts) == ("PENDING", 1)
        other_side.hold.clear()
        # The lease of the dead one runs out.
        OutboxMessage.objects.filter(pk=row.pk).update(next_try_at=timezone.now() - timedelta(seconds=1))
    finally:
        stack.scheduler = stack.start_scheduler(**variables)
    until(lambda: OutboxMessage.objects.get(pk=row.pk).status == "SENT", "it is delivered")
    # Reminders about the same request go there too, each under an id of its own.
    ids = [headers["webhook-id"] for headers, _ in other_side.received]
    assert ids.count(str(row.pk)) == 2
