"""A Postgres, a broker, workers and a scheduler that tests may kill, stop and start as they like."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import django.db
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import override_settings

from durable_engine import dispatch
from durable_engine.config.databases import database_settings
from durable_engine.embedded import paths, process
from durable_engine.embedded.broker import Broker
from durable_engine.embedded.postgres import PostgresCluster
from durable_engine.models import Event, Execution, ExecutionStatus, Worker
from durable_engine.services.actors import Actor
from durable_engine.services.starts import start_execution

T = TypeVar("T")

TESTER = Actor("a test")
ROOT = Path(__file__).parents[2]
SECONDS = 60.0
TERMINAL = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionStopped"}
FAILPOINTS = (
    "claim.committed",
    "checkpoint.before",
    "checkpoint.committed",
    "suspend.before",
    "suspend.committed",
    "close.before",
    "close.committed",
    "parent.before",
    "parent.committed",
)


def until(condition: Callable[[], T | None], what: str, seconds: float = SECONDS) -> T:
    """Wait until the condition holds, and return what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)


class Group:
    """One `celery worker`: a parent and its pool, in a process group of their own."""

    def __init__(self, parent: subprocess.Popen[bytes]) -> None:
        self.process = parent

    def kill(self) -> None:
        """Kill parent and pool with -9."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_after(self, work: Callable[[], object]) -> None:
        """Do something while it runs, then kill it."""
        try:
            work()
        finally:
            self.kill()

    def stop(self) -> int:
        """Stop in order; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


