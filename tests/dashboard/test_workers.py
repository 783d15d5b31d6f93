from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from durable_engine.models import SchedulerProcess, Slot
from tests.dashboard.corpus import HOSTILE, executable_parts
from tests.factories import make_execution, make_running, make_worker
from tests.html import words
from tests.seeds import Story

LogIn = Callable[..., Client]
PAGE = "/workers/"


def text_of(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    return words(response.content.decode())


def test_each_worker_says_what_it_serves_and_runs(log_in: LogIn) -> None:
    worker = make_worker(hostname="alpha", functions=["orders:1", "refunds:2"], queues=["durable", "gpu"], release="9")
    for _ in range(3):
        make_running(make_execution(), worker)
    html = text_of(log_in("Viewer"))
    for shown in ("alpha:4711", "durable, gpu", "refunds:2", '"Release">9</td>', '"Runs now">3</td>', "live</span>"):
        assert shown in html


def test_silent_stopping_and_stopped_workers_are_told_apart(log_in: LogIn) -> None:
    make_worker(hostname="silent", last_seen=timezone.now() - timedelta(seconds=settings.DURABLE_LEASE_SECONDS * 0.9))
    make_worker(hostname="stopping", draining=True)
    make_worker(hostname="gone", lost_at=timezone.now(), exit_reason="killed by signal 9")
    make_worker(hostname="long-gone", lost_at=timezone.now() - timedelta(days=3))
    html = text_of(log_in("Viewer"))
    for shown in ("silent</span>", "stopping</span>", "gone:4711", "killed by signal 9"):
        assert shown in html
    assert "long-gone" not in html


def test_queues_show_what_is_ready_and_which_nobody_serves(log_in: LogIn) -> None:
    make_worker(queues=["durable"])
    make_execution(queue="durable", ready_at=timezone.now() - timedelta(minutes=5))
    make_execution(queue="forgotten")
    make_execution(queue="durable", ready_at=timezone.now() + timedelta(hours=1))
    html = text_of(log_in("Viewer")).partition('id="queues-title"')[2].partition("</table>")[0]
    durable, forgotten = html.partition("forgotten")[0], html.partition("forgotten")[2]
    assert "5 minutes ago" in durable
    assert "none</strong>" in forgotten
    assert "none</strong>" not in durable


def test_versions_that_are_needed_and_served_by_nobody_are_told(log_in: LogIn) -> None:
    make_worker(functions=["orders:2"])
    Story("orders", version=1).stand("SUSPENDED")
    Story("orders", version=2).stand("SUSPENDED")
    Story("orders", version=1).close("SUCCEEDED", 1)
    html = text_of(log_in("Viewer"))
    assert "Needed, and served by nobody" in html
    assert "Workers serve v2." in html
    assert "1 live execution</a>" in html


def test_limits_and_schedulers_are_shown(log_in: LogIn) -> None:
    make_worker()
    execution = make_running(make_execution())
    Slot.objects.create(limit_key="orders/A-1", number=1, execution_id=execution.pk, fence=execution.fence)
    SchedulerProcess.objects.create(hostname="beta", pid=7, slowest_round_seconds=0.25)
    html = text_of(log_in("Viewer"))
    for shown in ("orders/A-1", "beta:7", "250 ms"):
        assert shown in html


def test_with_nothing_it_says_what_to_start(log_in: LogIn) -> None:
    html = text_of(log_in("Viewer"))
    assert "No worker is running" in html
    assert "manage.py run_scheduler" in html
    assert "Needed, and served by nobody" not in html


def test_the_number_of_queries_is_constant(log_in: LogIn, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    client = log_in("Viewer")
    # Session, user, two for permissions, seven for the processes, two for limits.
    with django_assert_num_queries(13):
        client.get(PAGE)
    for number in range(6):
        make_running(make_execution(function=f"f{number}", queue=f"q{number}"))
        make_execution(queue=f"q{number}")
    with django_assert_num_queries(13):
        client.get(PAGE)


def test_people_without_the_right_are_refused(log_in: LogIn) -> None:
    assert log_in("Approver").get(PAGE).status_code == 403
    assert log_in("Viewer").post(PAGE).status_code == 405


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_stay_texts(log_in: LogIn, hostile: str) -> None:
    make_worker(hostname=hostile, functions=["a:1"], queues=[hostile], release=hostile[:64])
    make_worker(hostname=hostile, lost_at=timezone.now(), exit_reason=hostile)
    SchedulerProcess.objects.create(hostname=hostile, pid=1, release=hostile[:64])
    Story(hostile).stand("SUSPENDED")
    make_execution(queue=hostile[:64])
    assert executable_parts(log_in("Viewer").get(PAGE).content.decode()) == []
