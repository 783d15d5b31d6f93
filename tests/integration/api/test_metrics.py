"""Prometheus reads the figures: who may, that they parse and are right, and that they cost the same at any size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings
from uuid_utils.compat import uuid7

from durable_engine.api.exposition import BUCKETS, buckets_of
from durable_engine.api.metrics import latest
from durable_engine.config.env import BASE_DIR
from durable_engine.models import OutboxMessage, Rollup, SchedulerProcess, Slot, Worker
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.api_keys import create_api_key
from durable_engine.storage import attention
from durable_engine.storage.figures import Figures
from tests.factories import make_callback, make_execution

pytestmark = pytest.mark.django_db

PATH = "/metrics/prometheus"
Samples = dict[tuple[str, ...], float]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No answer of another test is given out again."""
    latest.forget()
    yield
    latest.forget()


def bearer(*scopes: str, functions: tuple[str, ...] = ()) -> dict[str, str]:
    pair = create_api_key("prometheus", actor=PYTHON_CODE, scopes=scopes, functions=functions)
    return {"Authorization": f"Bearer {pair.key.access_key_id}.{pair.secret}"}


def scrape() -> Samples:
    """Every sample by its name and the values of its labels."""
    latest.forget()
    response = Client().get(PATH, headers=bearer("metrics"))
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    families = list(text_string_to_metric_families(response.content.decode()))
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


class TestAccess:
    def test_nobody_reads_them_without_a_key(self, admin_client: Client) -> None:
        assert Client().get(PATH).status_code == 403
        assert admin_client.get(PATH).status_code == 403

    def test_a_key_for_something_else_is_told_what_it_lacks(self) -> None:
        response = Client().get(PATH, headers=bearer("read", "start"))

        assert response.status_code == 403
        assert "lacks the scope 'metrics'" in response.json()["message"]

    def test_a_key_for_some_functions_is_refused(self) -> None:
        response = Client().get(PATH, headers=bearer("metrics", functions=("orders",)))

        assert response.status_code == 403
        assert "without --function" in response.json()["message"]

    def test_a_key_for_the_figures_reads_nothing_else(self) -> None:
        headers = bearer("metrics")

        assert Client().get("/2015-03-31/functions", headers=headers).status_code == 403
        assert Client().post(PATH, headers=headers).status_code == 405

    def test_a_key_that_asks_too_often_is_slowed_down(self, settings: Settings) -> None:
        settings.DURABLE_API_REQUESTS_PER_SECOND = 1
        headers = bearer("metrics")

        answers = {Client().get(PATH, headers=headers).status_code for _ in range(20)}
        assert answers == {200, 429}

    def test_it_is_asked_from_inside_without_tls(self, settings: Settings) -> None:
        settings.SECURE_SSL_REDIRECT = True

        assert Client().get(PATH, headers=bearer("metrics")).status_code == 200
        assert Client().get("/metrics/").status_code == 301


class TestFigures:
    def test_an_empty_installation_has_figures_too(self) -> None:
        found = scrape()

        assert found["perdure_executions", "SUSPENDED"] == 0
        assert found["perdure_workers", "serving"] == 0
        assert found["perdure_scheduler_lag_seconds",] == 0

    def test_executions_queues_and_processes(self, settings: Settings) -> None:
        settings.DURABLE_LEASE_SECONDS, settings.DURABLE_HEARTBEAT_SECONDS = 3600, 600
        now = timezone.now()
        make_execution(ready_at=now - timedelta(seconds=300), queue="slow")
        make_execution(ready_at=now + timedelta(hours=1))
        make_execution(status="SUSPENDED", ready_at=None, wake_at=now - timedelta(seconds=90))
        make_execution(status="PAUSED", ready_at=None, pause_kind="divergence", paused_at=now)
        for queues, silent, draining in ((["durable", "slow"], 0, False), (["slow"], 0, True), (["slow"], 1800, False)):
            Worker.objects.create(
                hostname="a", pid=1, queues=queues, draining=draining, last_seen=now - timedelta(seconds=silent)
            )
        SchedulerProcess.objects.create(
            hostname="a", pid=2, slowest_round_seconds=0.25, last_seen=now + timedelta(minutes=5)
        )
        SchedulerProcess.objects.create(hostname="b", pid=3, last_seen=now - timedelta(hours=1))

        found = scrape()
        assert {state: found["perdure_executions", state] for state in ("PENDING", "SUSPENDED", "PAUSED")} == {
            "PENDING": 2,
            "SUSPENDED": 1,
            "PAUSED": 1,
        }
        assert found["perdure_executions_paused", "divergence"] == 1
        assert (found["perdure_queue_ready", "slow"], found["perdure_queue_ready", "durable"]) == (1, 0)
        assert found["perdure_queue_oldest_seconds", "slow"] >= 300
        assert (found["perdure_queue_workers", "slow"], found["perdure_queue_workers", "durable"]) == (2, 1)
        assert [found["perdure_workers", state] for state in ("serving", "draining", "silent")] == [1, 1, 1]
        assert (found["perdure_schedulers",], found["perdure_scheduler_slowest_round_seconds",]) == (1, 0.25)
        assert found["perdure_scheduler_lag_seconds",] >= 90

    def test_what_waits_for_the_outside(self) -> None:
        now = timezone.now()
        callback = make_callback(make_execution(status="SUSPENDED", ready_at=None), created_at=now - timedelta(days=2))
        make_callback(callback.execution, "2", status="SUCCEEDED", completed_at=now)
        for number, (status, age) in enumerate((("PENDING", 60), ("PENDING", 0), ("SENT", 0), ("FAILED", 0))):
            OutboxMessage.objects.create(
                dedupe_key=str(number),
                channel="email",
                status=status,
                next_try_at=now - timedelta(seconds=age),
                finished_at=None if status == "PENDING" else now,
            )
        OutboxMessage.objects.create(dedupe_key="old", status="FAILED", finished_at=now - timedelta(days=2))

        found = scrape()
        assert found["perdure_callbacks_open",] == 1
        assert found["perdure_callback_oldest_seconds",] >= 2 * 86_400
        assert (found["perdure_outbox_waiting",], found["perdure_outbox_given_up",]) == (2, 1)
        assert found["perdure_outbox_late_seconds",] >= 60

    def test_places_of_limits_by_function_whatever_their_keys(self) -> None:
        running = make_execution(status="RUNNING", ready_at=None, fence=3, worker_id=uuid7())
        ended = make_execution(status="SUCCEEDED", ready_at=None)
        for key, number, execution, fence in (
            ("orders/ana", 1, running, 3),
            ("orders/ben", 1, running, 2),
            ("orders/ben", 2, ended, 0),
        ):
            Slot.objects.create(limit_key=key, number=number, execution_id=execution.pk, fence=fence)
        make_execution(ready_at=None, concurrency_key="orders/ana")

        found = scrape()
        assert found["perdure_limit_places_taken", "orders"] == 1, "the fence of ben's place is over"
        assert found["perdure_limit_executions_waiting", "orders"] == 1

    def test_what_only_grows_is_counted_by_function(self) -> None:
        for version, bins in ((1, {"72": 3}), (2, {"0": 1, "200": 1})):
            Rollup.objects.create(
                width_seconds=0,
                starts_at="1970-01-01T00:00:00Z",
                function='say "hi"\\',
                version=version,
                started=6,
                succeeded=2,
                failed=1,
                seconds_sum=4.5,
                durations=bins,
            )
        Rollup.objects.create(width_seconds=60, starts_at=timezone.now(), function="orders", version=1, started=9)

        found = scrape()
        name = 'say "hi"\\'
        assert ("perdure_executions_started_total", "orders") not in found
        assert found["perdure_executions_started_total", name] == 12
        assert [found["perdure_executions_closed_total", name, status] for status in ("SUCCEEDED", "FAILED")] == [4, 2]
        buckets = [found["perdure_execution_duration_seconds_bucket", name, le] for le in ("0.5", "5.0", "+Inf")]
        assert buckets == [1, 4, 5]
        assert found["perdure_execution_duration_seconds_sum", name] == 9


