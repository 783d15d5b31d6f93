"""The page of one request: what it shows, what an answer on it does, and how a refusal is told."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from approvals import Choice
from approvals.models import ApprovalRequest, Attachment, Draft, Vote
from approvals.services.absences import start_delegation
from approvals.services.requests import claim_request, withdraw_request
from durable_engine import Duration
from durable_engine.models import Callback, Event
from tests.approvals.people import client_of, opened, page_of, user, vote
from tests.dashboard.corpus import HOSTILE, living_elements
from tests.html import element, elements, words

pytestmark = pytest.mark.django_db

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "granted": {"type": "string", "format": "decimal", "title": "Granted amount", "x-currency": "EUR"},
        "centre": {"type": "string", "enum": ["4100", "4200"], "title": "Cost centre"},
        "why": {"type": "string", "format": "textarea"},
    },
    "required": ["granted", "centre"],
}


@pytest.fixture
def ana() -> User:
    """Somebody of finance."""
    return user("ana", "finance")


@pytest.fixture
def ben() -> User:
    """Somebody else of finance."""
    return user("ben", "finance")


def url(request: ApprovalRequest, name: str = "detail") -> str:
    return reverse(f"approvals:request-{name}", args=[request.pk])


def answer(person: User, request: ApprovalRequest, choice: str = "approve", **data: Any) -> Any:
    """Answer as the page's form does."""
    given = {"operation_id": uuid4().hex, "digest": request.digest, "choice": choice, "comment": "", **data}
    return client_of(person).post(url(request), given)


def state(request: ApprovalRequest) -> str:
    return ApprovalRequest.objects.get(pk=request.pk).state


def test_the_page_shows_what_is_asked_by_whom_until_when(ana: User) -> None:
    request = opened(
        title="Refund 120 EUR",
        description="Please check the **receipt**.",
        details={"order": {"id": "A-7", "lines": [{"item": "mug", "price": 12.5}]}, "paid": True},
        requester="sam",
        due=Duration.from_hours(5),
        expires=Duration.from_days(2),
        on_expire="reject",
    )

    html = words(page_of(ana, url(request)))
    for text in (
        "Refund 120 EUR",
        "<strong>receipt</strong>",
        "mug",
        "12.5",
        "sam",
        "in 4 hours",
        "counts as rejected",
    ):
        assert text in html, text
    assert request.digest[:16] in html
    assert element(html, name="digest")["value"] == request.digest


def test_facts_and_fields_stand_in_the_order_their_author_wrote(ana: User) -> None:
    request = opened(details={"zulu": 1, "alpha": {"yankee": 2, "bravo": 3}}, form=FORM)

    html = page_of(ana, url(request))
    places = [html.index(text) for text in ("Zulu", "Alpha", "Yankee", "Bravo", "Granted amount", "Cost centre", "Why")]
    assert places == sorted(places)


@pytest.mark.parametrize(("choice", "said"), [("approve", "You approved"), ("reject", "You rejected")])
def test_an_answer_completes_the_callback_and_leads_back_to_the_inbox(ana: User, choice: str, said: str) -> None:
    request = opened(title="Refund 120 EUR")

    client = client_of(ana)
    given = {"operation_id": uuid4().hex, "digest": request.digest, "choice": choice, "comment": "read it twice"}
    response = client.post(url(request), given, follow=True)
    assert response.redirect_chain == [(reverse("approvals:inbox"), 302)]
    assert f"{said} “Refund 120 EUR”" in response.content.decode()
    event = Event.objects.filter(execution_id=request.execution_id).order_by("-event_id")[0]
    assert json.loads(event.payload or "")["comment"] == "read it twice"


def test_a_form_is_filled_in_and_handed_to_the_handler(ana: User) -> None:
    request = opened(form=FORM)

    assert answer(ana, request, **{"data-granted": "99.50", "data-centre": "4200"}).status_code == 302
    assert Vote.objects.get().data == {"granted": "99.50", "centre": "4200", "why": ""}
    html = words(page_of(ana, url(request)))
    assert "<dt>Granted amount</dt> <dd> 99.50" in html


def test_a_wrong_form_is_told_at_its_fields_and_keeps_what_was_typed(ana: User) -> None:
    request = opened(form=FORM)

    response = answer(ana, request, comment="typed with care", **{"data-granted": "much", "data-why": "because"})
    html = response.content.decode()
    assert response.status_code == 422
    assert "<title>\n      Error:" in html or "Error: " in html
    links = [each["href"] for each in elements(html, tag="a") if each.get("href", "").startswith("#id_")]
    assert links == ["#id_data-granted", "#id_data-centre"]
    assert element(html, id="id_data-granted")["aria-invalid"] == "true"
    for text in ("typed with care", "because", "much"):
        assert text in html
    assert state(request) == "PENDING"


def test_a_rejection_needs_no_form_but_the_comment_that_is_asked_for(ana: User) -> None:
    request = opened(form=FORM, choices=[Choice.approve(), Choice.reject(comment="required")])

    response = answer(ana, request, "reject")
    html = response.content.decode()
    assert response.status_code == 422
    assert "#id_comment" in html
    assert "#id_data-granted" not in html
    assert "“Reject” asks for a comment." in html
    assert answer(ana, request, "reject", comment="too late").status_code == 302
    assert state(request) == "REJECTED"


