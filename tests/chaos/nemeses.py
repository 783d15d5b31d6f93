"""Faults: what each does, how often, and how many there were. Run from the main thread, in the order of one seed."""

from __future__ import annotations

import heapq
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psycopg
import redis

from tests.chaos.marks import Mark
from tests.chaos.stack import Group, Stack, kill_process, no_failpoints

# An orderly stop lets the step under way end; a group that takes longer than this does not stop.
STOP_PATIENCE_SECONDS = 40.0
# By then the deferred start of the frozen step is recorded, and the step is not over.
FREEZE_AFTER_SECONDS = 0.04
LONGEST_FREEZE_SECONDS = 15.0


@dataclass(frozen=True)
class Nemesis:
    """A fault and the seconds between two of them, on average. Each happens at least once in a run."""

    name: str
    every: float
    strike: Callable[[], None]


class Nemeses:
    """Strikes by a schedule that follows from the seed, and keeps every group running otherwise."""

    def __init__(self, stack: Stack, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        self._stack = stack
        self._rng = rng
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = 0
        self._stopping: dict[str, float] = {}
        self._broker_is_down = False

    def all(self, freeze: Callable[[], None], poison: Callable[[], None]) -> list[Nemesis]:
        """Return the faults. The volumes of half an hour are at least those that the engine is released with."""
        return [
            Nemesis("kill a worker child", 4, self.kill_child),
            Nemesis("kill a worker group", 45, self.kill_group),
            Nemesis("stop a worker group in order", 30, self.stop_group),
            Nemesis("stop the leaving worker in order", 7, self.stop_leaving),
            Nemesis("freeze a worker past its lease", 7, freeze),
            Nemesis("restart Postgres at once", 75, self.restart_postgres),
            Nemesis("terminate a Postgres backend", 7, self.terminate_backend),
            Nemesis("flush the broker", 11, self.flush_broker),
            Nemesis("stop the broker for a while", 50, self.stop_broker),
            Nemesis("freeze the broker for a while", 40, self.freeze_broker),
            Nemesis("kill a scheduler", 22, self.kill_scheduler),
            Nemesis("kill the web server", 24, self.kill_web),
            Nemesis("start a poison execution", 60, poison),
        ]

    def run(self, nemeses: list[Nemesis], seconds: float) -> None:
        """Strike until the time is over."""
        end = time.monotonic() + seconds
        due = [
            (time.monotonic() + self._rng.uniform(0.05, 0.85) * min(each.every, seconds), number, each)
            for number, each in enumerate(nemeses)
        ]
        heapq.heapify(due)
        while time.monotonic() < end:
            self._do_what_is_due()
            self._revive()
            if due[0][0] <= time.monotonic():
                _, number, nemesis = heapq.heappop(due)
                self._strike(nemesis)
                next_time = time.monotonic() + nemesis.every * self._rng.uniform(0.5, 1.5)
                heapq.heappush(due, (next_time, number, nemesis))
            time.sleep(0.03)

    def heal(self) -> None:
        """End every fault: nothing is frozen or down, and workers have no failpoints."""
        while self._later:
            heapq.heappop(self._later)[2]()
        for group in self._stack.workers():
            group.signal_all(signal.SIGCONT)
            group.failpoints = no_failpoints
            if not self._stack.stop(group.name, STOP_PATIENCE_SECONDS):
                self.problems.append(f"{group.name} did not stop in order within {STOP_PATIENCE_SECONDS:g} s")
        for name in self._stack.groups:
            self._stack.restart(name)

    def _strike(self, nemesis: Nemesis) -> None:
        with suppress(psycopg.Error, redis.RedisError):  # it may hit what another one has just taken down
            nemesis.strike()
            self.counts[nemesis.name] += 1

    def _after(self, seconds: float, action: Callable[[], None]) -> None:
        self._numbers += 1
        heapq.heappush(self._later, (time.monotonic() + seconds, self._numbers, action))

    def _do_what_is_due(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()

    def _revive(self) -> None:
        for name, group in self._stack.groups.items():
            if not group.pid:
                self._stopping.pop(name, None)
                self._stack.restart(name)
            elif time.monotonic() > self._stopping.get(name, time.monotonic()) + STOP_PATIENCE_SECONDS:
                self.problems.append(f"{name} did not stop in order within {STOP_PATIENCE_SECONDS:g} s")
                del self._stopping[name]
                self._stack.kill(name)

    def _main_workers(self) -> list[Group]:
        return [group for group in self._stack.workers() if group.name in {"worker-a", "worker-b"} and group.pid]

    def kill_child(self) -> None:
        """SIGKILL a process that runs handlers."""
        children = [pid for group in self._stack.workers() for pid in group.children()]
        if children:
            kill_process(self._rng.choice(children), signal.SIGKILL)

    def kill_group(self) -> None:
        """SIGKILL a worker's parent with all its children."""
        groups = self._main_workers()
        if groups:
            self._stack.kill(self._rng.choice(groups).name)

    def stop_group(self) -> None:
        """SIGTERM, as a deploy does; the group is started again when it has gone."""
        groups = [group for group in self._main_workers() if group.name not in self._stopping]
        if groups:
            self._stop_in_order(groups[0])

    def stop_leaving(self) -> None:
        """SIGTERM to the worker whose processes die while they hand over what they run."""
        group = self._stack.groups["worker-leaving"]
        if group.pid and group.children() and group.name not in self._stopping:
            self._stop_in_order(group)

    def _stop_in_order(self, group: Group) -> None:
        self._stopping[group.name] = time.monotonic()
        kill_process(group.pid, signal.SIGTERM)

    def restart_postgres(self) -> None:
        """Crash the server and start it again."""
        self._stack.postgres.restart(immediate=True)

    def terminate_backend(self) -> None:
        """End the session of a client of Postgres."""
        with psycopg.connect(self._stack.postgres.url(), autocommit=True) as connection:
            pids = [
                pid
                for (pid,) in connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
                    " AND pid <> pg_backend_pid() ORDER BY pid"
                )
            ]
            if pids:
                connection.execute("SELECT pg_terminate_backend(%s)", [self._rng.choice(pids)])

    def flush_broker(self) -> None:
        """Lose every message."""
        if not self._broker_is_down:
            self._stack.broker.client().flushall()

    def stop_broker(self) -> None:
        """Take the broker away for some seconds."""
        if self._broker_is_down:
            return
        self._broker_is_down = True
        self._stack.broker.stop()
        self._after(self._rng.uniform(1, 4), self._start_broker)

    def _start_broker(self) -> None:
        self._stack.broker.start()
        self._broker_is_down = False

    def freeze_broker(self) -> None:
        """Let the broker hang for a while."""
        pid = self._stack.broker.pid
        if pid and not self._broker_is_down:
            self._broker_is_down = True
            kill_process(pid, signal.SIGSTOP)
            self._after(self._rng.uniform(0.5, 2.5), lambda: self._thaw_broker(pid))

    def _thaw_broker(self, pid: int) -> None:
        kill_process(pid, signal.SIGCONT)
        self._broker_is_down = False

    def kill_scheduler(self) -> None:
        """SIGKILL one of the schedulers."""
        self._stack.kill(self._rng.choice(["scheduler-1", "scheduler-2"]))

    def kill_web(self) -> None:
        """SIGKILL the web server, in the middle of its requests."""
        self._stack.kill("web")


class Freezer:
    """SIGSTOPs a process in a step's body until another one runs the same body, then lets it go on as a zombie."""

    def __init__(self) -> None:
        self.past_the_lease = 0
        self._lock = threading.Lock()
        self._frozen: dict[str, int] = {}  # program -> process
        self._done: set[str] = set()

    def on_mark(self, mark: Mark) -> None:
        """A body that may be frozen has begun."""
        with self._lock:
            frozen = self._frozen.get(mark.program)
            if frozen is None and mark.program not in self._done:
                self._frozen[mark.program] = mark.pid
                timer = threading.Timer(FREEZE_AFTER_SECONDS, kill_process, (mark.pid, signal.SIGSTOP))
                fallback = threading.Timer(LONGEST_FREEZE_SECONDS, self._thaw, (mark.program,))
                for each in (timer, fallback):
                    each.daemon = True
                    each.start()
                return
        if frozen is not None and frozen != mark.pid and self._thaw(mark.program):
            self.past_the_lease += 1

    def thaw_all(self) -> None:
        """Let everything go on."""
        for program in list(self._frozen):
            self._thaw(program)

    def _thaw(self, program: str) -> bool:
        with self._lock:
            pid = self._frozen.pop(program, None)
            self._done.add(program)
        return pid is not None and kill_process(pid, signal.SIGCONT)
