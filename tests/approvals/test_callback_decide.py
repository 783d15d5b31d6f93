import json
import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from durable_engine.models import AuditEntry, Callback, Event, Execution
from tests.approvals.people import opened, user
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import words
from tests.seeds import Story, document_that_waits, person


def url(story: Story) -> str:
    return reverse("approvals:callback-decide", args=[story.id, "2"])


def outcome(story: Story) -> Event:
    return Event.objects.filter(execution_id=story.id, event_type__startswith="Callback").order_by("-event_id")[0]


@pytest.mark.parametrize(("decision", "approved"), [("approve", True), ("reject", False)])
def test_a_decision_completes_the_callback_and_wakes_the_execution(
    log_in: Callable[..., Client], decision: str, approved: bool
) -> None:
    story = document_that_waits()
    response = log_in("Approver").post(url(story), {"decision": decision, "comment": "read it twice"})
    assert response["Location"] == reverse("approvals:inbox")
    event = outcome(story)
    # A rejection is an answer, not a failure.
    assert event.event_type == "CallbackSucceeded"
    assert json.loads(event.payload or "") == {"approved": approved, "by": "approver", "comment": "read it twice"}
    assert Execution.objects.get(pk=story.id).status == "PENDING"
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.channel, entry.operation_id) == ("approver", "approvals", "2")
    assert entry.reason == f"{decision}: read it twice"


