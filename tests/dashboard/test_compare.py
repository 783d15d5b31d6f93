"""Two executions side by side."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from dashboard.json_diff import MOST_LINES, differences
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import elements, words
from tests.seeds import Story, order_that_failed

LogIn = Callable[..., Client]


def url(story: Story, other: Story | None = None) -> str:
    address = reverse("dashboard:execution-compare", args=[story.id])
    return address if other is None else f"{address}?with={other.id}"


def order(began: float, *, charge: str = "ok", ships: bool = True, **columns: Any) -> Story:
    story = Story("order-processing", began=began, **columns)
    story.step("1", "validate", 0.1, 0.2, True)
    if charge == "failed":
        story.failed_attempt("2", "charge", 1, 0.3, 0.9)
        return story.close("FAILED", 1)
    story.step("2", "charge", 0.3, 0.9, charge)
    if ships:
        story.step("3", "ship", 1, 2)
    return story.close("SUCCEEDED", 3)


def page(client: Client, address: str) -> str:
    return words(client.get(address).content.decode())


def test_a_failure_is_compared_with_the_last_success_by_one_click(log_in: LogIn) -> None:
    order(9000, name="older")
    order(5000, name="last-good")
    failed = order(1000, charge="failed", name="bad")
    order(10, name="tomorrow")
    client = log_in("Viewer")
    detail = client.get(reverse("dashboard:execution-detail", args=[failed.id])).content.decode()
    assert f'href="{url(failed)}"' in detail
    html = page(client, url(failed))
    assert "last-good" in html
    assert "tomorrow" not in html
    assert "“charge”: succeeded in the earlier one, CardDeclined in the later one." in html
    assert "only in the earlier" in html  # what came after it


def test_without_an_earlier_success_the_page_asks_what_to_compare_with(log_in: LogIn) -> None:
    response = log_in("Viewer").get(url(order_that_failed()))
    assert response.status_code == 200
    assert "No execution of booking-saga succeeded before this one." in words(response.content.decode())


def test_results_attempts_and_operations_that_only_one_has_are_told_apart(log_in: LogIn) -> None:
    first, second = order(100, charge="p-1"), order(50, charge="p-2", ships=False)
    html = page(log_in("Viewer"), url(second, first))
    assert "“charge” returned another result." in html
    assert "another result" in html
    assert "only in the earlier" in html
    assert "1 of 3 the same" in html


def test_equal_ones_are_said_to_be_equal(log_in: LogIn) -> None:
    first, second = order(100), order(50)
    html = page(log_in("Viewer"), url(first, second))
    assert "The operations are the same in both." in html


def test_the_older_one_is_the_left_one_whichever_is_asked_for(log_in: LogIn) -> None:
    first, second = order(100, name="first"), order(50, name="second")
    client = log_in("Viewer")
    for address in (url(first, second), url(second, first)):
        names = [each["href"] for each in elements(client.get(address).content.decode(), class_="mono", tag="a")]
        assert names[:2] == [reverse("dashboard:execution-detail", args=[each.id]) for each in (first, second)]


def test_inputs_are_compared_place_by_place_for_people_who_may_see_them(log_in: LogIn) -> None:
    first = order(100, input_text='{"amount": 10, "items": [1, 2], "note": null}')
    second = order(50, input_text='{"amount": 10.0, "items": [1, 3, 4], "note": null}')
    html = page(log_in("Payload viewer"), url(first, second))
    for path, left, right in (("$.amount", "10", "10.0"), ("$.items[1]", "2", "3")):
        assert re.search(rf"{re.escape(path)}</th> <td[^>]*> ?{left} ?</td> <td[^>]*> ?{right} ?</td>", html)
    assert "not there" in html
    hidden = page(log_in("Viewer"), url(first, second))
    assert "$.amount" not in hidden
    assert "your account may not see inputs" in hidden


def test_versions_and_tags_that_differ_are_marked(log_in: LogIn) -> None:
    first, second = order(100, version=1, tags={"region": "eu"}), order(50, version=2, tags={"region": "us"})
    html = log_in("Viewer").get(url(first, second)).content.decode()
    assert html.count('class="differs"') == 2


def test_two_ticked_executions_are_compared_from_the_list(log_in: LogIn) -> None:
    first, second = order(100), order(50)
    client = log_in("Operator")
    assert "Compare two" in client.get("/executions/").content.decode()
    response = client.post("/compare/", {"ids": [str(first.id), str(second.id)]})
    assert response["Location"] == url(first, second)
    assert client.post("/compare/", {"ids": [str(first.id), "x"]})["Location"] == "/executions/"
    assert client.get("/compare/").status_code == 405


@pytest.mark.parametrize("wanted", ["no-such-name", "%00", "x" * 500, "00000000-0000-7000-8000-000000000000"])
def test_an_execution_that_does_not_exist_is_said_so(log_in: LogIn, wanted: str) -> None:
    story = order(100)
    response = log_in("Viewer").get(f"{reverse('dashboard:execution-compare', args=[story.id])}?with={wanted}")
    assert response.status_code == (200 if wanted == "%00" else 404)


def test_an_execution_is_not_compared_with_itself(log_in: LogIn) -> None:
    story = order(100)
    assert "That is this execution itself." in page(log_in("Viewer"), url(story, story))


def test_people_without_the_right_are_refused(log_in: LogIn) -> None:
    assert log_in().get(url(order(100), order(50))).status_code == 403


def test_long_executions_are_compared_in_part_at_a_constant_number_of_queries(
    log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = log_in("Viewer")
    # Session, user, permissions; both executions; of each the outline with its savepoint, operations, digests.
    for count in (3, 500):
        first, second = Story().steps(count), Story().steps(count, failing=(2,))
        with django_assert_num_queries(21):
            html = page(client, url(first, second))
        assert "“step-2”: succeeded in the earlier one, CardDeclined in the later one." in html
        assert ("only the first and last" in html) == (count == 500)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    stories = []
    for number in (1, 2):
        text = json.dumps({hostile: f"{hostile}{number}"})
        story = Story(hostile, name=f"{number}{hostile}"[:64], input_text=text, tags={hostile: hostile})
        story.step("1", f"{hostile}{number}", 1, 2).close("FAILED", 3, type=hostile, message=hostile)
        stories.append(story)
    client = log_in("Payload viewer")
    assert executable_parts(client.get(url(*stories)).content.decode()) == []
    missing = reverse("dashboard:execution-compare", args=[stories[0].id])
    assert executable_parts(client.get(missing, {"with": hostile}).content.decode()) == []


def test_numbers_are_compared_as_they_are_written() -> None:
    found = differences('{"n": 12345678901234567890123}', '{"n": 12345678901234567890124}')
    assert found is not None
    assert [(each.path, each.left, each.right) for each in found] == [
        ("$.n", "12345678901234567890123", "12345678901234567890124")
    ]
    assert differences('{"n": 1}', '{"n": "1"}') != []
    added = differences("[]", '[{"n": 1.10, "t": "x"}]')
    assert added is not None
    assert [each.right for each in added] == ['{"n": 1.10, "t": "x"}']


@pytest.mark.parametrize(("left", "right"), [("{", "{}"), ("[" * 100_000, "[]"), ('"' + "x" * 2_000_000 + '"', "1")])
def test_what_cannot_be_compared_is_none(left: str, right: str) -> None:
    assert differences(left, right) is None


def test_of_very_many_differences_the_first_are_enough() -> None:
    found = differences(json.dumps(list(range(10_000))), json.dumps([-1] * 10_000))
    assert found is not None
    assert len(found) == MOST_LINES + 1
