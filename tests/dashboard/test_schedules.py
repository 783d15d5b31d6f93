from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import AuditEntry, Execution, Schedule, ScheduleRun
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.factories import make_execution, make_function
from tests.html import element, elements, words

LogIn = Callable[..., Client]
LIST = "/schedules/"
TYPED = {
    "name": "nightly",
    "function": "orders",
    "kind": "cron",
    "cron": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "unit": "hours",
    "input_text": '{"batch": 7}',
    "overlap": "SKIP",
    "catch_up": "LATEST",
    "reason": "asked for",
}


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return words(response.content.decode())


def make(name: str = "nightly", **columns: Any) -> Schedule:
    values = {"function": "orders", "every_seconds": 3600, "next_at": timezone.now() + timedelta(hours=1)}
    return Schedule.objects.create(name=name, **(values | columns))


def ran(schedule: Schedule, outcome: str = "STARTED", minutes_ago: float = 1, **columns: Any) -> ScheduleRun:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    return ScheduleRun.objects.create(schedule=schedule, due_at=at, outcome=outcome, **columns)


def page_of(schedule: Schedule) -> str:
    return f"/schedules/{schedule.pk}/"


class TestList:
    def test_each_schedule_says_when_it_runs_and_how_it_went(self, log_in: LogIn) -> None:
        schedule = make(cron="30 2 * * MON-FRI", timezone="Europe/Berlin", every_seconds=None, version=3)
        ran(schedule, execution_id=make_execution(status="SUCCEEDED").pk, minutes_ago=5)
        ran(schedule, "MISSED")
        html = text_of(log_in("Viewer"), LIST)
        for shown in ("At 02:30 on Monday through Friday (Europe/Berlin)", "v3", "in 59 min", "Missed"):
            assert shown in html
        assert element(html, class_="strip")["aria-label"] == "The last 2: succeeded, missed"

    def test_a_paused_one_and_a_late_one_are_marked(self, log_in: LogIn) -> None:
        make("paused-one", paused_at=timezone.now(), paused_by="ana")
        make("late-one", next_at=timezone.now() - timedelta(minutes=10))
        html = text_of(log_in("Viewer"), LIST)
        assert "paused</span>" in html
        assert "late, <time" in html

    def test_without_any_it_says_how_to_make_one(self, log_in: LogIn) -> None:
        assert not elements(text_of(log_in("Viewer"), LIST), href="/schedules/new/")
        html = text_of(log_in("Operator"), LIST)
        assert "No schedules yet" in html
        assert elements(html, href="/schedules/new/")

    def test_the_number_of_queries_is_constant(
        self, log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        client = log_in("Viewer")
        make()
        # Session, user, two for permissions, the schedules, their last times.
        with django_assert_num_queries(6):
            client.get(LIST)
        for number in range(10):
            ran(make(f"s{number}"))
        with django_assert_num_queries(6):
            client.get(LIST)


class TestDetail:
    def test_it_shows_what_became_of_each_time_and_the_next_ones(self, log_in: LogIn) -> None:
        schedule = make(every_seconds=7200, input='{"batch": 7}')
        execution = make_execution(status="FAILED")
        ran(schedule, execution_id=execution.pk, minutes_ago=5)
        ran(schedule, "MISSED", count=1200, note="No scheduler was at work")
        ran(schedule, minutes_ago=9, execution_id=schedule.pk, started_by="ana")
        html = text_of(log_in("Viewer"), page_of(schedule))
        for shown in ("Every 2 hours", "Failed", "1,200 times", "No scheduler was at work", "by hand, ana", "in 1 h"):
            assert shown in html
        assert elements(html, href=f"/executions/{execution.pk}/")
        assert "kept no longer" in html
        assert "batch" not in html
        assert "batch" in text_of(log_in("Payload viewer"), page_of(schedule))

    def test_what_is_due_and_did_not_run_is_told(self, log_in: LogIn) -> None:
        schedule = make(next_at=timezone.now() - timedelta(minutes=10))
        assert "A scheduler has to be at work." in text_of(log_in("Viewer"), page_of(schedule))

    def test_a_schedule_that_does_not_exist_is_404(self, log_in: LogIn) -> None:
        client = log_in("Operator")
        for verb in ("", "edit/", "pause/", "trigger/", "delete/"):
            assert client.get(f"/schedules/01a1ff22-55db-757b-bdda-59e7b76e822a/{verb}").status_code == 404

    def test_it_is_one_click_from_its_function(self, log_in: LogIn) -> None:
        make_function("orders")
        schedule = make()
        assert elements(text_of(log_in("Viewer"), "/functions/orders/"), href=page_of(schedule))


class TestForm:
    @pytest.fixture(autouse=True)
    def function(self, db: None) -> None:
        make_function("orders")

    def test_its_next_times_are_shown_before_anything_is_saved(self, log_in: LogIn) -> None:
        html = words(log_in("Operator").post("/schedules/new/", TYPED | {"check": "1"}).content.decode())
        assert "At 02:30 every day (Europe/Berlin)" in html
        assert html.count("<time") == 16
        assert not Schedule.objects.exists()

    def test_an_operator_makes_one(self, log_in: LogIn) -> None:
        response = log_in("Operator").post("/schedules/new/", TYPED)
        schedule = Schedule.objects.get()
        assert response["Location"] == page_of(schedule)
        assert (schedule.cron, schedule.timezone, schedule.input) == ("30 2 * * *", "Europe/Berlin", '{"batch": 7}')
        assert (schedule.every_seconds, schedule.created_by) == (None, "operator")
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.reason) == ("create_schedule", "asked for")

    def test_a_distance_is_typed_with_its_unit(self, log_in: LogIn) -> None:
        client = log_in("Operator")
        client.post("/schedules/new/", TYPED | {"kind": "every", "every": "3", "unit": "days", "cron": "nonsense"})
        schedule = Schedule.objects.get()
        assert (schedule.every_seconds, schedule.cron) == (3 * 86_400, "")
        form = text_of(client, f"{page_of(schedule)}edit/")
        assert element(form, id="id_every")["value"] == "3"
        assert "selected" in element(form, value="days", tag="option")

    @pytest.mark.parametrize(
        ("field", "typed"),
        [
            ("name", {"name": "with space"}),
            ("name", {"name": ""}),
            ("function", {"function": "nobody-knows"}),
            ("cron", {"cron": "61 * * * *"}),
            ("cron", {"cron": ""}),
            ("timezone", {"timezone": "Mars/Olympus"}),
            ("every", {"kind": "every", "every": "0"}),
            ("every", {"kind": "every", "every": "400", "unit": "days"}),
            ("input_text", {"input_text": "{"}),
            ("version", {"version": "7"}),
            ("overlap", {"overlap": "MAYBE"}),
        ],
    )
    def test_what_cannot_be_meant_is_told_at_its_field_and_nothing_typed_is_lost(
        self, log_in: LogIn, field: str, typed: dict[str, str]
    ) -> None:
        response = log_in("Operator").post("/schedules/new/", TYPED | {"reason": "typed before"} | typed)
        assert response.status_code in {404, 422}
        html = response.content.decode()
        assert elements(html, id=f"id_{field}_error")
        assert "typed before" in html
        assert not Schedule.objects.exists()

    def test_somebody_who_edits_what_another_has_changed_is_told(self, log_in: LogIn) -> None:
        schedule = make()
        client = log_in("Operator")
        revision = element(text_of(client, f"{page_of(schedule)}edit/"), id="id_revision")["value"]
        Schedule.objects.update(revision=2)
        response = client.post(f"{page_of(schedule)}edit/", TYPED | {"revision": revision})
        assert response.status_code == 409
        assert "Somebody has changed the schedule since you looked" in words(response.content.decode())
        response = client.post(f"{page_of(schedule)}edit/", TYPED | {"revision": "2"})
        assert response.status_code == 302
        assert Schedule.objects.get().cron == "30 2 * * *"


