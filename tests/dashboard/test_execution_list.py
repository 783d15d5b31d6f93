import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import Execution
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element, elements, words
from tests.seeds import Story, document_that_waits, order_that_failed, order_that_succeeded, payment_in_back_off

LIST = "/executions/"


def poll_url(html: str) -> str:
    poll = element(html, id="execution-list-poll")
    return f"{poll['data-url']}&v={poll['data-version']}"


def test_list_shows_each_execution_with_its_status_in_words(log_in: Callable[..., Client]) -> None:
    order_that_succeeded(name="order-1")
    order_that_failed(name="trip-1")
    html = log_in("Viewer").get(LIST).content.decode()
    assert "order-1" in html
    assert "Succeeded" in html
    assert "trip-1" in html
    assert "NothingAvailable" in html


def test_anonymous_people_are_sent_to_the_login_page(client: Client, db: None) -> None:
    response = client.get(LIST)
    assert response.status_code == 302
    assert response["Location"] == f"{reverse('login')}?next={LIST}"


def test_people_without_the_right_get_403(log_in: Callable[..., Client]) -> None:
    response = log_in().get(LIST)
    assert response.status_code == 403
    assert "You may not open this page" in response.content.decode()


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("status=FAILED", "trip-1", "order-1"),
        ("function=order-processing", "order-1", "trip-1"),
        ("q=order-", "order-1", "trip-1"),
        ("status=FAILED&function=booking-saga&q=trip", "trip-1", "order-1"),
    ],
)
def test_filters_narrow_the_list(log_in: Callable[..., Client], query: str, shown: str, hidden: str) -> None:
    order_that_succeeded(name="order-1")
    order_that_failed(name="trip-1")
    html = log_in("Viewer").get(f"{LIST}?{query}").content.decode()
    assert shown in html
    assert hidden not in html


def filtered(client: Client, query: str) -> set[str]:
    """The names of the executions that the list shows under a filter."""
    html = client.get(f"{LIST}?{query}").content.decode()
    return set(re.findall(r"data-row-link\s*>([^<]+)</a>", html))


def test_filters_by_version_tags_time_and_what_invoked_it(log_in: Callable[..., Client]) -> None:
    client = log_in("Viewer")
    old = order_that_succeeded(name="old", began=90_000, tags={"customer": "ana", "region": "eu:west"})
    order_that_succeeded(name="new", version=2, tags={"customer": "ana"}, parent_execution_id=old.id)
    assert filtered(client, "version=2") == {"new"}
    assert filtered(client, "tag=customer:ana") == {"old", "new"}
    assert filtered(client, "tag=customer:ana&tag=region:eu:west") == {"old"}
    assert filtered(client, "tag=customer:bo") == set()
    assert filtered(client, "since=24h") == {"new"}
    assert filtered(client, "since=2020-01-01T00:00&until=2020-01-02T00:00:00Z") == set()
    assert filtered(client, "root=1") == {"old"}


def test_filters_by_what_a_live_execution_waits_for(log_in: Callable[..., Client]) -> None:
    client = log_in("Viewer")
    payment_in_back_off(name="failing")
    document_that_waits(name="asked")
    Story(name="asleep").wait("1", "cool down", 1, 3600, over=False).stand("SUSPENDED")
    parent = Story(name="parent").stand("SUSPENDED")
    Story(name="child", parent_execution_id=parent.id).stand("PENDING")
    expected = {"retry": "failing", "callback": "asked", "timer": "asleep", "child": "parent", "worker": "child"}
    assert {waiting: filtered(client, f"waiting={waiting}") for waiting in expected} == {
        waiting: {name} for waiting, name in expected.items()
    }
    assert filtered(client, "waiting=condition") == set()


def test_what_live_ones_wait_for_is_said_beside_them(log_in: Callable[..., Client]) -> None:
    payment_in_back_off()
    document_that_waits()
    html = words(log_in("Viewer").get(LIST).content.decode())
    assert "Failing" in html
    assert "“charge”, next attempt" in html
    assert "Waits for the callback “approve-document”, expires" in html


