from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client, override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.factories import make_function
from tests.html import element, elements, words
from tests.seeds import order_that_succeeded

LogIn = Callable[..., Client]
PAGE = "/settings/"
STORAGE = "/settings/storage/"


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return words(response.content.decode())


class TestPreferences:
    def choose(self, client: Client, **choice: str) -> None:
        response = client.post(PAGE, {"zone": "UTC", "times": "relative", "theme": ""} | choice)
        assert response["Location"] == PAGE

    def test_times_are_shown_in_the_chosen_zone_on_every_page(self, log_in: LogIn) -> None:
        story = order_that_succeeded()
        client = log_in("Viewer")
        self.choose(client, zone="Asia/Kathmandu")
        local = story.start.astimezone(timezone.get_fixed_timezone(5 * 60 + 45))
        for url in ("/executions/", f"/executions/{story.id}/"):
            assert f'title="{local:%Y-%m-%d %H:%M:%S} +0545"' in text_of(client, url)
        assert ">+0545</a>" in text_of(client, PAGE)

    def test_a_request_after_that_of_another_person_has_its_own_zone(self, log_in: LogIn) -> None:
        order_that_succeeded()
        far, near = log_in("Viewer"), log_in("Operator")
        self.choose(far, zone="Asia/Kathmandu", times="absolute")
        far.get("/executions/")
        html = text_of(near, "/executions/")
        assert "UTC" in html
        assert "+0545" not in html
        assert "data-relative" in html

    def test_dates_instead_of_distances_if_one_wants_them(self, log_in: LogIn) -> None:
        story = order_that_succeeded(began=3600)
        client = log_in("Viewer")
        self.choose(client, times="absolute")
        html = text_of(client, "/executions/")
        assert f"{story.start:%Y-%m-%d %H:%M:%S} UTC</time>" in html
        assert 'title="1 hour ago"' in html
        assert "data-relative" not in html

    def test_what_was_chosen_is_chosen_on_the_page(self, log_in: LogIn) -> None:
        client = log_in("Viewer")
        self.choose(client, zone="Europe/Berlin", times="absolute", theme="dark")
        html = text_of(client, PAGE)
        assert "selected" in element(html, value="Europe/Berlin")
        assert "checked" in element(html, value="absolute")
        assert element(html, tag="html")["data-theme"] == "dark"

    @pytest.mark.parametrize("choice", [{"zone": "Mars/Olympus"}, {"times": "sometimes"}, {"theme": "pink"}])
    def test_what_is_none_of_the_choices_is_refused(self, log_in: LogIn, choice: dict[str, str]) -> None:
        client = log_in("Viewer")
        response = client.post(PAGE, {"zone": "UTC", "times": "relative", "theme": ""} | choice)
        assert response.status_code == 422
        assert "zone" not in client.cookies

    @pytest.mark.parametrize("zone", ["../../etc/passwd", "", "Mars/Olympus", "UTC\r\nx"])
    def test_a_cookie_that_somebody_made_up_is_ignored(self, log_in: LogIn, zone: str) -> None:
        client = log_in("Viewer")
        client.cookies["zone"] = zone
        client.cookies["times"] = "<script>"
        client.cookies["theme"] = '"><script>'
        html = text_of(client, PAGE)
        assert ">UTC</a>" in html
        assert "<script>" not in html

    def test_everybody_who_is_logged_in_may(self, log_in: LogIn, client: Client) -> None:
        assert log_in().get(PAGE).status_code == 200
        assert client.get(PAGE).status_code == 302


class TestStorage:
    def test_it_shows_retention_sizes_and_counts(self, log_in: LogIn) -> None:
        order_that_succeeded()
        make_function("reports", config={"retention_seconds": 3600.0})
        with override_settings(DURABLE_RETENTION_DAYS=30.0):
            html = text_of(log_in("Viewer"), STORAGE)
        for shown in (
            "30 days",
            "durable_event",
            "approval_request",
            "reports v1",
            "1 h 00 min",
            "Postgres",
            "Succeeded",
        ):
            assert shown in html
        with override_settings(DURABLE_RETENTION_DAYS=None):
            assert "for ever" in text_of(log_in("Operator"), STORAGE)

    def test_the_number_of_queries_is_constant(
        self, log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = log_in("Viewer")
        # Session, user, two for permissions, functions, database, tables, counts.
        with django_assert_num_queries(8):
            client.get(STORAGE)

    def test_people_without_the_right_are_refused_and_see_no_tab(self, log_in: LogIn) -> None:
        client = log_in("Approver")
        assert client.get(STORAGE).status_code == 403
        assert not elements(text_of(client, PAGE), href=STORAGE)


def test_dates_typed_into_filters_are_meant_in_the_chosen_zone(log_in: LogIn) -> None:
    from durable_engine.models import AuditEntry

    entry = AuditEntry.objects.create(actor="ana", channel="dashboard", action="stop_execution")
    AuditEntry.objects.filter(pk=entry.pk).update(at=datetime(2026, 1, 9, 20, 0, tzinfo=UTC))
    client = log_in("Administrator")
    assert "Stop execution</td>" not in text_of(client, "/audit/?from=2026-01-10")
    client.cookies["zone"] = "Asia/Kathmandu"  # where it is the tenth already
    assert "ana" in text_of(client, "/audit/?from=2026-01-10").partition("<tbody>")[2]
