"""The scheduler's loop: sleeps until something is due, survives what its sweeps raise, stops at once."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import django.db
import psycopg
import pytest
from django.test import override_settings
from django.utils import timezone

from durable_engine import extensions
from durable_engine.models import Execution
from durable_engine.scheduler import sweeps
from durable_engine.scheduler.background import Background
from durable_engine.scheduler.loop import Scheduler
from durable_engine.scheduler.sweep import Round, Sweep
from durable_engine.scheduler.sweeps import all_sweeps
from tests.factories import make_timer

Make = Callable[..., Execution]
MakeScheduler = Callable[..., Scheduler]

TICK = 0.1  # of the tests' settings


@pytest.fixture
def scheduler(transactional_db: None) -> Iterator[Callable[..., Scheduler]]:
    made = []

    def make(*runs: Callable[[Round], None]) -> Scheduler:
        made.append(Scheduler(lambda: [Sweep(f"sweep {number}", run, 0.0) for number, run in enumerate(runs)]))
        return made[-1]

    yield make
    for each in made:
        each.close()


def nothing(_: Round) -> None:
    pass


@override_settings(DURABLE_SCHEDULER_TICK_SECONDS=60)
@pytest.mark.parametrize(("wake_at", "slept"), [(600.0, 60.0), (20.0, 20.0)])
def test_it_sleeps_until_the_next_thing_is_due_and_a_tick_at_most(
    scheduler: MakeScheduler, execution: Make, wake_at: float, slept: float
) -> None:
    execution("SUSPENDED", wake_at=wake_at)

    assert scheduler(nothing).round() == pytest.approx(slept, abs=2)


def test_something_due_that_no_sweep_can_do_does_not_make_it_spin(scheduler: MakeScheduler, execution: Make) -> None:
    execution("SUSPENDED", wake_at=-1)
    loop = scheduler(nothing)

    sleeps = [loop.round() for _ in range(12)]

    assert sleeps == sorted(sleeps)
    assert sleeps[-1] == TICK


def test_a_sweep_that_raises_is_logged_and_the_others_run(
    scheduler: MakeScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    ran = []

    def broken(_: Round) -> None:
        raise ValueError("a broken sweep")

    scheduler(broken, lambda _: ran.append(1)).round()

    assert ran == [1]
    assert "a broken sweep" in caplog.text


@pytest.mark.parametrize("error", [psycopg.OperationalError("gone"), django.db.InterfaceError("closed")])
def test_while_postgres_is_away_it_backs_off_and_tries_on(scheduler: MakeScheduler, error: Exception) -> None:
    away = [error] * 8

    def sweep(_: Round) -> None:
        if away:
            raise away.pop()

    loop = scheduler(sweep)

    sleeps = [loop.round() for _ in range(8)]

    assert sleeps[0] < 0.3
    assert 2.5 <= sleeps[-1] <= 5.0
    assert loop.round() <= TICK


@pytest.fixture
def app_sweeps(transactional_db: None, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the test registers, in a thread of its own."""
    monkeypatch.setattr(extensions, "_sweeps", {})
    monkeypatch.setattr(sweeps, "background", Background())


def test_a_sweep_that_an_app_registered_runs_at_its_own_pace(app_sweeps: None) -> None:
    ran: queue.Queue[int] = queue.Queue()

    def seldom() -> int:
        ran.put(1)
        return 0

    extensions.register_sweep("seldom", seldom, every_seconds=60)
    loop = Scheduler(all_sweeps)
    loop.round()
    loop.round()
    loop.close()

    assert ran.get(timeout=40) == 1
    with pytest.raises(queue.Empty):
        ran.get(timeout=0.2)


def test_a_sweep_of_an_app_that_hangs_or_raises_holds_up_no_timer_and_no_other(
    app_sweeps: None, execution: Make, caplog: pytest.LogCaptureFixture
) -> None:
    may_go_on, ran = threading.Event(), threading.Event()

    def hangs() -> int:
        may_go_on.wait(30)
        raise ValueError("a broken sweep of an app")

    def other() -> int:
        ran.set()
        return 0

    extensions.register_sweep("hangs", hangs, every_seconds=0.01)
    extensions.register_sweep("other", other, every_seconds=0.01)
    due = execution("SUSPENDED", wake_at=-1)
    make_timer(due, kind="wait", due_at=timezone.now())
    loop = Scheduler(all_sweeps)
    loop.round()
    loop.round()

    due.refresh_from_db()
    assert due.status == "PENDING"
    assert not ran.is_set()
    may_go_on.set()
    assert ran.wait(60)
    assert "a broken sweep of an app" in caplog.text
    loop.close()


@pytest.mark.process
def test_a_signal_ends_the_process_at_once(transactional_db: None, process_env: dict[str, str]) -> None:
    env = {**process_env, "DURABLE_SCHEDULER_TICK_SECONDS": "60"}
    with subprocess.Popen(
        [sys.executable, "-m", "django", "run_scheduler"], env=env, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "scheduler ready\n"
        before = time.monotonic()
        child.send_signal(signal.SIGTERM)
        status = child.wait(50)

    assert (status, time.monotonic() - before < 30) == (0, True)  # not at its next tick, after 60 s
