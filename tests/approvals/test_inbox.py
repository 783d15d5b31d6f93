"""The inbox: what it lists for whom, in which order, how it is filtered and refreshed."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from approvals import Group
from approvals import User as Person
from approvals.models import ApprovalRequest
from approvals.services.absences import start_delegation
from durable_engine import Duration
from durable_engine.models import Callback, SavedView
from tests.approvals.people import client_of, opened, page_of, user, vote
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element, words
from tests.seeds import Story, document_that_waits

INBOX = "/approvals/"
pytestmark = pytest.mark.django_db


def shown(person: User, box: str = "", **query: str) -> str:
    """The list of one box as a person sees it."""
    return words(page_of(person, f"{INBOX}inbox/{box}/" if box else INBOX, **query))


def poll_url(html: str) -> str:
    poll = element(html, id="inbox-poll")
    return f"{poll['data-url']}?v={poll['data-version']}"


@pytest.fixture
def ana() -> User:
    """Somebody of finance."""
    return user("ana", "finance")


def test_what_is_asked_by_name_and_by_group_are_two_lists(ana: User) -> None:
    opened(title="For ana alone", assignees=[Person("ana")], requester="sam")
    opened(title="For the group")

    assert "For ana alone" in shown(ana)
    assert "For the group" not in shown(ana)
    assert "For the group" in shown(ana, "groups")
    assert "For ana alone" not in shown(user("stranger"))


def test_the_list_says_who_asks_for_what_until_when(ana: User) -> None:
    opened(title="Refund 120 EUR", requester="sam", due=Duration.from_hours(3), quorum=1)

    html = shown(ana, "groups")
    for text in ("Refund 120 EUR", "orders", "sam", "in 2 hours"):
        assert text in html, text


def test_an_empty_list_leads_to_one_that_is_not(ana: User) -> None:
    opened(title="For the group")

    html = shown(ana, "mine")
    assert "Nothing waits for you" in html
    assert 'class="button button-primary" href="/approvals/inbox/groups/"' in html


def test_the_inbox_opens_with_the_first_list_in_which_something_waits(ana: User) -> None:
    ben = user("ben")
    start_delegation(actor=ana, to="ben")
    assert "Nothing waits for you" in shown(ana)
    opened(title="For the group")
    for person, box in ((ana, "groups"), (ben, "delegated")):
        assert client_of(person).get(INBOX)["Location"] == f"{INBOX}inbox/{box}/"
        assert "Nothing waits for you" in shown(person, "mine")
    opened(title="For ana alone", assignees=[Person("ana")])
    html = shown(ana)
    assert "For ana alone" in html
    assert "For the group" not in html


def test_overdue_comes_first_and_is_marked(ana: User) -> None:
    opened(title="later", due=Duration.from_hours(5))
    late = opened(title="late", due=Duration.from_hours(9))
    passed = timezone.now() - timedelta(hours=1)
    ApprovalRequest.objects.filter(pk=late.pk).update(due_at=passed, urgent_at=passed)

    html = shown(ana, "groups")
    assert html.index(">late<") < html.index(">later<")
    assert html.count("Overdue</span>") == 1
    assert ">later<" not in shown(ana, "groups", due="overdue")


def test_who_has_answered_waits_for_the_others_and_then_finds_it_done(ana: User) -> None:
    ben = user("ben", "finance")
    request = opened(title="Two needed", quorum=2)
    vote(request, ana)

    assert "Two needed" not in shown(ana, "groups")
    assert "Two needed" in shown(ana, "waiting")
    vote(request, ben)
    assert "Two needed" not in shown(ana, "waiting")
    done = shown(ana, "done")
    assert "Two needed" in done
    assert "Approved" in done


def test_what_a_colleague_is_asked_appears_as_delegated(ana: User) -> None:
    ben = user("ben")
    opened(title="For the group")
    start_delegation(actor=ana, to="ben")

    assert "For the group" in shown(ben, "delegated")
    assert "For the group" not in shown(ben, "mine")


def test_the_requester_sees_it_among_what_waits_for_others(ana: User) -> None:
    sam = user("sam")
    opened(title="Refund for sam", requester="sam")

    assert "Refund for sam" in shown(sam, "waiting")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "refund mugs"}, True),
        ({"q": "pens"}, False),
        ({"function": "orders"}, True),
        ({"function": "other"}, False),
        ({"due": "day"}, True),
        ({"due": "overdue"}, False),
        ({"due": "nonsense"}, True),
        ({"q": "\x00"}, True),
    ],
)
def test_filters_narrow_the_list_and_are_shown_as_chips(ana: User, query: dict[str, str], found: bool) -> None:
    opened(title="Refund of two mugs", due=Duration.from_hours(3))

    html = shown(ana, "groups", **query)
    assert ("Refund of two mugs" in html) is found
    if not found:
        assert "(remove this filter)" in html
        assert "Clear all filters" in html


def test_a_list_with_its_filters_is_kept_and_shared(ana: User) -> None:
    ben, stranger = user("ben"), user("stranger")
    keep = reverse("approvals:view-save")
    given = {"query": "box=groups&due=overdue&nonsense=1", "name": "Late ones"}

    client = client_of(ana)
    response = client.post(keep, given)
    assert response["Location"] == f"{INBOX}inbox/groups/?due=overdue"
    assert "Late ones" in client.get(response["Location"]).content.decode()
    assert "Late ones" not in shown(ben)
    client.post(keep, {**given, "shared": "1"})
    assert "shared by ana" in shown(ben)
    delete = reverse("approvals:view-delete", args=[SavedView.objects.get().pk])
    assert client_of(stranger).post(delete).status_code == 404
    assert client.get(delete).status_code == 405
    client.post(delete)
    assert "Late ones" not in shown(ana)


def test_a_view_of_executions_is_none_of_the_inbox(ana: User) -> None:
    SavedView.objects.create(owner=ana, name="Failed today", query="status=FAILED", is_shared=True)
    assert "Failed today" not in shown(ana)


@pytest.mark.parametrize("name", ["", "x" * 81, "a\x00b"])
def test_a_view_without_a_proper_name_is_not_kept(ana: User, name: str) -> None:
    response = client_of(ana).post(reverse("approvals:view-save"), {"query": "", "name": name}, follow=True)
    assert "must have 1 to 80 characters" in response.content.decode()
    assert not SavedView.objects.exists()


def test_a_claimed_request_says_who_works_on_it(ana: User) -> None:
    from approvals.services.requests import claim_request

    ben = user("ben", "finance")
    claim_request(opened().pk, actor=ben)

    assert "ben works on it" in shown(ana, "groups")
    assert "you work on it" in shown(ben)


def test_plain_callbacks_are_listed_below_for_people_who_may_answer_them(log_in: Callable[..., Client]) -> None:
    document_that_waits(name="contract-7")

    html = log_in("Approver").get(INBOX).content.decode()
    for text in ("approve-document", "document-approval", "contract-7", "2 minutes ago", "in 57 minutes"):
        assert text in html, text
    assert "contract-7" not in log_in("Viewer").get(INBOX).content.decode()


def test_a_request_is_not_listed_as_a_plain_callback_too(log_in: Callable[..., Client]) -> None:
    opened(title="Refund", assignees=[Person(user("ana").username)])

    assert "manager" not in log_in("Approver").get(INBOX).content.decode()


def test_all_plain_callbacks_have_a_list_of_their_own(log_in: Callable[..., Client]) -> None:
    document_that_waits(name="young", began=50)
    document_that_waits(name="old", began=500)
    url = reverse("approvals:callback-list")

    html = log_in("Approver").get(url).content.decode()
    assert html.index(">old<") < html.index(">young<")
    assert log_in("Viewer").get(url).status_code == 403


def test_a_callback_without_a_name_can_be_opened(log_in: Callable[..., Client]) -> None:
    story = Story("plain")
    callback = story.callback("1", "", 1)
    callback.name = None
    callback.save()

    html = log_in("Approver").get(INBOX).content.decode()
    assert reverse("approvals:callback-decide", args=[story.id, "1"]) in html


@pytest.mark.parametrize("box", ["nonsense", "Mine", "%00"])
def test_an_unknown_list_is_404(ana: User, client: Client, box: str) -> None:
    client.force_login(ana)
    assert client.get(f"{INBOX}inbox/{box}/").status_code == 404


def test_anonymous_people_are_sent_to_the_login_page(client: Client) -> None:
    assert client.get(INBOX)["Location"] == f"{reverse('login')}?next={INBOX}"


def test_people_who_only_decide_are_led_from_home_to_what_waits_for_them(ana: User, client: Client) -> None:
    client.force_login(ana)
    assert client.get("/")["Location"] == INBOX


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    ana: User, client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(ana)
    opened()
    url = f"{INBOX}inbox/groups/"
    client.get(url)
    with django_assert_num_queries(17):
        client.get(url)
    for _ in range(12):
        opened()
    with django_assert_num_queries(17):
        client.get(url)


def test_a_poll_is_204_after_one_query_until_something_comes_or_goes(
    ana: User, client: Client, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("approvals.views.inbox.LOOK_AGAIN_SECONDS", 1e9)
    client.force_login(ana)
    opened(title="first")
    address = poll_url(client.get(f"{INBOX}inbox/groups/").content.decode())
    # Session and user.
    with django_assert_num_queries(2 + 1):
        assert client.get(address).status_code == 204
    opened(title="second")
    html = client.get(address).content.decode()
    assert "second" in html
    assert element(html, id="inbox-tabs")["hx-swap-oob"] == "true"


def test_callbacks_that_ask_nobody_are_looked_for_among_the_oldest_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("approvals.queries.callbacks.MOST_SEARCHED", 1)
    person = user("eve", "Approver", "finance")
    opened()
    assert "callbacks that opened first" not in shown(person)
    story = document_that_waits(name="contract-7")
    Callback.objects.filter(execution_id=story.id).update(created_at=timezone.now() + timedelta(hours=1))
    html = shown(person)
    assert "callbacks that opened first" in html
    assert "contract-7" not in html
    assert reverse("approvals:callback-list") in html


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(ana: User, hostile: str) -> None:
    AuthUser = type(ana)
    AuthUser.objects.create(username=hostile[:150])
    opened(title=hostile, requester=hostile[:150], assignees=[Group("finance")])

    for html in (shown(ana, "groups"), shown(ana, "groups", q=hostile, function=hostile)):
        assert executable_parts(html) == []


def test_the_callback_id_never_leaves_the_engine(log_in: Callable[..., Client]) -> None:
    from durable_engine.services.callback_ids import callback_id_for

    story = document_that_waits()
    client = log_in("Approver", "Payload viewer")
    secret = callback_id_for(story.id, "2")
    for address in (INBOX, reverse("approvals:callback-decide", args=[story.id, "2"])):
        assert secret not in client.get(address).content.decode()
    for tab in ("execution-detail", "execution-steps", "execution-history"):
        assert secret not in client.get(reverse(f"dashboard:{tab}", args=[story.id])).content.decode()
