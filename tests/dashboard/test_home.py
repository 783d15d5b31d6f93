from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import Rollup, Schedule, SchedulerProcess, ScheduleRun, Worker
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.factories import make_worker
from tests.html import element, elements, words
from tests.seeds import Story, document_that_waits, group_of

LogIn = Callable[..., Client]
LONG_AGO = timedelta(minutes=5)


@pytest.fixture
def processes(db: None) -> Worker:
    """A worker that serves `order-processing`, and a scheduler."""
    SchedulerProcess.objects.create(hostname="host", pid=1)
    return make_worker(functions=["order-processing:1"])


def home(client: Client) -> str:
    response = client.get("/")
    assert response.status_code == 200
    return words(response.content.decode())


def test_when_all_is_well_it_says_so(log_in: LogIn, processes: Worker) -> None:
    Story().close("SUCCEEDED", 1)
    html = home(log_in("Viewer"))
    assert "Nothing does." in html
    assert "1 live" in html


def test_missing_processes_come_first(log_in: LogIn) -> None:
    html = home(log_in("Viewer"))
    assert html.index("No worker is running") < html.index("No scheduler is running")


def test_a_scheduler_that_stopped_or_fell_silent_is_none(log_in: LogIn, processes: Worker) -> None:
    SchedulerProcess.objects.update(last_seen=timezone.now() - LONG_AGO)
    SchedulerProcess.objects.create(hostname="host", pid=2, stopped_at=timezone.now())
    assert "No scheduler is running" in home(log_in("Viewer"))


def test_paused_executions_are_counted_by_what_paused_them_and_one_click_away(log_in: LogIn, processes: Worker) -> None:
    for kind in ("crashes", "divergence", "divergence"):
        Story().stand("PAUSED", pause_kind=kind, paused_at=timezone.now())
    html = home(log_in("Viewer"))
    assert "2 paused because the code no longer matches" in html
    assert "1 paused because their worker kept dying" in html
    assert elements(html, href="/executions/?status=PAUSED")


@pytest.mark.parametrize(
    ("functions", "queues", "reason"),
    [
        (["other:1"], ["durable"], "no live worker serves version 1"),
        (["order-processing:1"], ["slow"], "no live worker takes from the queue durable"),
        (["order-processing:1"], ["durable"], "every worker is busy"),
    ],
)
def test_what_waits_long_for_a_worker_is_told_with_the_reason(
    log_in: LogIn, processes: Worker, functions: list[str], queues: list[str], reason: str
) -> None:
    Worker.objects.update(functions=functions, queues=queues)
    Story().stand("PENDING", ready_at=timezone.now() - LONG_AGO)
    Story("just-now").stand("PENDING", ready_at=timezone.now())
    viewer = log_in("Viewer")
    html = home(viewer)
    assert f"1 execution of order-processing is ready to run, but {reason}" in html
    assert "just-now" not in html
    Story().stand("PENDING", ready_at=timezone.now() - LONG_AGO)
    assert f"2 executions of order-processing are ready to run, but {reason}" in home(viewer)


def test_timers_that_nobody_fires_and_workers_nobody_hears_are_told(log_in: LogIn, processes: Worker) -> None:
    silence = timedelta(seconds=settings.DURABLE_LEASE_SECONDS * 0.9)
    silent = make_worker(last_seen=timezone.now() - silence)
    Story().stand("RUNNING", worker_id=silent.pk)
    Story().stand("SUSPENDED", wake_at=timezone.now() - LONG_AGO)
    html = home(log_in("Viewer"))
    assert "1 running on workers that are not heard of" in html
    assert "1 asleep though their time has come" in html


def test_a_schedule_whose_last_time_went_wrong_is_told(log_in: LogIn, processes: Worker) -> None:
    good, bad = (Schedule.objects.create(name=name, function="orders", every_seconds=60) for name in ("fine", "broken"))
    now = timezone.now()
    ScheduleRun.objects.create(schedule=bad, due_at=now, outcome="REFUSED", note="There is no function orders.")
    ScheduleRun.objects.create(schedule=good, due_at=now - LONG_AGO, outcome="REFUSED")
    ScheduleRun.objects.create(schedule=good, due_at=now, outcome="STARTED")
    html = home(log_in("Viewer"))
    assert "Schedule broken: its last time was refused" in html
    assert "There is no function orders." in html
    assert "Schedule fine" not in html