def test_a_file_is_kept_and_given_only_as_a_download(ana: User, ben: User) -> None:
    schema = {"type": "object", "properties": {"receipt": {"type": "string", "format": "file"}}}
    request = opened(form=schema)

    html = page_of(ana, url(request))
    assert element(html, tag="form", enctype="multipart/form-data")
    receipt = SimpleUploadedFile("<b>receipt.html", b"<script>alert('xss-corpus')</script>", "text/html")
    data: dict[str, Any] = {"data-receipt": receipt}
    assert answer(ana, request, **data).status_code == 302
    file = reverse("approvals:request-attachment", args=[request.pk, Attachment.objects.get().pk])
    assert file in page_of(ben, url(request))
    response = client_of(ben).get(file)
    assert response["Content-Type"] == "application/octet-stream"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert client_of(user("stranger")).get(file).status_code == 404


def test_after_a_mistake_a_file_has_to_be_chosen_again(ana: User) -> None:
    properties = {"receipt": {"type": "string", "format": "file"}, "granted": {"type": "integer"}}
    request = opened(form={"type": "object", "properties": properties, "required": ["granted"]})

    data: dict[str, Any] = {"data-receipt": SimpleUploadedFile("r.pdf", b"x")}
    response = answer(ana, request, **data)
    assert (response.status_code, "choose them again" in response.content.decode()) == (422, True)


def test_more_people_are_awaited_until_the_quorum_is_reached(ana: User, ben: User) -> None:
    request = opened(quorum=2)

    response = client_of(ana).post(
        url(request), {"operation_id": uuid4().hex, "digest": request.digest, "choice": "approve"}, follow=True
    )
    assert "counts. More people are awaited." in response.content.decode()
    html = words(page_of(ana, url(request)))
    assert "2 people have to agree. 1 has so far." in html
    assert "You have answered. The others are awaited." in html
    assert 'name="choice"' not in html
    answer(ben, request)
    assert state(request) == "APPROVED"


def test_the_loser_learns_who_was_first_and_keeps_what_was_typed(ana: User, ben: User) -> None:
    request = opened(form=FORM)
    vote(request, ben, "approve", data={"granted": "1", "centre": "4100"})

    response = answer(ana, request, "reject", comment="typed with care", **{"data-why": "a long story"})
    html = words(response.content.decode())
    assert response.status_code == 409
    assert "ben approved this just now. Your answer was not counted." in html.replace("</strong>", "")
    assert "What you wrote is still here, below." in html
    for text in ("typed with care", "a long story", "Keep my comment in the history"):
        assert text in html
    assert 'name="choice"' not in html
    assert Vote.objects.count() == 1


def test_the_text_of_a_late_answer_can_be_kept_as_a_comment(ana: User, ben: User) -> None:
    request = opened()
    vote(request, ben)

    client_of(ana).post(url(request, "comment"), {"kind": "comment", "comment": "I would have refused"})
    assert "I would have refused" in page_of(ben, url(request))
    assert state(request) == "APPROVED"


def test_the_same_click_twice_is_one_answer(ana: User, ben: User) -> None:
    request = opened(quorum=2)

    for _ in range(2):
        assert answer(ana, request, operation_id="the-same-click").status_code == 302
    assert Vote.objects.count() == 1


def test_an_answer_to_something_else_than_what_was_seen_is_refused(ana: User) -> None:
    request = opened()

    response = answer(ana, request, digest="0" * 64)
    assert response.status_code == 409
    assert "What is asked has changed." in response.content.decode()
    assert state(request) == "PENDING"


def test_a_withdrawn_request_says_so_to_who_comes_too_late(ana: User) -> None:
    sam = user("sam")
    request = opened(requester="sam")
    withdraw_request(request.pk, actor=sam, reason="ordered twice")

    html = words(answer(ana, request).content.decode())
    assert "sam withdrew this just now." in html
    assert "ordered twice" in page_of(ana, url(request))


def test_what_a_colleague_works_on_can_be_looked_at_only(ana: User, ben: User) -> None:
    request = opened()
    claim_request(request.pk, actor=ben)

    html = page_of(ana, url(request))
    assert "ben works on this." in html
    assert 'name="choice"' not in html
    response = answer(ana, request)
    assert response.status_code == 409
    assert "ben is working on this." in response.content.decode()


def test_who_may_act_for_several_chooses_for_whom(ana: User, ben: User) -> None:
    carl = user("carl", "finance")
    start_delegation(actor=ana, to="carl")
    request = opened()

    html = words(page_of(carl, url(request)))
    assert f'<option value="{carl.pk}"' in html
    assert "for ana" in html
    answer(carl, request, on_behalf_of=str(ana.pk))
    assert Vote.objects.get().on_behalf_of_label == "ana"


