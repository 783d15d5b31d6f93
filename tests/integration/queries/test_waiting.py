"""What an execution waits for, in words."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from durable_engine.models import Execution
from durable_engine.queries.executions import execution_summary
from durable_engine.queries.waiting import waiting_for
from tests.factories import (
    add_event,
    make_back_off,
    make_callback,
    make_execution,
    make_running,
    make_timer,
    make_worker,
)

MINUTE = timedelta(minutes=1)
CLOCK = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC"

pytestmark = pytest.mark.django_db


def said(execution: Execution) -> str:
    summary = execution_summary(execution.pk)
    assert summary is not None
    assert waiting_for(summary) == waiting_for(Execution.objects.get(pk=execution.pk))
    return waiting_for(summary)


def test_a_wait() -> None:
    execution = make_execution(status="SUSPENDED")
    add_event(
        execution, "WaitStarted", operation_id="1", name="cool down", subtype="Wait", details={"duration_seconds": 60}
    )
    due_at = timezone.now() + timedelta(days=40)
    make_timer(execution, kind="wait", due_at=due_at)
    assert said(execution) == f"Waiting for the timer of “cool down” until {due_at:%Y-%m-%d %H:%M:%S} UTC"


def test_a_back_off() -> None:
    execution = make_execution(status="SUSPENDED")
    make_back_off(execution, name="charge")
    assert re.fullmatch(f"Step “charge” failed \\(attempt 1\\), next attempt at {CLOCK}", said(execution))


def test_a_callback_with_and_without_a_deadline() -> None:
    execution = make_execution(status="SUSPENDED")
    make_callback(execution, "2", name="manager approval")
    assert re.fullmatch(
        f"Waiting for the callback “manager approval”, which nobody has answered since {CLOCK}", said(execution)
    )
    make_callback(execution, "3", name=None, timeout_seconds=3600)
    assert re.search(
        f"; Waiting for the callback operation 3, which nobody has answered since {CLOCK}, expires {CLOCK}$",
        said(execution),
    )


def test_executions_that_it_invoked_are_waited_for_until_they_end() -> None:
    execution = make_execution(status="SUSPENDED")
    make_execution(function="charge", parent_execution_id=execution.pk, status="SUCCEEDED")
    assert said(execution) == "Suspended with nothing left to wait for"
    make_execution(function="ship", parent_execution_id=execution.pk)
    make_execution(function="bill", parent_execution_id=execution.pk, status="PAUSED")
    ship, bill = said(execution).split("; ")
    assert re.fullmatch(f"Waiting for ship, which it invoked at {CLOCK}", ship)
    assert re.fullmatch(f"Waiting for bill, which it invoked at {CLOCK} and which is paused", bill)


def test_of_many_things_the_first_two_are_named() -> None:
    execution = make_execution(status="SUSPENDED")
    make_back_off(execution)
    for operation_id in "2345":
        make_callback(execution, operation_id)
    assert said(execution).count("; ") == 2
    assert said(execution).endswith("; and 3 more")


def test_a_ready_execution_that_nobody_serves() -> None:
    execution = make_execution(function="order-processing", version=2, ready_at=timezone.now() - timedelta(seconds=12))
    make_worker(functions=["order-processing:1"])
    make_worker(functions=["order-processing:2"], last_seen=timezone.now() - MINUTE)
    make_worker(functions=["order-processing:2"], lost_at=timezone.now())
    make_worker(functions=["order-processing:2"], draining=True)
    text = r"Ready to run, waiting for a worker for 1\d s; no live worker serves order-processing:2"
    assert re.fullmatch(text, said(execution))


def test_a_ready_execution_whose_queue_nobody_takes_from() -> None:
    make_worker(queues=["durable"])
    assert said(make_execution(queue="slow")).endswith("; no live worker takes from the queue slow")


def test_a_ready_execution_that_is_served() -> None:
    make_worker()
    assert re.fullmatch(r"Ready to run, waiting for a worker for \d s", said(make_execution()))


def test_a_delayed_start() -> None:
    assert re.fullmatch(f"Starts at {CLOCK}", said(make_execution(ready_at=timezone.now() + MINUTE)))


def test_a_crash_that_is_waited_out() -> None:
    execution = make_execution(ready_at=timezone.now() + MINUTE, crash_count=3)
    assert re.fullmatch(f"Its worker died 3 times in a row; runs again at {CLOCK}", said(execution))


def test_a_running_execution_names_its_worker() -> None:
    assert said(make_running(make_execution(), make_worker(hostname="box", pid=7))) == "Running on box:7"


def test_a_running_execution_whose_worker_is_silent() -> None:
    silent = timedelta(seconds=4 * settings.DURABLE_HEARTBEAT_SECONDS + 10)
    worker = make_worker(hostname="box", pid=7, last_seen=timezone.now() - silent)
    assert re.fullmatch(r"Running on box:7; no heartbeat for 1\d s", said(make_running(make_execution(), worker)))


def test_a_paused_execution_gives_the_first_line_of_its_reason() -> None:
    assert (
        said(make_execution(status="PAUSED", pause_kind="divergence", pause_reason="Diverged at 3\n- step\n+ wait"))
        == "Paused: Diverged at 3"
    )
    assert said(make_execution(status="PAUSED", pause_kind="operator")) == "Paused: by an operator"


def test_a_closed_execution_waits_for_nothing() -> None:
    assert said(make_execution(status="FAILED")) == ""


def test_the_number_of_queries_does_not_grow_with_the_history() -> None:
    execution = make_execution(status="SUSPENDED")
    for number in range(30):
        make_back_off(execution, str(number))
        make_callback(execution, f"1-{number}")
    with CaptureQueriesContext(connection) as queries:
        waiting_for(execution)
    assert len(queries) == 5
