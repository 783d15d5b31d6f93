"""Orderly stops, and servers that go away and come back: slower, never less."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.db import DatabaseError

from durable_engine.models import Execution, Worker
from durable_engine.services.callbacks import complete_callback_of
from tests.faults.stack import TESTER, Run, Stack, errors_of_invocations, reconnect, until

pytestmark = pytest.mark.process

Start = Callable[..., Run]


def test_an_orderly_stop_hands_the_execution_over_at_the_next_operation_and_counts_no_crash(
    stack: Stack, run: Start
) -> None:
    leaving = stack.start_group(queue="slow")
    on_slow = run("on-slow-queue", hold=True)
    pid = on_slow.wait_inside("slow")
    worker = on_slow.holder().pk

    leaving.process.send_signal(signal.SIGTERM)
    until(lambda: Worker.objects.get(pk=worker).draining, "the worker shows that it takes nothing new")
    on_slow.let_go("slow")
    row = on_slow.wait_for("PENDING")

    assert leaving.process.wait(60) == 0
    assert (row.crash_count, row.worker_id) == (0, None)
    assert on_slow.bodies() == ["slow"]
    assert Worker.objects.get(pk=worker).exit_reason == "stopped in order"
    stack.start_group(queue="slow").kill_after(on_slow.finish)
    assert on_slow.bodies() == ["slow", "then"]
    assert on_slow.pids("then") != [pid]
    assert errors_of_invocations(on_slow) == []


def test_an_orderly_stop_does_not_wait_for_ever_for_a_body_and_counts_no_crash(stack: Stack, run: Start) -> None:
    leaving = stack.start_group(queue="slow", django_settings="tests.faults.impatient_settings")
    on_slow = run("on-slow-queue", hold=True)
    on_slow.wait_inside("slow")

    assert leaving.stop() == 0
    row = on_slow.wait_for("PENDING")

    assert (row.crash_count, row.worker_id) == (0, None)
    on_slow.let_go("slow")
    stack.start_group(queue="slow").kill_after(on_slow.finish)
    assert on_slow.bodies() == ["slow", "slow", "then"]
    assert errors_of_invocations(on_slow) == []


@contextmanager
def hung(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def down(stack: Stack) -> Iterator[None]:
    stack.broker.stop()
    try:
        yield
    finally:
        stack.broker.start()


@pytest.mark.parametrize("how", ["down", "hung"])
def test_with_the_broker_away_starts_take_less_than_a_third_of_a_second_and_run_when_it_is_back(
    stack: Stack, run: Start, how: str
) -> None:
    run("three-steps").finish()  # warm
    asking = run("answer")
    asking.wait_for("SUSPENDED")
    broker_pid = stack.broker.pid
    assert broker_pid is not None

    with down(stack) if how == "down" else hung(broker_pid):
        started = []
        slowest = []
        for _ in range(3):  # a busy machine may spoil a round, a broker that blocks spoils all
            durations = []
            for _ in range(5):
                before = time.perf_counter()
                started.append(run("three-steps"))
                durations.append(time.perf_counter() - before)
            slowest.append(max(durations))
        complete_callback_of(asking.id, "1", succeed="yes", actor=TESTER)
        assert min(slowest) < 0.3, slowest
        assert {each.row().status for each in started} == {"PENDING"}
    for each in [*started, asking]:
        each.finish(seconds=40)

    assert asking.bodies() == ["asked", "answered yes"]
    for each in started:
        assert each.bodies() == ["first", "second", "third"]


def test_a_broker_that_loses_every_message_costs_only_time(stack: Stack, run: Start) -> None:
    runs = []
    with stack.broker.client() as client:
        for _ in range(10):
            runs.append(run("three-steps"))
            client.flushall()
    for each in runs:
        each.finish()
        assert each.bodies() == ["first", "second", "third"]


def test_postgres_restarted_as_after_a_crash_loses_nothing_that_was_acknowledged(stack: Stack, run: Start) -> None:
    assert (stack.show("fsync"), stack.show("synchronous_commit")) == ("on", "on")
    acknowledged = [run("many-steps", steps=150) for _ in range(4)]
    waiting = run("step-wait-step", seconds=2)
    for each in acknowledged[:2]:
        each.wait_for_events(20)
    recorded = {each.id: [event.event_id for event in each.events()] for each in acknowledged}

    for _ in range(2):
        stack.postgres.restart(immediate=True)
        reconnect()
        acknowledged.append(run("three-steps"))
    for each in [*acknowledged, waiting]:
        each.finish(seconds=60)

    for each in acknowledged:
        assert [event.event_id for event in each.events()][: len(recorded.get(each.id, []))] == recorded.get(
            each.id, []
        )
        assert len(each.bodies()) == len(set(each.bodies())), (
            "no step ran twice: workers resolve what became of a commit"
        )
        assert errors_of_invocations(each) == [], "after the outage nobody was declared lost"
    assert stack.live_workers() == 2


def test_a_checkpoint_waits_for_postgres_to_come_back(stack: Stack, run: Start) -> None:
    steps = run("three-steps", hold=True)
    steps.wait_inside("second")
    steps.wait_for_event("StepStarted", "second")

    stack.postgres.stop_immediate()
    steps.let_go("second")
    with pytest.raises((DatabaseError, psycopg.Error)):
        Execution.objects.count()
    stack.postgres.start()
    reconnect()
    steps.finish(seconds=60)

    assert steps.bodies() == ["first", "second", "third"]
    run("three-steps").finish()