class TestCost:
    def test_it_costs_the_same_number_of_statements_at_any_size(self) -> None:
        headers = bearer("metrics")
        Client().get(PATH, headers=headers)

        def statements() -> int:
            latest.forget()
            with CaptureQueriesContext(connection) as captured:
                assert Client().get(PATH, headers=headers).status_code == 200
            return len(captured)

        few = statements()
        for number in range(20):
            execution = make_execution(function=f"function-{number}", queue=f"queue-{number}")
            make_callback(execution)
            Worker.objects.create(hostname="a", pid=number, queues=[f"queue-{number}"])
        assert statements() == few <= 14

    def test_a_second_scrape_at_once_looks_at_nothing_again(self) -> None:
        headers = bearer("metrics")
        first = Client().get(PATH, headers=headers)
        with CaptureQueriesContext(connection) as captured:
            second = Client().get(PATH, headers=headers)

        assert second.content == first.content
        assert not any("durable_rollup" in query["sql"] for query in captured.captured_queries)

    def test_counts_stop_at_the_cap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("durable_engine.queries.gauges.COUNT_CAP", 2)
        monkeypatch.setattr(attention, "CAP", 2)
        for _ in range(4):
            make_execution(status="PAUSED", ready_at=None, pause_kind="operator", paused_at=timezone.now())

        found = scrape()
        assert (found["perdure_executions", "PAUSED"], found["perdure_executions_paused", "operator"]) == (2, 2)


def test_buckets_agree_with_the_percentiles_of_the_pages() -> None:
    durations = dict.fromkeys(range(0, 220, 3), 1)
    figures = Figures(durations=durations)
    counted = dict(buckets_of(durations))

    for share in (0.2, 0.5, 0.9):
        seconds = figures.percentile(share) or 0.0
        above = next(bucket for bucket in BUCKETS if bucket >= seconds * 1.1)
        assert counted[str(float(above))] >= share * len(durations)


def test_the_newer_format_is_spoken_too() -> None:
    headers = {**bearer("metrics"), "Accept": "application/openmetrics-text; version=1.0.0"}
    response = Client().get(PATH, headers=headers)

    parse: Any = openmetrics.text_string_to_metric_families
    assert "perdure_executions" in {family.name for family in parse(response.content.decode())}


def test_every_figure_is_in_the_documentation_and_no_other() -> None:
    page = (BASE_DIR / "docs/metrics.md").read_text()
    Rollup.objects.create(width_seconds=0, starts_at="1970-01-01T00:00:00Z", function="orders", version=1)
    response = Client().get(PATH, headers=bearer("metrics"))
    names = set(re.findall(r"^# TYPE (\w+)", response.content.decode(), re.MULTILINE))

    documented = set(re.findall(r"^\| `(perdure_\w+)`", page, re.MULTILINE))
    assert documented == names
    used = set(re.findall(r"perdure_\w+", page))
    assert {name for name in used if re.sub(r"_(bucket|sum|count)$", "", name) not in names} == set()
