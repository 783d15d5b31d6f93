"""The product's processes, started as `manage.py up` starts them, and what they use of the machine."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from benchmarks.servers import environment
from durable_engine.config.env import BASE_DIR
from durable_engine.embedded import process, stack
from durable_engine.embedded.supervisor import Service
from durable_engine.models import Worker

START_SECONDS: Final = 60.0
LOG_LINES: Final = 20


class NotStarted(Exception):
    """A process did not come up; the message holds the end of its log."""


class Processes:
    """The workers and the scheduler of a run. Their logs are files in `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._children: list[tuple[Service, subprocess.Popen[bytes]]] = []

    def start_scheduler(self) -> None:
        """Start the scheduler and wait until it says that it is ready."""
        log = self._home / "scheduler.log"
        self._spawn(stack.scheduler_service(BASE_DIR), log)
        self._wait(lambda: b"scheduler ready" in log.read_bytes(), log)

    def start_workers(self, count: int, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start one `celery worker` with so many processes, and wait until all of them are registered."""
        log = self._home / f"worker-{len(self._children)}.log"
        before = live_workers()
        with environment({**variables, "DURABLE_WORKER_CONCURRENCY": str(count)}):
            child = self._spawn(stack.worker_service(BASE_DIR, lambda: True), log)
        self._wait(lambda: live_workers() >= before + count, log)
        return child

    @contextmanager
    def workers(self, count: int, variables: Mapping[str, str]) -> Iterator[None]:
        """Start workers for a while."""
        child = self.start_workers(count, variables)
        try:
            yield
        finally:
            self._stop(*next(entry for entry in self._children if entry[1] is child))

    @contextmanager
    def web(self, settings: str) -> Iterator[int]:
        """Start the web server for a while, with these settings; give the port it listens on."""
        log = self._home / "web.log"
        with stack.listen(None) as listener, environment({"DJANGO_SETTINGS_MODULE": settings}):
            service = stack.web_service(listener, BASE_DIR)
            child = self._spawn(service, log)
            self._wait(lambda: service.is_ready, log)
            try:
                yield int(listener.getsockname()[1])
            finally:
                self._stop(service, child)

    def stop(self) -> None:
        """Stop everything in order."""
        for service, child in reversed(list(self._children)):
            self._stop(service, child)

    def pids(self) -> list[int]:
        """The processes and all of their children."""
        return [pid for _, child in self._children for pid in family(child.pid)]

    def logs(self) -> str:
        """The ends of all logs, for when something went wrong."""
        return "\n".join(f"--- {log.name}\n{_tail(log)}" for log in sorted(self._home.glob("*.log")))

    def _spawn(self, service: Service, log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as file:
            child = service.spawn(file.fileno())
        self._children.append((service, child))
        return child

    def _stop(self, service: Service, child: subprocess.Popen[bytes]) -> None:
        process.stop(child, service.stop_signal, service.patience)
        self._children.remove((service, child))

    def _wait(self, ready: Callable[[], bool], log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline or self._children[-1][1].poll() is not None:
                raise NotStarted(f"{log.name} says:\n{_tail(log)}")
            time.sleep(0.05)


def live_workers() -> int:
    """Return how many worker processes are registered."""
    return Worker.objects.filter(lost_at=None).count()


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time of processes and of their ended children, in user and in kernel mode."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pids: Iterable[int]) -> float:
    """Return the memory of processes: their own, and their share of what they have in common.

    Programs and libraries do not count: how many processes of others share those changes all the time.
    """
    kib = 0
    for pid in pids:
        with suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kib += next(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))
    return kib / 1024


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
