"""Links in mails: they lead to one request for one person, and no reader, scanner or preview decides by them."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from approvals import User as Person
from approvals.models import ApprovalEvent, ApprovalRequest, LinkToken, Vote
from approvals.services.links import make_link
from tests.approvals.people import client_of, opened, user, vote
from tests.dashboard.corpus import HOSTILE, living_elements
from tests.html import element, words

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    """The person the link is sent to."""
    return user("ana", "finance")


@pytest.fixture
def request_(ana: User) -> ApprovalRequest:
    """A request whose mails have links without a login."""
    return opened(link="confirm", title="Refund 120 EUR", quorum=1)


def link_for(request: ApprovalRequest, person: User) -> str:
    return reverse("approvals:link", args=[make_link(request, person.pk)])


def confirm(request: ApprovalRequest) -> str:
    return reverse("approvals:link-confirm", args=[request.pk])


def sent(client: Client, request: ApprovalRequest, choice: str = "approve", **data: Any) -> Any:
    given = {"operation_id": uuid4().hex, "digest": request.digest, "choice": choice, **data}
    return client.post(confirm(request), given)


def test_a_link_leads_to_an_address_without_the_token_and_to_the_answer(
    client: Client, ana: User, request_: ApprovalRequest
) -> None:
    opening = client.get(link_for(request_, ana))
    assert opening["Location"] == confirm(request_)
    assert opening["Referrer-Policy"] == "no-referrer"
    html = words(client.get(confirm(request_)).content.decode())
    assert "You act as <strong>ana</strong>" in html
    assert "Discussion" not in html
    response = sent(client, request_, comment="from my phone")
    assert "You approved “Refund 120 EUR”." in response.content.decode()
    cast = Vote.objects.get()
    assert (cast.voter, cast.channel, cast.comment) == (ana, "link", "from my phone")
    assert LinkToken.objects.get().used_at is not None


def test_it_is_no_login(client: Client, ana: User, request_: ApprovalRequest) -> None:
    client.get(link_for(request_, ana))
    assert client.get("/approvals/").status_code == 302
    assert client.get(reverse("approvals:request-detail", args=[request_.pk])).status_code == 302
    other = opened(link="confirm")
    assert client.get(confirm(other)).status_code == 410
    assert sent(client, other).status_code == 410
    assert not Vote.objects.exists()


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_scanners_change_nothing_in_any_order_before_and_after_the_decision(
    ana: User, request_: ApprovalRequest, method: str
) -> None:
    url = link_for(request_, ana)
    for _ in range(3):
        scanner = Client()
        getattr(scanner, method)(url, {"choice": "approve"})
        getattr(scanner, method)(confirm(request_), {"choice": "approve", "digest": request_.digest})
    assert list(ApprovalEvent.objects.values_list("kind", flat=True)) == ["OPENED"]
    person = Client()
    person.get(url)
    assert sent(person, request_).status_code == 200
    before = ApprovalEvent.objects.count()
    getattr(Client(), method)(url)
    assert ApprovalEvent.objects.count() == before


def test_a_used_a_revoked_and_a_made_up_link_lead_to_the_same_page(
    client: Client, ana: User, request_: ApprovalRequest
) -> None:
    # A later mail's link takes the place of an earlier one's.
    revoked = link_for(request_, ana)
    used = link_for(request_, ana)
    person = Client()
    person.get(used)
    sent(person, request_)
    made_up = reverse("approvals:link", args=["x" * 43])
    pages = {client.get(each).content.partition(b"<main")[2] for each in (revoked, used, made_up)}
    assert len(pages) == 1
    assert {client.get(each).status_code for each in (revoked, used, made_up)} == {410}


def test_a_link_that_was_open_when_somebody_else_decided_says_so(
    client: Client, ana: User, request_: ApprovalRequest
) -> None:
    client.get(link_for(request_, ana))
    vote(request_, user("ben", "finance"))

    response = sent(client, request_, comment="typed with care")
    assert response.status_code == 410
    for text in ("Your answer was not counted.", "typed with care"):
        assert text in response.content.decode()
    assert Vote.objects.count() == 1


def test_a_wrong_answer_is_told_and_uses_nothing_up(client: Client, ana: User, request_: ApprovalRequest) -> None:
    client.get(link_for(request_, ana))

    response = sent(client, request_, "nonsense", comment="typed with care")
    assert response.status_code == 422
    assert "typed with care" in response.content.decode()
    assert sent(client, request_).status_code == 200


def test_who_is_logged_in_as_that_person_goes_to_the_full_page(ana: User, request_: ApprovalRequest) -> None:
    opening = client_of(ana).get(link_for(request_, ana))
    assert opening["Location"] == reverse("approvals:request-detail", args=[request_.pk])


def test_a_link_of_somebody_who_left_leads_nowhere(client: Client, ana: User, request_: ApprovalRequest) -> None:
    url = link_for(request_, ana)
    client.get(url)
    User.objects.filter(pk=ana.pk).update(is_active=False)
    assert client.get(url).status_code == 410
    assert sent(client, request_).status_code == 410


def test_the_answer_needs_the_token_of_its_form(ana: User, request_: ApprovalRequest) -> None:
    client = Client(enforce_csrf_checks=True)
    client.get(link_for(request_, ana))
    assert sent(client, request_).status_code == 403
    html = client.get(confirm(request_)).content.decode()
    assert element(html, tag="form", **{"data-decision": ""})["method"] == "post"
    assert not Vote.objects.exists()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(client: Client, ana: User, hostile: str) -> None:
    request = opened(link="confirm", title=hostile, description=hostile, assignees=[Person("ana")])
    client.get(link_for(request, ana))
    pages = [client.get(confirm(request)), sent(client, request, hostile, comment=hostile), sent(client, request)]
    for page in pages:
        assert living_elements(page.content.decode()) == []