def test_a_result_of_the_person_s_own(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    log_in("Approver").post(url(story), {"decision": "answer", "result": '{"amount": 12.50}'})
    assert outcome(story).payload == '{"amount": 12.50}'


def test_completing_as_failed(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    log_in("Approver").post(url(story), {"decision": "fail", "message": "wrong document attached"})
    event = outcome(story)
    assert event.event_type == "CallbackFailed"
    assert json.loads(event.error or "")["ErrorMessage"] == "wrong document attached"


def test_the_page_shows_what_it_is_about(log_in: Callable[..., Client]) -> None:
    story = document_that_waits(name="contract-7")
    html = log_in("Approver", "Payload viewer").get(url(story)).content.decode()
    for text in ("approve-document", "document-approval", "contract-7", "Suspended"):
        assert text in html
    assert reverse("dashboard:execution-input", args=[story.id]) in html


def test_the_input_is_offered_only_to_people_who_may_see_payloads(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    html = log_in("Approver").get(url(story)).content.decode()
    assert reverse("dashboard:execution-input", args=[story.id]) not in html
    assert "Contract 2026-11" not in html


def test_opening_the_page_decides_nothing(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    client = log_in("Approver")
    # As a scanner of mail would, with everything in the address.
    client.get(url(story), {"decision": "approve", "comment": "x"})
    client.head(url(story))
    assert Callback.objects.get().status == "STARTED"
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("group", ["", "Viewer", "Payload viewer", "Operator"])
def test_only_approvers_may_decide(log_in: Callable[..., Client], group: str) -> None:
    story = document_that_waits()
    client = log_in(*filter(None, [group]))
    assert client.get(url(story)).status_code == 403
    assert client.post(url(story), {"decision": "approve"}).status_code == 403
    assert Callback.objects.get().status == "STARTED"


def test_anonymous_people_are_sent_to_the_login_page(client: Client, db: None) -> None:
    story = document_that_waits()
    assert client.post(url(story), {"decision": "approve"}).status_code == 302
    assert Callback.objects.get().status == "STARTED"


def test_who_comes_second_learns_who_was_first_and_keeps_what_was_typed(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    log_in("Approver").post(url(story), {"decision": "approve", "comment": ""})
    response = log_in("Administrator").post(url(story), {"decision": "reject", "comment": "typed with care"})
    html = response.content.decode()
    assert response.status_code == 409
    assert "Your decision was not counted." in html
    assert "by approver" in html
    assert "typed with care" in html
    assert json.loads(outcome(story).payload or "")["approved"] is True
    assert AuditEntry.objects.count() == 1


def test_a_decision_after_the_end_of_the_execution_is_refused(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    story.close("STOPPED", 100, type="ExecutionStopped", message="not needed")
    response = log_in("Approver").post(url(story), {"decision": "approve"})
    assert response.status_code == 409
    assert "STOPPED" in response.content.decode()


def test_a_decision_after_the_deadline_is_refused(log_in: Callable[..., Client]) -> None:
    story = document_that_waits(began=5000)
    response = log_in("Approver").post(url(story), {"decision": "approve"})
    assert response.status_code == 409
    assert "TIMED_OUT" in response.content.decode()
    assert outcome(story).event_type == "CallbackTimedOut"


def test_an_answered_request_shows_its_answer_and_no_buttons(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    client = log_in("Approver")
    client.post(url(story), {"decision": "approve"})
    html = client.get(url(story)).content.decode()
    assert "This was answered by <strong>approver</strong>" in words(html)
    assert 'value="approve"' not in html


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, "Choose what to do."),
        ({"decision": "maybe"}, "There is no such decision."),
        ({"decision": "approve", "comment": "x" * 3000}, "at most 2000 characters"),
        ({"decision": "approve", "comment": "a\x00b"}, "Null characters are not allowed"),
        ({"decision": "answer", "result": ""}, "Give a JSON value"),
        ({"decision": "answer", "result": "{oops"}, "not valid JSON"),
        ({"decision": "fail", "message": " "}, "Say what went wrong."),
    ],
)
def test_what_cannot_be_accepted_leaves_the_request_open_and_the_text_in_place(
    log_in: Callable[..., Client], data: dict[str, str], problem: str
) -> None:
    story = document_that_waits()
    response = log_in("Approver").post(url(story), {"message": "typed with care", **data})
    assert response.status_code == 422
    assert problem in response.content.decode()
    assert Callback.objects.get().status == "STARTED"


def test_where_certain_people_are_asked_nobody_gets_around_them(log_in: Callable[..., Client]) -> None:
    user("ana", "finance")
    request = opened()
    approver = log_in("Approver")

    address = reverse("approvals:callback-decide", args=[request.execution_id, request.operation_id])
    for response in (approver.get(address), approver.post(address, {"decision": "approve"})):
        assert response["Location"] == reverse("approvals:request-detail", args=[request.pk])
    assert approver.get(reverse("approvals:request-detail", args=[request.pk])).status_code == 404
    assert Callback.objects.get().status == "STARTED"


def test_an_unknown_request_is_404(log_in: Callable[..., Client]) -> None:
    story = document_that_waits()
    client = log_in("Approver")
    assert client.get(reverse("approvals:callback-decide", args=[story.id, "99"])).status_code == 404
    assert client.get(f"/approvals/{story.id}/%00/").status_code == 404


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: Callable[..., Client], hostile: str) -> None:
    story = document_that_waits()
    data = {"decision": "answer", "comment": hostile, "result": hostile, "message": hostile}
    assert executable_parts(log_in("Approver").post(url(story), data).content.decode()) == []


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_the_same_moment_one_wins_and_the_other_is_told() -> None:
    story = document_that_waits()
    people = {"approve": person("ana", "Approver"), "reject": person("ben", "Approver")}
    barrier = threading.Barrier(2)
    statuses: dict[str, int] = {}

    def vote(choice: str) -> None:
        client = Client()
        client.force_login(people[choice])
        barrier.wait()
        statuses[choice] = client.post(url(story), {"decision": choice}).status_code
        connection.close()

    threads = [threading.Thread(target=vote, args=(choice,)) for choice in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses.values()) == [302, 409]
    winner = min(statuses, key=lambda choice: statuses[choice])
    assert json.loads(outcome(story).payload or "")["approved"] is (winner == "approve")
    assert AuditEntry.objects.count() == 1
    assert Event.objects.filter(event_type__startswith="CallbackS").count() == 2