class TestActions:
    def test_trigger_leads_to_the_execution(self, log_in: LogIn) -> None:
        make_function("orders")
        schedule = make()
        response = log_in("Operator").post(f"{page_of(schedule)}trigger/", {"reason": "now"})
        assert response["Location"] == f"/executions/{Execution.objects.get().pk}/"
        assert ScheduleRun.objects.get().started_by == "operator"

    def test_pause_resume_and_delete(self, log_in: LogIn) -> None:
        schedule = make()
        client = log_in("Operator")
        client.post(f"{page_of(schedule)}pause/", {"reason": "holidays"})
        html = text_of(client, page_of(schedule))
        assert "Paused by operator" in html
        assert "holidays" in html
        assert client.post(f"{page_of(schedule)}pause/", {}).status_code == 409
        client.post(f"{page_of(schedule)}resume/", {})
        assert client.post(f"{page_of(schedule)}delete/", {})["Location"] == LIST
        assert not Schedule.objects.exists()
        actions = AuditEntry.objects.order_by("at").values_list("action", flat=True)
        assert list(actions) == ["pause_schedule", "resume_schedule", "delete_schedule"]

    @pytest.mark.parametrize("verb", ["pause", "resume", "delete", "trigger", "edit"])
    def test_a_viewer_may_not_and_sees_no_button(self, log_in: LogIn, verb: str) -> None:
        schedule = make()
        client = log_in("Viewer")
        assert client.post(f"{page_of(schedule)}{verb}/").status_code == 403
        assert not elements(text_of(client, page_of(schedule)), id=verb)

    def test_looking_changes_nothing(self, log_in: LogIn) -> None:
        schedule = make()
        client = log_in("Operator")
        for verb in ("pause", "delete", "trigger"):
            assert client.get(f"{page_of(schedule)}{verb}/").status_code == 200
        assert Schedule.objects.get().paused_at is None
        assert not Execution.objects.exists()


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if "/" not in text])
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    schedule = make(
        "hostile", function=hostile, input=hostile, paused_by=hostile, paused_at=timezone.now(), created_by=hostile
    )
    ran(schedule, "REFUSED", note=hostile, started_by=hostile)
    client = log_in("Operator", "Payload viewer")
    for url in (LIST, page_of(schedule), f"{page_of(schedule)}edit/", f"{page_of(schedule)}resume/"):
        assert executable_parts(client.get(url).content.decode()) == []
    assert executable_parts(client.post("/schedules/new/", dict.fromkeys(TYPED, hostile)).content.decode()) == []


class TestMaskedInput:
    def test_it_is_hidden_on_the_page_and_kept_by_an_edit_of_something_else(self, log_in: LogIn) -> None:
        make_function("orders", config={"masked_keys": ["iban"]})
        schedule = make(input='{"iban": "DE02", "day": 1}')
        client = log_in("Operator", "Payload viewer")
        for url in (page_of(schedule), f"{page_of(schedule)}edit/"):
            html = text_of(client, url)
            assert "DE02" not in html
            assert "•••" in html
        typed = TYPED | {"revision": "1", "input_text": '{"iban": "•••", "day": 1}\r\n'}
        assert client.post(f"{page_of(schedule)}edit/", typed).status_code == 302
        assert Schedule.objects.get().input == '{"iban": "DE02", "day": 1}'

    def test_a_mask_is_never_stored(self, log_in: LogIn) -> None:
        make_function("orders", config={"masked_keys": ["iban"]})
        schedule = make(input='{"iban": "DE02", "day": 1}')
        typed = TYPED | {"revision": "1", "input_text": '{"iban": "•••", "day": 2}'}
        response = log_in("Operator").post(f"{page_of(schedule)}edit/", typed)
        assert response.status_code == 422
        assert elements(response.content.decode(), id="id_input_text_error")
