from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element
from tests.seeds import Story, document_that_waits

INBOX = "/approvals/"


def poll_url(html: str) -> str:
    poll = element(html, id="inbox-poll")
    return f"{poll['data-url']}?v={poll['data-version']}"


def test_the_inbox_says_what_is_asked_by_what_since_when_and_until_when(log_in: Callable[..., Client]) -> None:
    document_that_waits(name="contract-7")
    html = log_in("Approver").get(INBOX).content.decode()
    for text in ("approve-document", "document-approval", "contract-7", "2 minutes ago", "in 57 min"):
        assert text in html, text


def test_oldest_first(log_in: Callable[..., Client]) -> None:
    document_that_waits(name="young", began=50)
    document_that_waits(name="old", began=500)
    html = log_in("Approver").get(INBOX).content.decode()
    assert html.index("old") < html.index("young")


def test_what_is_answered_is_gone(log_in: Callable[..., Client]) -> None:
    story = document_that_waits(name="contract-7")
    story.execution.callbacks.update(status="SUCCEEDED")
    html = log_in("Approver").get(INBOX).content.decode()
    assert "contract-7" not in html
    assert "Nothing waits for an answer" in html


def test_a_callback_without_a_name_can_be_opened(log_in: Callable[..., Client]) -> None:
    story = Story("plain")
    callback = story.callback("1", "", 1)
    callback.name = None
    callback.save()
    html = log_in("Approver").get(INBOX).content.decode()
    assert reverse("approvals:callback-decide", args=[story.id, "1"]) in html


@pytest.mark.parametrize("group", ["", "Viewer", "Payload viewer", "Operator"])
def test_only_approvers_may_open_it(log_in: Callable[..., Client], group: str) -> None:
    assert log_in(*filter(None, [group])).get(INBOX).status_code == 403


def test_anonymous_people_are_sent_to_the_login_page(client: Client, db: None) -> None:
    assert client.get(INBOX)["Location"] == f"{reverse('login')}?next={INBOX}"


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    log_in: Callable[..., Client], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = log_in("Approver")
    document_that_waits()
    client.get(INBOX)
    with django_assert_num_queries(5):
        client.get(INBOX)
    for _ in range(20):
        document_that_waits()
    with django_assert_num_queries(5):
        client.get(INBOX)


def test_poll_is_204_until_something_comes_or_goes(log_in: Callable[..., Client]) -> None:
    document_that_waits(name="contract-7")
    client = log_in("Approver")
    address = poll_url(client.get(INBOX).content.decode())
    assert client.get(address).status_code == 204
    document_that_waits(name="contract-8", began=5)
    html = client.get(address).content.decode()
    assert "contract-8" in html


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: Callable[..., Client], hostile: str) -> None:
    story = Story(hostile, name=hostile[:64])
    story.callback("1", hostile, 1)
    client = log_in("Approver")
    assert executable_parts(client.get(INBOX).content.decode()) == []
    address = reverse("approvals:callback-decide", args=[story.id, "1"])
    assert executable_parts(client.get(address).content.decode()) == []


def test_the_callback_id_never_leaves_the_engine(log_in: Callable[..., Client]) -> None:
    from durable_engine.services.callback_ids import callback_id_for

    story = document_that_waits()
    client = log_in("Approver", "Payload viewer")
    secret = callback_id_for(story.id, "2")
    for address in (INBOX, reverse("approvals:callback-decide", args=[story.id, "2"])):
        assert secret not in client.get(address).content.decode()
    for tab in ("execution-detail", "execution-steps", "execution-history"):
        assert secret not in client.get(reverse(f"dashboard:{tab}", args=[story.id])).content.decode()
