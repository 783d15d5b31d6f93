from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element, elements
from tests.seeds import Story, order_that_failed, order_that_succeeded

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


def test_home_is_the_list(log_in: Callable[..., Client]) -> None:
    order_that_succeeded(name="order-1")
    assert "order-1" in log_in("Viewer").get("/").content.decode()


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


def test_the_number_of_queries_does_not_depend_on_the_number_of_rows(
    log_in: Callable[..., Client], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = log_in("Viewer")
    order_that_succeeded()
    client.get(LIST)
    # Session, user, permissions, the page, the functions, and one capped count for each of the eight statuses.
    with django_assert_num_queries(14):
        client.get(LIST)
    for _ in range(20):
        order_that_failed()
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


def test_poll_answers_204_while_nothing_changes(log_in: Callable[..., Client]) -> None:
    order_that_succeeded()
    client = log_in("Viewer")
    assert client.get(poll_url(client.get(LIST).content.decode())).status_code == 204


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
    html = client.get(f"/executions/poll/?ids={story.id.hex}&on_first_page=0&v=").content.decode()
    assert " new</a>" not in html


def test_opening_the_list_changes_nothing(log_in: Callable[..., Client], django_assert_num_queries: object) -> None:
    client = log_in("Administrator")
    assert client.post(LIST).status_code == 405
