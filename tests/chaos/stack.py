"""The whole product in a temporary directory: every process is a child of this one and is killed by its id.

Used from the main thread only: a child dies with the thread that started it.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from durable_engine.embedded import paths, process
from durable_engine.embedded.broker import Broker
from durable_engine.embedded.postgres import PostgresCluster
from tests.chaos.ledger import LEDGER_VARIABLE
from tests.chaos.marks import SOCKET_VARIABLE
from tests.processes import descendants, identity

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 2.0
TICK_SECONDS = 0.1
MAX_CRASHES = 8
# Celery says in nine lines that it runs as root.
NO_ROOT_WARNING = "ignore:You're running the worker with superuser privileges"

# Every place in the store where a process may die; the last two are reached only by an orderly stop.
FAILPOINTS = (
    "claim.committed",
    "checkpoint.before",
    "checkpoint.committed",
    "suspend.before",
    "suspend.committed",
    "close.before",
    "close.committed",
    "release.before",
    "release.committed",
)


def no_failpoints() -> str:
    """A worker that never dies by itself."""
    return ""


@dataclass
class Group:
    """A process with what it forked, and how to start it again. `failpoints` is asked at each start."""

    name: str
    command: Sequence[str]
    extra: dict[str, str] = field(default_factory=dict)
    failpoints: Callable[[], str] = no_failpoints
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of its leader; 0 when it does not run."""
        return self.process.pid if self.process is not None and self.process.poll() is None else 0

    def children(self) -> list[int]:
        """The process ids of what the leader forked."""
        return [pid for pid, _ in descendants(self.pid) if pid != self.pid] if self.pid else []

    def signal_all(self, number: signal.Signals) -> None:
        """Signal the leader and what it forked."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


class Stack:
    """Postgres, broker, web, schedulers and workers. `home` is theirs alone."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.postgres = PostgresCluster(home)
        self.broker = Broker(home)
        self.ledger = home / "ledger"
        self.holds = home / "holds"
        self.losing_holds = home / "losing-holds"
        self.kills = home / "kills"
        self.socket = paths.socket_directory(home) / "chaos.sock"
        self.groups: dict[str, Group] = {}
        self._listener: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port of the web server."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    def environment(self) -> dict[str, str]:
        """What every process of the run shares, this one included."""
        return {
            "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
            "PERDURE_LOCAL": "1",
            "PERDURE_HOME": str(self.home),
            "DATABASE_URL": self.postgres.url(),
            "BROKER_URL": self.broker.url,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "DURABLE_APPS": "tests.chaos",
            "DURABLE_LEASE_SECONDS": str(LEASE_SECONDS),
            "DURABLE_HEARTBEAT_SECONDS": "0.3",
            "DURABLE_SCHEDULER_TICK_SECONDS": str(TICK_SECONDS),
            "DURABLE_MAX_CRASHES": str(MAX_CRASHES),
            "DURABLE_CRASH_BACKOFF_SECONDS": "0.1",
            LEDGER_VARIABLE: str(self.ledger),
            SOCKET_VARIABLE: str(self.socket),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "REMAP_SIGTERM": "SIGQUIT",
            # Django's checks of every page are half of a worker's start, and here workers start all the time.
            "SKIP_CHECKS": "1",
        }

    def prepare(self) -> None:
        """Start Postgres and the broker, and make the directories."""
        for directory in (self.ledger, self.holds, self.losing_holds):
            directory.mkdir(parents=True)
        self.kills.touch()
        self.postgres.start()
        self.broker.start()

    def start_scheduler(self, name: str) -> None:
        """Start one scheduler."""
        self._start(Group(name, ["-m", "django", "run_scheduler"]))

    def start_web(self) -> None:
        """Start the web server. Its socket belongs to this process, so a restart keeps the port."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
            self._listener.set_inheritable(True)
        command = (
            "-m gunicorn durable_engine.config.wsgi --worker-class gthread --workers 1 --threads 4 "
            "--graceful-timeout 5 --log-level warning --no-control-socket --bind"
        ).split()
        self._start(Group("web", [*command, f"fd://{self._listener.fileno()}"]))

    def start_worker(
        self, name: str, failpoints: Callable[[], str], *, children: int = 1, queue: str = "durable"
    ) -> None:
        """Start a worker whose children have failpoints."""
        command = (
            f"-W|{NO_ROOT_WARNING}|-m|celery|--quiet|-A|durable_engine.config|worker|-c|{children}|-O|fair|"
            "--loglevel|INFO|--without-gossip|--without-mingle|--without-heartbeat"
        ).split("|")
        self._start(Group(name, command, {"DURABLE_QUEUES": queue}, failpoints))

    def restart(self, name: str) -> None:
        """Start a group again as it was, if it has ended."""
        group = self.groups[name]
        if not group.pid:
            self._start(group)

    def kill(self, name: str) -> None:
        """Kill a leader and what it forked with -9."""
        group = self.groups[name]
        group.signal_all(signal.SIGKILL)
        if group.process is not None:
            group.process.wait()

    def stop(self, name: str, patience: float = 30.0) -> bool:
        """Stop in order; whether it went by itself."""
        group = self.groups[name]
        return group.process is None or process.stop(group.process, signal.SIGTERM, patience)

    def workers(self) -> list[Group]:
        """The groups that run handlers."""
        return [group for name, group in self.groups.items() if name.startswith("worker")]

    def end(self) -> None:
        """Kill everything that is left."""
        for group in self.groups.values():
            group.signal_all(signal.SIGCONT)
            group.signal_all(signal.SIGKILL)
            if group.process is not None:
                group.process.wait()
        self.broker.kill()
        self.postgres.stop_immediate()
        self.socket.unlink(missing_ok=True)
        paths.remove_socket_directory(self.home)

    def logs(self) -> Iterator[tuple[str, str]]:
        """The name and text of each log."""
        for path in sorted(self.home.glob("*.log")):
            yield path.stem, path.read_text(errors="replace")

    def _start(self, group: Group) -> None:
        env = {**os.environ, **group.extra, "DURABLE_FAILPOINTS": group.failpoints()}
        fds = [self._listener.fileno()] if self._listener is not None and group.name == "web" else []
        with (self.home / f"{group.name}.log").open("ab") as log:
            group.process = process.spawn([sys.executable, *group.command], output=log, env=env, cwd=ROOT, pass_fds=fds)
        self.groups[group.name] = group


def kill_process(pid: int, number: signal.Signals) -> bool:
    """Signal one process that a group forked; False when it is gone."""
    if identity(pid) is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], object], what: str, seconds: float) -> None:
    """Wait until the condition holds.

    Raises:
        TimeoutError: it did not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


@contextmanager
def stack_in(home: Path) -> Iterator[Stack]:
    """Return a stack that is not started, and end it whatever happens."""
    stack = Stack(home)
    try:
        yield stack
    finally:
        stack.end()
