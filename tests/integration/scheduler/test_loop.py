"""The scheduler's loop: sleeps until something is due, survives what its sweeps raise, stops at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import django.db
import psycopg
import pytest
from django.test import override_settings

from durable_engine import extensions
from durable_engine.models import Execution
from durable_engine.scheduler.loop import Scheduler
from durable_engine.scheduler.sweep import Round, Sweep
from durable_engine.scheduler.sweeps import all_sweeps

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


def test_a_sweep_that_an_app_registered_runs_at_its_own_pace(
    transactional_db: None, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extensions, "_sweeps", {})
    ran = []

    def seldom() -> int:
        ran.append(1)
        return 0

    extensions.register_sweep("seldom", seldom, every_seconds=60)
    loop = Scheduler(all_sweeps)
    loop.round()
    loop.round()
    loop.close()

    assert ran == [1]


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
        status = child.wait(10)

    assert (status, time.monotonic() - before < 2) == (0, True)
