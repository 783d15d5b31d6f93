import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import Rollup
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.html import element, elements, words
from tests.seeds import Story, order_that_failed, order_that_succeeded

LogIn = Callable[..., Client]
PAGE = "/metrics/"


def text_of(client: Client, url: str = PAGE) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return words(response.content.decode())


def chart(html: str, name: str) -> Any:
    """The data of one chart, as the script reads it."""
    _, _, rest = html.partition(f'<script id="chart-{name}" type="application/json">')
    return json.loads(rest.partition("</script>")[0])


def counted(hours_ago: float, function: str = "orders", version: int = 1, **counts: object) -> None:
    at = (timezone.now() - timedelta(hours=hours_ago)).replace(minute=0, second=0, microsecond=0)
    for width in (60, 3600):
        Rollup.objects.create(width_seconds=width, starts_at=at, function=function, version=version, **counts)


def test_outcomes_and_percentiles_are_drawn_in_steps_without_gaps(log_in: LogIn) -> None:
    counted(2, started=100, succeeded=90, failed=10, durations={"48": 50, "72": 49, "96": 1})
    html = text_of(log_in("Viewer"))
    outcomes, durations = chart(html, "outcomes"), chart(html, "durations")
    assert 90 <= len(outcomes["x"]) <= 100
    assert {trace["name"]: sum(trace["y"]) for trace in outcomes["traces"]} == {
        "Started": 100,
        "Succeeded": 90,
        "Stopped": 0,
        "Timed out": 0,
        "Failed": 10,
    }
    found = {trace["name"]: [each for each in trace["y"] if each is not None] for trace in durations["traces"]}
    assert found["Median"] == [pytest.approx(0.1, rel=0.05)]
    assert found["95th percentile"] == [pytest.approx(1.0, rel=0.05)]


def test_single_executions_are_points_and_spans_that_lead_to_them(log_in: LogIn) -> None:
    good, bad, live = order_that_succeeded(began=3600), order_that_failed(began=1800), Story("slow", began=600)
    html = text_of(log_in("Viewer"))
    scatter, axis = chart(html, "scatter"), chart(html, "axis")
    assert {trace["name"]: trace["urls"] for trace in scatter["traces"]} == {
        "Succeeded": [f"/executions/{good.id}/"],
        "Failed": [f"/executions/{bad.id}/"],
    }
    assert {trace["name"]: trace["urls"] for trace in axis["traces"]}["Running"] == [f"/executions/{live.id}/"]
    assert axis["rows"] == 3
    assert elements(html, href=f"/executions/{live.id}/")


def test_a_sample_says_that_it_is_one(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(12):
        order_that_succeeded(began=3600)
    client = log_in("Viewer")
    assert "a sample of 10" in text_of(client)
    monkeypatch.setattr("durable_engine.queries.samples.EACH", 50)
    assert "all 12" in text_of(client)


def test_function_version_and_time_narrow_everything(log_in: LogIn) -> None:
    counted(2, "orders", 1, started=11, succeeded=11)
    counted(2, "orders", 2, started=22, succeeded=22)
    counted(2, "refunds", 1, started=33, succeeded=33)
    counted(50, "orders", 1, started=44, succeeded=44)
    order_that_succeeded(began=3600)
    client = log_in("Viewer")

    def started(**query: str) -> int:
        html = text_of(client, f"{PAGE}?{urlencode(query)}")
        return sum(chart(html, "outcomes")["traces"][-1]["y"])

    assert started() == 66
    assert started(function="orders") == 33
    assert started(function="orders", version="2") == 22
    assert started(range="7d") == 110
    now = timezone.now()
    window = {"from": (now - timedelta(hours=52)).isoformat(), "to": (now - timedelta(hours=48)).isoformat()}
    assert started(**window) == 44
    html = text_of(client, f"{PAGE}?function=orders&version=2")
    assert chart(html, "scatter")["traces"] == []
    assert "version=2" in element(html, class_="button button-small no-print")["href"]


@pytest.mark.parametrize(
    "query",
    [
        "from=x&to=y",
        "from=2026-01-01&to=2020-01-01",
        "from=0001-01-01&to=9999-12-31",
        "from=2026-11-01T10:00&to=2026-11-01T10:00:01",
        "range=%00",
        "function=%00&version=-1",
        "function=a&version=99999999999999",
        "function=a&version=²",
    ],
)
def test_a_mangled_query_string_still_gives_a_page(log_in: LogIn, query: str) -> None:
    order_that_succeeded(began=600)
    assert log_in("Viewer").get(f"{PAGE}?{query}").status_code == 200


def test_without_anything_it_offers_a_longer_time(log_in: LogIn) -> None:
    html = text_of(log_in("Viewer"))
    assert "Nothing happened in this time" in html
    assert not elements(html, data_chart="chart-outcomes")


def test_the_number_of_queries_is_constant(log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client = log_in("Viewer")
    order_that_succeeded(began=600)
    # Session, user, two for permissions, functions, figures and their durations twice, ended, begun.
    with django_assert_num_queries(11):
        client.get(PAGE)
    for number in range(20):
        order_that_succeeded(began=600)
        counted(3, f"f{number}", started=3, succeeded=3, durations={"5": 3})
    with django_assert_num_queries(11):
        client.get(PAGE)


def test_people_without_the_right_and_other_methods_are_refused(log_in: LogIn) -> None:
    assert log_in().get(PAGE).status_code == 403
    assert log_in("Viewer").post(PAGE).status_code == 405


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    Story(hostile, name=hostile[:64], began=600).close("FAILED", 1, type=hostile)
    counted(1, hostile, started=3)
    counted(1, hostile, 2, started=3)
    client = log_in("Viewer")
    for url in (PAGE, f"{PAGE}?{urlencode({'function': hostile, 'version': 2})}"):
        assert executable_parts(client.get(url).content.decode()) == []


def test_the_bundle_of_the_installed_package_is_served_and_nothing_else_of_it() -> None:
    found = finders.find("plotly/plotly.min.js")
    assert isinstance(found, str)
    assert found.endswith("package_data/plotly.min.js")
    assert not finders.find("plotly/datasets/iris.csv.gz")
    assert not finders.find("plotly/../__init__.py")
    listed = [path for finder in finders.get_finders() for path, _ in finder.list([]) if "plotly" in path]
    assert listed == ["plotly.min.js"]
