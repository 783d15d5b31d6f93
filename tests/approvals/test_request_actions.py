"""What people do with a request on its page besides deciding it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from approvals.models import ApprovalRequest, Vote
from approvals.services.requests import claim_request
from durable_engine import Duration
from tests.approvals.people import client_of, opened, page_of, user, vote
from tests.dashboard.corpus import HOSTILE, living_elements
from tests.html import element, elements, words

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    """Somebody of finance."""
    return user("ana", "finance")


@pytest.fixture
def ben() -> User:
    """Somebody else of finance."""
    return user("ben", "finance")


@pytest.fixture
def boss() -> User:
    """Somebody who supervises."""
    return user("boss", rights=["supervise_approvalrequest"])


def url(request: ApprovalRequest, name: str) -> str:
    return reverse(f"approvals:request-{name}", args=[request.pk])


def post(person: User, request: ApprovalRequest, name: str, **data: Any) -> Any:
    return client_of(person).post(url(request, name), data, follow=True)


def again(request: ApprovalRequest) -> ApprovalRequest:
    return ApprovalRequest.objects.get(pk=request.pk)


def test_to_work_on_it_and_to_give_it_back(ana: User) -> None:
    request = opened()

    html = words(post(ana, request, "claim").content.decode())
    assert "You work on this; nobody else decides it meanwhile." in html
    assert again(request).claimed_by == ana
    post(ana, request, "release")
    assert again(request).claimed_by is None


def test_who_comes_second_is_told_who_works_on_it(ana: User, ben: User) -> None:
    request = opened()
    claim_request(request.pk, actor=ben)

    response = post(ana, request, "claim")
    assert response.status_code == 409
    assert "ben is working on this." in response.content.decode()


def test_to_send_it_on_to_a_colleague(ana: User) -> None:
    carl = user("carl")
    request = opened()

    html = words(post(ana, request, "delegate", to="carl", comment="I am in a meeting").content.decode())
    assert "Your colleague was told." in html
    assert "carl <span" in html
    assert "in place of a colleague" in html
    assert "Refund 120 EUR" in page_of(carl, reverse("approvals:inbox-box", args=["delegated"]))
    post(carl, request, "detail", choice="approve", operation_id=uuid4().hex, digest=request.digest)
    assert Vote.objects.get().on_behalf_of == ana


@pytest.mark.parametrize(
    ("to", "problem"),
    [("", "This field is required"), ("nobody", "There is no active user named"), ("ana", "That is you.")],
)
def test_to_send_it_to_nobody_is_told_at_the_field(ana: User, to: str, problem: str) -> None:
    request = opened()

    response = post(ana, request, "delegate", to=to, comment="typed with care")
    html = response.content.decode()
    assert response.status_code == 422
    assert problem in html
    assert "typed with care" in html
    assert element(html, id="id_to")["aria-invalid"] == "true"


def test_colleagues_of_the_same_groups_are_offered_by_name(ana: User, ben: User) -> None:
    user("stranger", "sales")
    html = page_of(ana, url(opened(), "delegate"))
    assert [each["value"] for each in elements(html, tag="option")] == ["ben"]


def test_a_question_stops_the_clock_until_the_requester_replies(ana: User) -> None:
    sam = user("sam")
    request = opened(requester="sam", due=Duration.from_hours(2))

    html = words(post(ana, request, "comment", kind="ask", text="Which mug?").content.decode())
    assert "The clock stands still until it is answered." in html
    assert "Question open" in html
    assert "Send reply" in page_of(sam, url(request, "detail"))
    html = words(post(sam, request, "comment", kind="reply", text="The blue one.").content.decode())
    assert "The clock goes on." in html
    assert "The blue one." in page_of(ana, url(request, "detail"))
    assert again(request).asked_at is None


def test_an_empty_comment_is_told_and_a_long_one_is_kept(ana: User) -> None:
    request = opened()

    empty = post(ana, request, "comment", kind="comment", text=" ")
    assert empty.status_code == 422
    assert "Write something" in empty.content.decode()
    long = post(ana, request, "comment", kind="comment", text="x" * 2_001)
    assert long.status_code == 422
    assert "x" * 2_001 in long.content.decode()


def test_a_second_question_is_refused_and_its_text_kept(ana: User, ben: User) -> None:
    user("sam")
    request = opened(requester="sam")
    post(ana, request, "comment", kind="ask", text="Which mug?")

    response = post(ben, request, "comment", kind="ask", text="typed with care")
    assert response.status_code == 403
    assert "typed with care" in response.content.decode()


def test_a_supervisor_gives_it_to_others(boss: User, ana: User) -> None:
    carl = user("carl", "directors")
    request = opened()

    html = words(page_of(boss, url(request, "reassign")))
    assert "directors" in html
    data = {"users": "", "groups": ["directors"], "replace": "on", "reason": "ana is on leave"}
    assert "The people were told." in post(boss, request, "reassign", **data).content.decode()
    assert "Refund 120 EUR" in page_of(carl, reverse("approvals:inbox-box", args=["groups"]))
    assert client_of(ana).get(url(request, "detail")).status_code == 404


def test_reassigning_to_nobody_or_for_no_reason_is_told(boss: User, ana: User) -> None:
    request = opened()

    html = words(post(boss, request, "reassign", users="nobody", reason="why not").content.decode())
    assert "There is no user named" in html
    assert 'value="nobody"' in html
    response = post(boss, request, "reassign", users="ana", reason="")
    assert (response.status_code, "This field is required" in response.content.decode()) == (422, True)


def test_a_supervisor_gives_more_time(boss: User, ana: User) -> None:
    request = opened(due=Duration.from_hours(1), expires=Duration.from_hours(9))
    later = (timezone.now() + timedelta(hours=5)).replace(second=0, microsecond=0)

    shown = element(page_of(boss, url(request, "extend")), id="id_expires_at")["value"]
    data = {"due_at": f"{later:%Y-%m-%dT%H:%M}", "expires_at": shown, "reason": "budget meeting"}
    post(boss, request, "extend", **data)
    assert again(request).due_at == later
    assert again(request).expires_at == request.expires_at, "what was left as shown is not moved"
    past = post(boss, request, "extend", due_at="2020-01-01T10:00", reason="x")
    assert (past.status_code, "This lies in the past." in past.content.decode()) == (422, True)


def test_the_requester_withdraws_it(ana: User) -> None:
    sam = user("sam")
    request = opened(requester="sam")

    html = words(post(sam, request, "withdraw", reason="ordered twice").content.decode())
    assert "The request was withdrawn." in html
    assert "ordered twice" in html
    assert again(request).state == "CANCELLED"


def test_an_action_on_a_closed_request_says_who_was_first(ana: User) -> None:
    sam = user("sam")
    request = opened(requester="sam")
    vote(request, ana)

    response = post(sam, request, "withdraw", reason="typed with care")
    html = words(response.content.decode())
    assert response.status_code == 409
    assert "ana approved this just now." in html
    assert "typed with care" in html


def test_deciding_alone_takes_a_right_and_a_reason_and_stays_marked(ana: User) -> None:
    chief = user("chief", rights=["break_glass"])
    request = opened(quorum=1)

    html = page_of(chief, url(request, "break-glass"))
    given = {name: element(html, name=name)["value"] for name in ("operation_id", "digest")}
    refused = post(chief, request, "break-glass", **given, choice="approve", reason="")
    assert (refused.status_code, again(request).state) == (422, "PENDING")
    html = words(
        post(chief, request, "break-glass", **given, choice="approve", reason="the plant stands").content.decode()
    )
    assert "Emergency" in html
    assert "the plant stands" in html
    assert again(request).is_break_glass


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("claim", "boss"), ("delegate", "boss"), ("reassign", "ana"), ("extend", "ana"), ("withdraw", "ana"),
        ("break-glass", "ana"), ("break-glass", "boss"), ("release", "ana"),
    ],
)  # fmt: skip
def test_what_a_person_may_not_do_is_refused_on_the_page_and_not_offered(
    ana: User, boss: User, name: str, who: str
) -> None:
    request, person = opened(), {"ana": ana, "boss": boss}[who]

    data = {"reason": "x", "to": "ana", "users": "ana", "choice": "approve", "due_at": "2030-01-01T10:00"}
    given = {**data, "operation_id": uuid4().hex, "digest": request.digest}
    assert client_of(person).post(url(request, name), given).status_code == 403
    assert url(request, name) not in page_of(person, url(request, "detail"))
    if name not in ("claim", "release"):
        assert client_of(person).get(url(request, name)).status_code == 403
    assert again(request).revision == request.revision


NAMES = ("claim", "release", "comment", "delegate", "reassign", "extend", "withdraw", "break-glass", "history")


@pytest.mark.parametrize("name", [*NAMES, "history-json", "history-csv", "changes"])
def test_a_request_that_is_not_theirs_does_not_exist_on_any_page(ana: User, name: str) -> None:
    request = opened()
    stranger = client_of(user("stranger"))

    method = stranger.get if name.startswith(("history", "changes")) else stranger.post
    assert method(url(request, name)).status_code == 404
    assert again(request).revision == request.revision


@pytest.mark.parametrize("name", ["claim", "release", "comment", "delegate", "reassign", "extend", "withdraw"])
def test_reading_changes_nothing(ana: User, boss: User, name: str) -> None:
    request = opened()
    for person in (ana, boss):
        client = client_of(person)
        client.get(url(request, name), {"reason": "x", "to": "ana", "kind": "comment", "text": "x"})
        client.head(url(request, name))
    assert again(request).revision == request.revision


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(ana: User, boss: User, hostile: str) -> None:
    request = opened(title=hostile)
    user(hostile[:150], "finance")
    pages = [
        post(ana, request, "delegate", to=hostile, comment=hostile),
        post(ana, request, "delegate", to="", comment=hostile),
        post(boss, request, "reassign", users=hostile, reason=hostile),
        post(boss, request, "extend", due_at=hostile, reason=hostile),
        post(boss, request, "withdraw", reason=hostile),
        client_of(ana).get(url(request, "history")),
    ]
    assert again(request).state == "CANCELLED"
    for page in pages:
        assert living_elements(page.content.decode()) == []
