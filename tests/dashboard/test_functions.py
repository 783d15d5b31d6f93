from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import AuditEntry, FunctionPause, Rollup
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.factories import make_function, make_worker
from tests.html import element, elements, words
from tests.seeds import group_of

LogIn = Callable[..., Client]
LIST = "/functions/"
ONE = "/functions/orders/"


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return words(response.content.decode())


def counted(function: str = "orders", *, version: int = 1, hours_ago: float = 1.0, **counts: object) -> None:
    """What the sweep wrote for an hour and its first minute."""
    at = (timezone.now() - timedelta(hours=hours_ago)).replace(minute=0, second=0, microsecond=0)
    for width in (60, 3600):
        Rollup.objects.create(width_seconds=width, starts_at=at, function=function, version=version, **counts)


class TestList:
    def test_each_function_has_its_figures_of_a_day(self, log_in: LogIn) -> None:
        make_function("orders", 2, description="Takes an order.\n\nMore.")
        make_worker(functions=["orders:2"])
        counted(started=1500, succeeded=990, failed=10, durations={"72": 1000})
        counted(hours_ago=30, started=7777)
        html = text_of(log_in("Viewer"), LIST)
        for shown in ("Takes an order.", "v2", "1,500", "1.0 %", "1 s"):
            assert shown in html
        assert "7,777" not in html
        assert elements(html, href=ONE)

    def test_a_paused_function_and_one_without_workers_are_marked(self, log_in: LogIn) -> None:
        make_function("orders")
        FunctionPause.objects.create(function="orders", paused_by="ana")
        html = text_of(log_in("Viewer"), LIST)
        assert "paused</span>" in html
        assert ">none</span>" in html

    def test_the_number_of_queries_is_constant(
        self, log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = log_in("Viewer")
        make_function("orders")
        # Session, user, two for permissions, two of figures, one of their course, functions, workers, pauses.
        with django_assert_num_queries(10):
            client.get(LIST)
        for number in range(20):
            make_function(f"f{number}")
            counted(f"f{number}", started=3, succeeded=3, durations={"5": 3})
        with django_assert_num_queries(10):
            client.get(LIST)


class TestDetail:
    def test_it_shows_versions_with_their_failures_and_durations(self, log_in: LogIn) -> None:
        make_function("orders", 1)
        make_function("orders", 2, config={"execution_timeout_seconds": 90.0}, fingerprint="abcdef0123456789")
        counted(version=1, started=5, succeeded=5, durations={"72": 5})
        counted(version=2, started=10, succeeded=5, failed=5, durations={"96": 10})
        html = text_of(log_in("Viewer"), ONE)
        for shown in ("abcdef012345", "1 min 30 s", "50 %", "9.9 s", "15</dd>"):
            assert shown in html

    def test_the_range_is_chosen_by_the_address(self, log_in: LogIn) -> None:
        make_function("orders")
        counted(hours_ago=50, started=4321)
        client = log_in("Viewer")
        assert "4,321" not in text_of(client, ONE)
        assert "4,321" in text_of(client, f"{ONE}?range=7d")
        assert text_of(client, f"{ONE}?range=nonsense").count('aria-current="true"') == 1

    def test_its_open_failures_are_one_click_away(self, log_in: LogIn) -> None:
        make_function("orders")
        group, other = group_of("orders"), group_of("refunds")
        html = text_of(log_in("Viewer"), ONE)
        assert elements(html, href=f"/failures/{group.id}/")
        assert not elements(html, href=f"/failures/{other.id}/")

    def test_a_function_nobody_knows_is_404(self, log_in: LogIn) -> None:
        client = log_in("Operator")
        for url in ("/functions/nobody/", "/functions/nobody/pause/", "/functions/%00/"):
            assert client.get(url).status_code == 404

    def test_the_number_of_queries_is_constant(
        self, log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = log_in("Viewer")
        make_function("orders")
        group_of("orders")
        # Session, user, permissions twice; function, workers, pauses; figures four times; versions, groups, schedules.
        with django_assert_num_queries(17):
            client.get(ONE)
        for number in range(2, 9):
            make_function("orders", number)
            group_of("orders")
            counted(version=number, started=3, succeeded=3, durations={"5": 3})
        with django_assert_num_queries(17):
            client.get(ONE)


class TestPause:
    def test_an_operator_pauses_with_a_reason_and_resumes(self, log_in: LogIn) -> None:
        make_function("orders")
        client = log_in("Operator")
        assert elements(text_of(client, ONE), id="pause")
        assert "Refuse new executions" in text_of(client, f"{ONE}pause/")
        assert not FunctionPause.objects.exists()
        client.post(f"{ONE}pause/", {"reason": "wrong prices", "refuse_starts": "on"})
        html = text_of(client, ONE)
        for shown in ("Paused by operator", "wrong prices", "New executions are refused."):
            assert shown in html
        assert not elements(html, id="pause")
        client.post(f"{ONE}resume/", {})
        assert not FunctionPause.objects.exists()
        assert [entry.action for entry in AuditEntry.objects.order_by("at")] == ["pause_function", "resume_function"]

    def test_somebody_who_comes_second_is_told(self, log_in: LogIn) -> None:
        make_function("orders")
        FunctionPause.objects.create(function="orders", paused_by="bob")
        response = log_in("Operator").post(f"{ONE}pause/", {"reason": "mine", "refuse_starts": "on"})
        html = words(response.content.decode())
        assert response.status_code == 409
        assert "paused already, by bob" in html
        assert "mine" in html
        assert "checked" in element(html, name="refuse_starts")

    def test_a_start_from_the_form_is_refused_with_the_reason(self, log_in: LogIn) -> None:
        make_function("orders")
        FunctionPause.objects.create(function="orders", paused_by="bob", reason="wrong prices", refuses_starts=True)
        response = log_in("Operator").post(f"{ONE}start/", {"as": "json", "text": "{}"})
        assert response.status_code == 409
        assert "paused by bob: wrong prices" in words(response.content.decode())

    @pytest.mark.parametrize("verb", ["pause", "resume"])
    def test_a_viewer_may_not(self, log_in: LogIn, verb: str) -> None:
        make_function("orders")
        client = log_in("Viewer")
        assert client.post(f"{ONE}{verb}/").status_code == 403
        assert not elements(text_of(client, ONE), id=verb)


def test_what_stands_in_backticks_in_a_docstring_is_code(log_in: LogIn) -> None:
    make_function("orders", description="Takes one.\n\nSee `manage.py <b>` first, a lone ` stays.")
    html = log_in("Viewer").get(ONE).content.decode()
    assert "<p>See <code>manage.py &lt;b&gt;</code> first, a lone ` stays.</p>" in html


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if "/" not in text])
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    make_function(hostile, description=hostile, fingerprint=hostile[:64], config={"queue": hostile})
    FunctionPause.objects.create(function=hostile, paused_by=hostile, reason=hostile)
    client = log_in("Operator")
    for url in (LIST, f"/functions/{hostile}/", f"/functions/{hostile}/resume/"):
        assert executable_parts(client.get(url).content.decode()) == []