def test_approvals_are_shown_to_those_who_may_answer(log_in: LogIn, processes: Worker) -> None:
    document_that_waits()
    assert "approve-document" in home(log_in("Approver"))
    assert "approve-document" not in home(log_in("Viewer"))


def test_what_failed_lately_is_shown_by_what_looks_alike(log_in: LogIn, processes: Worker) -> None:
    recent, old = group_of("orders"), group_of("old", last_seen=timezone.now() - timedelta(days=2))
    group_of("hushed", status="MUTED")
    html = home(log_in("Viewer"))
    assert f"/failures/{recent.id}/" in html
    assert f"/failures/{old.id}/" not in html
    assert "hushed" not in html


def test_the_last_hours_are_shown_in_figures_and_as_a_table(log_in: LogIn, processes: Worker) -> None:
    at = timezone.now() - timedelta(hours=1)
    common = {"width_seconds": 60, "starts_at": at.replace(second=0, microsecond=0), "version": 1}
    Rollup.objects.create(function="a", started=1200, succeeded=1000, failed=10, durations={"72": 1010}, **common)
    Rollup.objects.create(function="b", succeeded=200, timed_out=90, durations={"72": 290}, **common)
    html = home(log_in("Viewer"))
    for shown in ("1,200", "100 <span", "7.7 %", "<dd>1 s</dd>"):
        assert shown in html
    assert element(html, class_="bars")["aria-label"].endswith("1,200 succeeded, 100 failed or timed out")
    assert "As a table" in html


def test_the_number_of_queries_does_not_depend_on_the_number_of_executions(
    log_in: LogIn, processes: Worker, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = log_in("Viewer")
    group_of("orders")
    # Session, user, two for permissions, the revision, seven facts, three for groups of failures, two for the rollups;
    # one for schedules; seven for what waits for the reader.
    with django_assert_num_queries(25):
        client.get("/")
    for number in range(5):
        Story(f"f{number}").stand("PENDING", ready_at=timezone.now() - LONG_AGO)
        Story().stand("PAUSED", pause_kind="crashes", paused_at=timezone.now())
        group_of(f"f{number}")
    with django_assert_num_queries(25):
        client.get("/")


def test_a_poll_answers_204_after_one_query_until_something_changes(
    log_in: LogIn, processes: Worker, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = log_in("Viewer")
    poll = element(home(client), id="home-poll")
    url = f"{poll['data-url']}?v={poll['data-version']}"
    with django_assert_num_queries(5):
        assert client.get(url).status_code == 204
    Story().stand("PAUSED", pause_kind="crashes", paused_at=timezone.now())
    assert "kept dying" in client.get(url).content.decode()


def test_people_who_may_not_see_executions_are_led_to_what_they_decide(log_in: LogIn) -> None:
    assert log_in().get("/")["Location"] == "/approvals/"
    assert log_in("Viewer").post("/").status_code == 405


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: LogIn, processes: Worker, hostile: str) -> None:
    Story(hostile).stand("PENDING", ready_at=timezone.now() - LONG_AGO, queue=hostile[:64])
    Story().stand("PAUSED", pause_kind=hostile[:32], paused_at=timezone.now())
    Story(hostile).callback("2", hostile, 1)
    assert executable_parts(home(log_in("Viewer", "Approver"))) == []


def test_the_menu_has_what_a_person_may_open_and_marks_where_they_are(log_in: LogIn, processes: Worker) -> None:
    def entries(html: str) -> set[str]:
        return {link["href"] for link in elements(html, tag="a") if link.get("href", "").count("/") <= 2}

    viewer, approver = home(log_in("Viewer")), home(log_in("Approver"))
    assert "/functions/" in entries(viewer)
    # Anybody can be asked to decide something.
    assert "/approvals/" in entries(viewer)
    assert "/approvals/" in entries(approver)
    assert "/functions/" not in entries(approver)
    assert 'href="/" aria-current="page"' in viewer