class Stack:
    """What the tests of one run share. `failpoints` open and close places in the code of the ordinary workers."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.postgres = PostgresCluster(home)
        self.broker = Broker(home)
        self.failpoints = home / "failpoints"
        self.handler_log = home / "handlers.jsonl"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start everything; two pool children serve the default queue."""
        self.failpoints.mkdir(parents=True)
        self.open_failpoints()
        self.postgres.start()
        self.broker.start()
        with self.entered():
            call_command("migrate", verbosity=0)
            holds = ",".join(f"{name}=hold:{self.failpoints}" for name in FAILPOINTS)
            self.scheduler = self.start_scheduler()
            self.workers = self.start_group(concurrency=2, failpoints=holds, wait=False)
            until(lambda: self.live_workers() == 2, "two workers registered", 40)

    def end(self) -> None:
        """Kill what is left."""
        for each in self._processes:
            if each.poll() is None:
                os.killpg(each.pid, signal.SIGKILL)
                each.wait()
        self.broker.kill()
        self.postgres.stop_immediate()
        shutil.rmtree(self.postgres.data, ignore_errors=True)
        paths.remove_socket_directory(self.home)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Point Django of this process at the stack's servers."""
        connection.close()
        saved = dict(connection.settings_dict)
        connection.settings_dict.update(database_settings(self.postgres.url(), statement_timeout_seconds=15))
        celery = {**settings.CELERY, "broker_url": self.broker.url}
        try:
            with override_settings(CELERY=celery):
                dispatch._start_over()
                yield
        finally:
            connection.close()
            connection.settings_dict.clear()
            connection.settings_dict.update(saved)
            dispatch._start_over()

    def start_group(
        self,
        *,
        concurrency: int = 1,
        queue: str = "durable",
        failpoints: str = "",
        django_settings: str = "durable_engine.config.settings",
        wait: bool = True,
    ) -> Group:
        """Start a worker for a queue, and wait until its children are registered."""
        known = list(Worker.objects.values_list("pk", flat=True)) if wait else []
        command = f"-m celery --quiet -A durable_engine.config worker -c {concurrency} -O fair --loglevel INFO".split()
        options = "--without-gossip --without-mingle --without-heartbeat".split()
        started = self._spawn(
            [*command, *options],
            f"worker-{len(self._processes)}",
            DURABLE_QUEUES=queue,
            DURABLE_FAILPOINTS=failpoints,
            DJANGO_SETTINGS_MODULE=django_settings,
        )
        group = Group(started)
        fresh = Worker.objects.filter(queues__contains=[queue]).exclude(pk__in=known)
        try:
            until(lambda: not wait or fresh.count() == concurrency, "the workers are registered", 40)
        except AssertionError:
            group.kill()
            raise
        return group

    def start_scheduler(self, **variables: str) -> subprocess.Popen[bytes]:
        """Start a scheduler."""
        return self._spawn([*"-m django run_scheduler".split()], "scheduler", (), **variables)

    def live_workers(self, queue: str = "durable") -> int:
        """How many workers of a queue are registered and not lost."""
        return Worker.objects.filter(lost_at=None, queues__contains=[queue]).count()

    def show(self, setting: str) -> str:
        """A setting of the Postgres server."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s)", [setting])
            return str(cursor.fetchone()[0])

    def arm(self, name: str) -> None:
        """From now on workers stop at this failpoint."""
        (self.failpoints / f"{name}.go").unlink(missing_ok=True)
        (self.failpoints / f"{name}.reached").unlink(missing_ok=True)

    def wait_until_reached(self, name: str) -> None:
        """Wait until a worker stands at an armed failpoint."""
        until((self.failpoints / f"{name}.reached").exists, f"failpoint {name} reached")

    def open_failpoints(self) -> None:
        """Let workers pass all failpoints."""
        for name in FAILPOINTS:
            (self.failpoints / f"{name}.go").touch()

    def _spawn(
        self, arguments: Sequence[str], name: str, pass_fds: Sequence[int] = (), **extra: str
    ) -> subprocess.Popen[bytes]:
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
            "DATABASE_URL": self.postgres.url(),
            "BROKER_URL": self.broker.url,
            "DURABLE_APPS": "tests.handlers",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.home),
            "DURABLE_HANDLER_LOG": str(self.handler_log),
            **extra,
        }
        with (self.home / f"{name}.log").open("ab") as log:
            child = process.spawn([sys.executable, *arguments], output=log, env=env, cwd=ROOT, pass_fds=pass_fds)
        self._processes.append(child)
        return child


class Run:
    """One execution of a test, its ledger and its barriers."""

    def __init__(self, directory: Path, function: str, **event: Any) -> None:
        self.directory = directory
        self._ledger = directory / "ledger"
        text = json.dumps({"ledger": str(self._ledger), **event})
        self.id: UUID = start_execution(function, text, actor=TESTER).id

    def row(self) -> Execution:
        """The execution as it stands."""
        return Execution.objects.get(pk=self.id)

    def holder(self) -> Worker:
        """The worker that runs it now."""
        worker_id = self.row().worker_id
        assert worker_id is not None
        return Worker.objects.get(pk=worker_id)

    def events(self) -> list[Event]:
        """Its history."""
        return list(Event.objects.filter(execution_id=self.id).order_by("event_id"))

    def types(self, *leave_out: str) -> list[str]:
        """The event types of its history."""
        return [event.event_type for event in self.events() if event.event_type not in leave_out]

    def bodies(self) -> list[str]:
        """Which step bodies ran, in order."""
        return [line.partition(" attempt=")[0] for line in self._lines()]

    def pids(self, body: str) -> list[int]:
        """The processes in which a body ran, in order."""
        return [int(line.rpartition("pid=")[2]) for line in self._lines() if line.startswith(f"{body} attempt=")]

    def wait_inside(self, body: str, times: int = 1) -> int:
        """Wait until the body has been entered so many times; return the last process."""
        until(lambda: len(self.pids(body)) >= times, f"{body} entered {times} times")
        return self.pids(body)[-1]

    def let_go(self, barrier: str) -> None:
        """Let a body that holds go on."""
        (self.directory / f"{barrier}.go").touch()

    def wait_for(self, *statuses: str, seconds: float = SECONDS) -> Execution:
        """Wait for a status."""
        until(lambda: self.row().status in statuses, f"{' or '.join(statuses)}, is {self.row().status}", seconds)
        return self.row()

    def wait_for_event(self, event_type: str, name: str | None = None) -> Event:
        """Wait for an event."""
        found = Event.objects.filter(execution_id=self.id, event_type=event_type, **({"name": name} if name else {}))
        return until(found.first, f"{event_type} {name or ''}")

    def wait_for_events(self, count: int) -> None:
        """Wait until the history has so many events, or its end."""
        until(lambda: len(self.events()) >= count or self.row().is_closed, f"{count} events")

    def finish(self, status: str = ExecutionStatus.SUCCEEDED, seconds: float = SECONDS) -> Execution:
        """Wait for the end, and check what holds for the history of every execution that has ended."""
        until(lambda: self.row().is_closed, f"end of {self.row()}, which is {self.row().status}", seconds)
        row = self.row()
        assert row.status == status
        self.check_history()
        return row

    def check_history(self) -> None:
        """Gap-free ids, times in order, one outcome an operation, one terminal event, at the end."""
        events = self.events()
        assert [event.event_id for event in events] == list(range(1, len(events) + 1))
        assert events[-1].event_id == self.row().last_event_id
        times = [event.event_at for event in events]
        assert times == sorted(times)
        assert [event.event_type in TERMINAL for event in events] == [False] * (len(events) - 1) + [True]
        outcomes = [event.operation_id for event in events if event.event_type == "StepSucceeded"]
        assert len(outcomes) == len(set(outcomes))
        assert events[-2].event_type == "InvocationCompleted" or events[-1].event_type == "ExecutionStopped"

    def _lines(self) -> list[str]:
        return self._ledger.read_text().splitlines() if self._ledger.exists() else []


def errors_of_invocations(run: Run) -> list[str]:
    """The error types of the invocations that ended with one."""
    completed = [event for event in run.events() if event.event_type == "InvocationCompleted"]
    return [json.loads(event.error)["ErrorType"] for event in completed if event.error is not None]


def is_gone(pid: int) -> bool:
    """Whether there is no such process any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def reconnect() -> None:
    """Drop this process's connection, after its server was restarted."""
    django.db.connections.close_all()
