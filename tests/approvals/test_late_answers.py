"""Answers that come when they no longer count: whoever sent one is told why, and gets back what they typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals import User as Person
from approvals.models import ApprovalRequest, Vote
from approvals.services.absences import end_delegation, start_delegation
from approvals.services.requests import delegate_request, reassign_request, withdraw_request
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.executions import stop_execution
from tests.approvals.people import client_of, opened, user, vote
from tests.html import words

pytestmark = pytest.mark.django_db

TYPED = "typed with care"


@pytest.fixture
def ana() -> User:
    """Somebody of finance."""
    return user("ana", "finance")


@pytest.fixture
def ben() -> User:
    """Somebody who is in no group."""
    return user("ben")


def sent_late(
    person: User,
    request: ApprovalRequest,
    happens: Callable[[], object],
    language: str = "en",
    form: dict[str, str] | None = None,
) -> Any:
    """Open the page, let something happen, and send the answer; return what the page then says."""
    client = client_of(person)
    url = reverse("approvals:request-detail", args=[request.pk])
    assert "Your decision" in client.get(url).content.decode()
    happens()
    sent = {"operation_id": uuid4().hex, "digest": request.digest, "choice": "approve", "comment": TYPED}
    return client.post(url, sent | (form or {}), headers={"accept-language": language})


def test_a_delegate_is_told_that_the_colleague_was_first(ana: User, ben: User) -> None:
    start_delegation(actor=ana, to="ben")
    request = opened()
    response = sent_late(ben, request, lambda: vote(request, ana))
    assert response.status_code == 409
    html = words(response.content.decode())
    assert "ana approved this" in html
    assert TYPED in html
    assert Vote.objects.count() == 1


def test_a_delegate_is_told_that_the_colleague_has_answered_and_others_are_awaited(ana: User, ben: User) -> None:
    user("cem", "finance")
    start_delegation(actor=ana, to="ben")
    request = opened(quorum=2)
    response = sent_late(ben, request, lambda: vote(request, ana))
    assert response.status_code == 409
    html = words(response.content.decode())
    assert "ana answered this" in html
    assert "Your answer was not counted." in html
    assert TYPED in html
    assert "There is nothing left to answer in your colleague&#x27;s place." in words(
        client_of(ben).get(reverse("approvals:request-detail", args=[request.pk])).content.decode()
    )


def test_somebody_it_was_sent_on_to_can_look_how_it_ended(ana: User, ben: User) -> None:
    request = opened()
    delegate_request(request.pk, actor=ana, to="ben")
    response = sent_late(ben, request, lambda: vote(request, ana))
    assert response.status_code == 409
    assert "ana approved this" in words(response.content.decode())
    page = client_of(ben).get(reverse("approvals:request-detail", args=[request.pk]))
    assert "How it ended" in page.content.decode()


def reassigned(request: ApprovalRequest, ana: User) -> None:
    chief = user("chief", rights=["supervise_approvalrequest"])
    reassign_request(request.pk, actor=chief, to=[Person("ben")], reason="holiday")


def taken_out_of_the_group(request: ApprovalRequest, ana: User) -> None:
    ana.groups.clear()


@pytest.mark.parametrize("happens", [reassigned, taken_out_of_the_group])
def test_who_is_not_asked_any_more_gets_back_what_they_typed(
    ana: User, ben: User, happens: Callable[[ApprovalRequest, User], None]
) -> None:
    request = opened(title="Secret from now on")
    response = sent_late(ana, request, lambda: happens(request, ana), form={"data-why": "a long reason"})
    assert response.status_code == 404
    html = words(response.content.decode())
    for text in ("You are not asked this any more", "Your answer was not counted.", TYPED, "a long reason"):
        assert text in html
    assert "Secret from now on" not in html
    assert not Vote.objects.exists()


def test_that_page_does_not_tell_whether_there_is_such_a_request(ana: User) -> None:
    hidden = opened(assignees=[Person("ana")])
    eve, missing = client_of(user("eve")), uuid4()
    sent = {"comment": TYPED, "choice": "approve"}
    pages = [eve.post(reverse("approvals:request-detail", args=[each]), sent) for each in (hidden.pk, missing)]
    assert {page.status_code for page in pages} == {404}
    assert len({page.content.partition(b"<main")[2] for page in pages}) == 1


def test_a_delegation_that_ended_meanwhile(ana: User, ben: User) -> None:
    delegation = start_delegation(actor=ana, to="ben")
    request = opened()
    response = sent_late(ben, request, lambda: end_delegation(delegation.pk, actor=ana))
    assert response.status_code == 404
    assert TYPED in response.content.decode()


def stopped(request: ApprovalRequest) -> None:
    stop_execution(request.execution_id, actor=PYTHON_CODE)


def decided(request: ApprovalRequest) -> None:
    vote(request, User.objects.get(username="cem"))


def withdrawn(request: ApprovalRequest) -> None:
    withdraw_request(request.pk, actor=User.objects.get(username="rae"), reason="ordered twice")


@pytest.mark.parametrize(
    ("happens", "said"),
    [(stopped, "Niemand wartet noch auf diese Antwort."), (decided, "cem hat dies"), (withdrawn, "rae hat dies")],
)
def test_why_is_said_in_the_reader_s_language(
    ana: User, happens: Callable[[ApprovalRequest], object], said: str
) -> None:
    user("cem", "finance")
    user("rae")
    request = opened(requester="rae")
    response = sent_late(ana, request, lambda: happens(request), language="de")
    html = words(response.content.decode())
    assert said in html
    assert "Ihre Antwort wurde nicht gezählt." in html
    assert TYPED in html
