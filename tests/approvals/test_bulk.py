"""Several requests answered on one page, each for itself."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals import Choice
from approvals import User as Person
from approvals.models import ApprovalRequest, Vote
from approvals.services.requests import reassign_request
from tests.approvals.people import client_of, opened, page_of, user, vote
from tests.dashboard.corpus import HOSTILE, living_elements
from tests.html import elements, words

pytestmark = pytest.mark.django_db
BULK = "/approvals/bulk/"


@pytest.fixture
def ana() -> User:
    """Somebody of finance."""
    return user("ana", "finance")


def sent(*requests: ApprovalRequest, outcome: str = "approve", comment: str = "") -> dict[str, Any]:
    data: dict[str, Any] = {"id": [str(each.pk) for each in requests], "outcome": outcome, "comment": comment}
    for each in requests:
        data |= {f"operation_id-{each.pk}": uuid4().hex, f"digest-{each.pk}": each.digest}
    return data


def state(request: ApprovalRequest) -> str:
    return ApprovalRequest.objects.get(pk=request.pk).state


def test_the_inbox_offers_to_choose_only_what_its_author_allowed(ana: User) -> None:
    many, single = opened(title="many", bulk=True), opened(title="single")

    html = page_of(ana, reverse("approvals:inbox-box", args=["groups"]))
    assert [each["value"] for each in elements(html, name="id")] == [str(many.pk)]
    html = words(page_of(ana, BULK, id=str(many.pk)))
    assert "Approve the ticked ones" in html
    html = words(page_of(ana, BULK, id=str(single.pk)))
    assert "This one has to be decided on its own page." in html


def test_the_ticked_ones_are_answered_alike(ana: User) -> None:
    first, second, other = (opened(bulk=True) for _ in range(3))

    response = client_of(ana).post(BULK, sent(first, second, comment="as agreed"))
    assert response.status_code == 200
    assert "2 answers count." in words(response.content.decode())
    assert [state(each) for each in (first, second, other)] == ["APPROVED", "APPROVED", "PENDING"]
    assert set(Vote.objects.values_list("channel", "comment")) == {("bulk", "as agreed")}


def test_one_that_was_given_to_others_meanwhile_is_told(ana: User) -> None:
    chief = user("chief", rights=["supervise_approvalrequest"])
    user("ben")
    first, second = opened(bulk=True, title="first"), opened(bulk=True, title="second")
    reassign_request(first.pk, actor=chief, to=[Person("ben")], reason="holiday")

    response = client_of(ana).post(BULK, sent(first, second))
    assert response.status_code == 409
    html = words(response.content.decode())
    assert "1 answer counts." in html
    assert "1 of those you ticked is no longer for you to decide." in html
    assert "first" not in html
    assert [state(each) for each in (first, second)] == ["PENDING", "APPROVED"]


def test_one_that_was_decided_meanwhile_says_so_and_stops_no_other(ana: User) -> None:
    first, second = opened(bulk=True, title="first"), opened(bulk=True, title="second")
    vote(first, user("ben", "finance"), "reject")

    response = client_of(ana).post(BULK, sent(first, second))
    html = words(response.content.decode())
    assert response.status_code == 409
    assert "1 answer counts." in html
    assert "ben rejected this just now." in html
    assert [state(each) for each in (first, second)] == ["REJECTED", "APPROVED"]


def test_a_missing_comment_leaves_the_requests_ticked(ana: User) -> None:
    strict = opened(bulk=True, choices=[Choice.approve(), Choice.reject(comment="required")])

    response = client_of(ana).post(BULK, sent(strict, outcome="reject"))
    html = words(response.content.decode())
    assert response.status_code == 409
    assert "Say why." in html
    assert [each["value"] for each in elements(html, name="id", type="checkbox")] == [str(strict.pk)]
    assert state(strict) == "PENDING"


def test_a_reload_of_the_answer_counts_nothing_twice(ana: User) -> None:
    request, data = opened(bulk=True, quorum=1), None
    data = sent(request)
    client = client_of(ana)
    client.post(BULK, data)
    assert "1 answer counts." in words(client.post(BULK, data).content.decode())
    assert Vote.objects.count() == 1


def test_what_is_not_theirs_or_not_there_is_left_out(ana: User) -> None:
    hidden = opened(bulk=True)
    stranger = client_of(user("stranger"))

    data = {**sent(hidden), "id": [str(hidden.pk), str(uuid4()), "nonsense"]}
    html = words(stranger.post(BULK, data).content.decode())
    assert "Refund" not in html
    assert "Nothing was chosen" in html
    assert state(hidden) == "PENDING"


def test_reading_the_page_decides_nothing(ana: User) -> None:
    request = opened(bulk=True)
    client_of(ana).get(BULK, sent(request))
    assert state(request) == "PENDING"


def test_at_most_fifty_at_once(ana: User) -> None:
    html = words(page_of(ana, BULK, id=[str(uuid4()) for _ in range(60)]))  # type: ignore[arg-type]
    assert "At most 50 can be reviewed together" in html


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(ana: User, hostile: str) -> None:
    request = opened(bulk=True, title=hostile, description=hostile, details={hostile: hostile})
    client = client_of(ana)
    data = {**sent(request, comment=hostile), f"digest-{request.pk}": hostile}
    for response in (client.get(BULK, {"id": str(request.pk)}), client.post(BULK, data)):
        assert living_elements(response.content.decode()) == []