@pytest.mark.parametrize(
    "query", ["version=x", "since=yesterday", "until=2026-99-99T00:00", "waiting=x", "tag=nocolon", "root=2"]
)
def test_a_filter_that_cannot_be_read_is_left_out(log_in: Callable[..., Client], query: str) -> None:
    order_that_succeeded(name="order-1")
    client = log_in("Viewer")
    assert filtered(client, query) == {"order-1"}
    assert elements(client.get(f"{LIST}?{query}").content.decode(), class_="chip") == []


@pytest.mark.django_db(transaction=True)
def test_a_search_that_takes_too_long_says_so_instead_of_failing(
    log_in: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    order_that_succeeded()
    client = log_in("Viewer")
    monkeypatch.setattr("dashboard.execution_list.MOST_SECONDS", 0.05)
    other = connection.get_new_connection(connection.get_connection_params())
    try:
        with other.transaction():
            # As long as this is held no search comes to an end.
            other.execute("LOCK TABLE durable_timer")
            html = client.get(f"{LIST}?function=order-processing&waiting=retry").content.decode()
    finally:
        other.close()
    assert "This search would take too long" in html
    assert f"{LIST}?function=order-processing&amp;since=24h&amp;waiting=retry" in html


def test_each_chip_leads_to_the_list_without_its_filter(log_in: Callable[..., Client]) -> None:
    html = log_in("Viewer").get(f"{LIST}?status=FAILED&q=trip").content.decode()
    chips = [chip["href"] for chip in elements(html, class_="chip")]
    assert chips == [f"{LIST}?q=trip", f"{LIST}?status=FAILED"]


def test_a_status_that_does_not_exist_is_ignored(log_in: Callable[..., Client]) -> None:
    order_that_succeeded(name="order-1")
    assert "order-1" in log_in("Viewer").get(f"{LIST}?status=NONSENSE").content.decode()


@pytest.mark.parametrize("query", ["q=%00", "function=%00", "cursor=%00", "cursor=////", f"q={'x' * 5000}"])
def test_a_mangled_query_string_still_gives_a_page(log_in: Callable[..., Client], query: str) -> None:
    order_that_succeeded()
    assert log_in("Viewer").get(f"{LIST}?{query}").status_code == 200


def test_nothing_yet_and_nothing_matching_are_told_apart(log_in: Callable[..., Client]) -> None:
    client = log_in("Operator")
    assert "Nothing has run yet" in client.get(LIST).content.decode()
    order_that_succeeded()
    html = client.get(f"{LIST}?q=no-such-name").content.decode()
    assert "Nothing matches these filters" in html
    assert "Clear all filters" in html


def test_pages_lead_to_older_and_back_to_newer_ones(log_in: Callable[..., Client]) -> None:
    for number in range(60):
        Story(name=f"order-{number:02}", began=1000 - number)
    client = log_in("Viewer")
    first = client.get(LIST).content.decode()
    second = client.get(element(first, rel="next")["href"]).content.decode()
    assert "order-59" in first
    assert "order-09" not in first
    assert "order-09" in second
    assert "order-59" in client.get(element(second, rel="prev")["href"]).content.decode()


def test_what_no_index_finds_is_looked_for_a_stretch_at_a_time_and_the_page_says_so(
    log_in: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr("durable_engine.queries.search.MOST_WALKED", 5)
    for number in range(18):
        Story(name=f"order-{number:02}", began=1000 - number, version=2 if number in {1, 2, 11} else 1)
    client, address, found = log_in("Viewer"), f"{LIST}?version=2", []
    for _ in range(4):
        html = client.get(address).content.decode()
        found.append(re.findall(r">(order-\d\d)<", html))
        assert ("executions, back to" in html) == (len(found) < 4)
        # What is there already is not announced as new.
        assert client.get(poll_url(html)).status_code == 204
        links = [each["href"] for each in elements(html, tag="a") if "cursor=" in each.get("href", "")]
        address = links[-1]
    assert found == [[], ["order-11"], [], ["order-02", "order-01"]]
    back = client.get(links[0]).content.decode()
    assert "executions, back to" in back or "order-11" in back
    # Started at the same moment, as in bulk.
    Execution.objects.update(created_at=timezone.now())
    seen, address = 0, f"{LIST}?version=2"
    for _ in range(4):
        html = client.get(address).content.decode()
        seen += len(re.findall(r">order-\d\d<", html))
        address = [each["href"] for each in elements(html, tag="a") if "cursor=" in each.get("href", "")][-1]
    assert seen == 3
    # A few that an index finds are all looked at.
    Story(name="rare", began=2000, tags={"customer": "acme"}, version=2)
    html = client.get(f"{LIST}?version=2&tag=customer:acme").content.decode()
    assert ">rare<" in html
    assert "executions, back to" not in html


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    log_in: Callable[..., Client], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = log_in("Viewer")
    order_that_succeeded()
    client.get(LIST)
    # Session, user, permissions; the page within its limit of time (the limit, a savepoint and back); the counts, the
    # functions, the saved views.
    with django_assert_num_queries(12):
        client.get(LIST)
    for _ in range(20):
        order_that_failed()
    with django_assert_num_queries(12):
        client.get(LIST)
    # What live ones wait for: two more, for all of them together.
    for _ in range(3):
        payment_in_back_off()
        document_that_waits()
    with django_assert_num_queries(14):
        client.get(LIST)


def test_error_messages_are_shown_only_to_people_who_may_see_payloads(log_in: Callable[..., Client]) -> None:
    order_that_failed()
    assert "no hotel left" not in log_in("Viewer").get(LIST).content.decode()
    assert "no hotel left" in log_in("Payload viewer").get(LIST).content.decode()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: Callable[..., Client], hostile: str) -> None:
    story = Story(hostile, name=hostile[:64], status_text=hostile)
    story.close("FAILED", 1, type=hostile, message=hostile)
    client = log_in("Payload viewer")
    html = client.get(f"{LIST}", {"function": hostile, "q": hostile[:20]}).content.decode()
    assert executable_parts(html) == []
    assert executable_parts(client.get(LIST).content.decode()) == []


@pytest.mark.parametrize("query", ["", "?status=SUSPENDED", "?function=order-processing&since=24h"])
def test_poll_answers_204_after_one_query_while_nothing_changes(
    log_in: Callable[..., Client], django_assert_num_queries: DjangoAssertNumQueries, query: str
) -> None:
    order_that_succeeded(status_text="shipped")
    order_that_failed()
    document_that_waits()
    payment_in_back_off()
    client = log_in("Viewer")
    address = poll_url(client.get(f"{LIST}{query}").content.decode())
    # Session, user, two for permissions.
    with django_assert_num_queries(4 + 1):
        assert client.get(address).status_code == 204


@pytest.mark.parametrize("query", ["?status=RUNNING", "?tag=a:b", "?waiting=child&q=x"])
def test_poll_of_an_empty_list_announces_what_comes(log_in: Callable[..., Client], query: str) -> None:
    client = log_in("Viewer")
    address = poll_url(client.get(f"{LIST}{query}").content.decode())
    assert client.get(address).status_code == 204
    parent = Story(name="x", tags={"a": "b"})
    Story(parent_execution_id=parent.id)
    assert " new</a>" in client.get(address).content.decode()


def test_poll_refreshes_the_rows_on_screen_in_place_and_announces_new_ones(log_in: Callable[..., Client]) -> None:
    story = Story(name="order-1").stand("PENDING")
    client = log_in("Viewer")
    url = poll_url(client.get(f"{LIST}?status=PENDING").content.decode())
    story.close("SUCCEEDED", 5)
    Story(name="order-2", began=1).stand("PENDING")
    html = client.get(url).content.decode()
    # It no longer matches the filter, yet it does not vanish under the pointer.
    assert "order-1" in html
    assert "Succeeded" in html
    assert "+1 new" in html
    assert f"execution-{story.id}" in html
    assert 'href="/executions/order-2' not in html


def test_poll_of_another_page_announces_nothing(log_in: Callable[..., Client]) -> None:
    story = Story(name="order-1")
    client = log_in("Viewer")
    Story(name="order-2", began=1)
    html = client.get(f"/executions/poll/?ids={story.id.hex}&v=").content.decode()
    assert " new</a>" not in html


def test_opening_the_list_changes_nothing(log_in: Callable[..., Client], django_assert_num_queries: object) -> None:
    client = log_in("Administrator")
    assert client.post(LIST).status_code == 405
