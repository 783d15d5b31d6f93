"""Another window of a long timeline, as a page that shows one fetches it."""

import gzip

from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from tests.dashboard.conftest import LogIn
from tests.html import element, words
from tests.seeds import Story


def test_another_window_of_a_timeline_comes_without_the_page_around_it_and_is_small(
    log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    story, client = Story(began=10_000).steps(900, failing=(450,)), log_in("Viewer")
    address = reverse("dashboard:execution-window", args=[story.id])
    response = client.get(f"{address}?start=401")
    html = response.content.decode()
    assert html.count('class="timeline-row"') == 200
    assert "402 to 601 of 900" in words(html)
    regions = ("outline-bar", "timeline-window", "execution-poll")
    assert all(element(html, id=region)["hx-swap-oob"] == "true" for region in regions)
    assert len(gzip.compress(response.content)) < 5 * 1024
    # Where the minimap marks it.
    assert element(html, id="timeline-window")["data-view-x"].endswith("%")
    # Session, user, two for permissions; revision, execution; the outline within its savepoint, its operations.
    with django_assert_num_queries(12):
        client.get(f"{address}?start=1")