def test_a_draft_is_kept_for_its_author_alone_and_not_checked(ana: User, ben: User) -> None:
    request = opened(form=FORM)

    response = answer(ana, request, save="draft", comment="half a thought", **{"data-granted": "not yet"})
    assert response["Location"] == url(request)
    html = page_of(ana, url(request))
    for text in ("half a thought", "not yet", "Draft saved"):
        assert text in html
    assert "half a thought" not in page_of(ben, url(request))
    answer(ana, request, **{"data-granted": "7", "data-centre": "4100"})
    assert not Draft.objects.exists()


def test_a_draft_of_a_decided_request_is_refused_kindly(ana: User, ben: User) -> None:
    request = opened()
    vote(request, ben)

    response = answer(ana, request, save="draft", comment="typed with care")
    assert response.status_code == 409
    assert "typed with care" in response.content.decode()


@pytest.mark.parametrize("method", ["get", "head", "post"])
def test_a_request_that_is_not_theirs_does_not_exist(ana: User, method: str) -> None:
    stranger = client_of(user("stranger", "sales"))
    request = opened()

    hidden = getattr(stranger, method)(url(request))
    missing = getattr(stranger, method)(reverse("approvals:request-detail", args=[uuid4()]))
    token = re.compile(rb"[A-Za-z0-9]{64}")
    assert (hidden.status_code, token.sub(b"", hidden.content)) == (404, token.sub(b"", missing.content))
    assert state(request) == "PENDING"


def test_the_requester_looks_and_does_not_decide(ana: User, ben: User) -> None:
    request = opened(requester="ana")

    html = page_of(ana, url(request))
    assert "You asked for this, so others decide." in html
    assert 'name="choice"' not in html
    response = answer(ana, request)
    assert response.status_code == 403
    assert state(request) == "PENDING"


def test_opening_the_page_decides_nothing(ana: User) -> None:
    request = opened()
    client = client_of(ana)
    # As a scanner of mail would, with everything in the address.
    client.get(url(request), {"choice": "approve", "operation_id": uuid4().hex, "digest": request.digest})
    client.head(url(request))
    assert state(request) == "PENDING"
    assert Callback.objects.get().status == "STARTED"


def test_the_page_is_never_cached_and_needs_a_token(ana: User) -> None:
    request = opened()
    client = client_of(ana)
    assert "no-store" in client.get(url(request))["Cache-Control"]
    client.handler.enforce_csrf_checks = True
    given = {"operation_id": uuid4().hex, "digest": request.digest, "choice": "approve"}
    assert client.post(url(request), given).status_code == 403
    assert state(request) == "PENDING"


def test_an_open_page_is_told_after_one_query_that_something_has_happened(
    ana: User, ben: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    request = opened(quorum=2)
    client = client_of(ana)
    poll = element(client.get(url(request)).content.decode(), id="request-poll")
    address = f"{poll['data-url']}?v={poll['data-version']}"
    # Session and user.
    with django_assert_num_queries(2 + 1):
        assert client.get(address).status_code == 204
    # What one person's page knows tells another nothing: not even that there is a request.
    assert client_of(user("stranger")).get(address).status_code == 404
    vote(request, ben)
    html = words(client.get(address).content.decode())
    assert "ben answered: Approve" in html
    assert "textarea" not in html, "what is typed is left alone"


def test_the_number_of_queries_does_not_depend_on_how_much_was_said(
    ana: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    request = opened()
    client = client_of(ana)
    client.get(url(request))
    with django_assert_num_queries(13):
        client.get(url(request))
    for number in range(10):
        client.post(url(request, "comment"), {"kind": "comment", "text": f"comment {number}"})
    with django_assert_num_queries(13):
        client.get(url(request))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts_wherever_people_may_write(ana: User, ben: User, hostile: str) -> None:
    schema = {
        "type": "object",
        "title": hostile,
        "properties": {
            "text": {"type": "string", "title": hostile, "description": hostile, "default": hostile},
            "pick": {"type": "string", "enum": [hostile, "other"]},
        },
    }
    request = opened(
        title=hostile,
        description=hostile,
        details={hostile: hostile, "rows": [{hostile: hostile}]},
        requester=hostile,
        form=schema,
        choices=[Choice("yes", hostile[:80], "approve"), Choice("no", hostile[:80], "reject", comment="required")],
    )
    client = client_of(ana)
    pages = [client.get(url(request)), client.post(url(request), {"choice": hostile, "comment": hostile, "save": "x"})]
    pages.append(client.post(url(request, "comment"), {"kind": "ask", "text": hostile}, follow=True))
    pages.append(client.post(url(request), {"choice": hostile, "operation_id": hostile, "digest": hostile}))
    given = {"operation_id": uuid4().hex, "digest": request.digest, "comment": hostile, "data-text": hostile}
    pages.append(client.post(url(request), {**given, "choice": "yes", "data-pick": "nothing"}))
    pages.append(client.post(url(request), {**given, "choice": "yes", "data-pick": hostile}, follow=True))
    assert state(request) == "APPROVED"
    pages.append(client_of(ben).post(url(request), {**given, "choice": "no", "operation_id": uuid4().hex}))
    pages += [client.get(url(request)), client.get(url(request, "history"))]
    for page in pages:
        assert living_elements(page.content.decode()) == []
