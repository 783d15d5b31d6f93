"""One run: start everything, break it for a while, heal it, let it finish, and look at what is left."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection

from durable_engine.models import Execution
from durable_engine.services.executions import resume_execution
from tests.chaos import ledger, logs
from tests.chaos.checks import INVARIANTS
from tests.chaos.client import CHAOS, Journal, Starter, WebClient
from tests.chaos.holds import Holder, held_failpoints, losing_failpoints
from tests.chaos.load import Load
from tests.chaos.marks import Listener
from tests.chaos.nemeses import Freezer, Nemeses
from tests.chaos.rates import Rates
from tests.chaos.stack import FAILPOINTS, LEASE_SECONDS, MAX_CRASHES, TICK_SECONDS, Stack, until
from tests.chaos.world import World, load_tables, shown

START_SECONDS = 60.0
DRAIN_SECONDS = 90.0
TAIL = 5
TAIL_SECONDS = 30.0

# The worker that is stopped all the time dies nowhere else.
LEAVING = ("release.before", "release.committed")
LOST_REPLY_PERCENT = 5


@dataclass
class Report:
    """What a run found. `violations` by invariant; `volumes` are counts of faults and of work."""

    seed: int
    seconds: float
    violations: dict[str, list[str]]
    volumes: dict[str, int]
    home: Path

    @property
    def passed(self) -> bool:
        """Whether nothing was violated."""
        return not self.violations

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield f"seed {self.seed}, {self.seconds:.0f} s of faults"
        yield from (f"  {count:7,} {what}" for what, count in self.volumes.items())
        for name, problems in self.violations.items():
            yield f"VIOLATED {name}"
            yield from (f"  {problem}" for problem in shown(problems))
        yield "every invariant holds" if self.passed else f"logs and ledger are in {self.home}"


def run(stack: Stack, seed: int, seconds: float) -> Report:
    """Run with a seed. Django must be configured with the stack's environment; the stack is ended whatever happens."""
    try:
        return _Run(stack, seed, seconds).run()
    finally:
        stack.end()


class _Run:
    def __init__(self, stack: Stack, seed: int, seconds: float) -> None:
        self.stack = stack
        self.seed = seed
        self.seconds = seconds
        self.journal = Journal()
        self.freezer = Freezer()
        self.nemeses = Nemeses(stack, random.Random(f"{seed}/nemeses"))
        self.problems: list[str] = []
        self.resumed = 0

    def run(self) -> Report:
        load = self._start()
        say(f"seed {self.seed}: everything runs; {self.seconds:.0f} s of faults begin")
        self.nemeses.run(self.nemeses.all(load.freeze, load.poison), self.seconds)
        say("healing")
        load.stop_starting()
        self.freezer.thaw_all()
        if load.holder is not None:
            load.holder.open_all()
        self.nemeses.heal()
        connection.close()  # of this thread: it may have met a restart
        self._drain(load)
        self._check_tail(load)
        return self._report(load)

    def _start(self) -> Load:
        stack = self.stack
        stack.prepare()
        call_command("migrate", verbosity=0)
        WebClient.make_user()
        stack.start_web()
        for name in ("scheduler-1", "scheduler-2"):
            stack.start_scheduler(name)
        lost = ",".join(f"{name}=lose_reply:{stack.kills}%{LOST_REPLY_PERCENT}" for name in _COMMITS)
        held, losing = held_failpoints(stack.holds), losing_failpoints(stack.losing_holds, stack.kills)
        rates = Rates(stack.kills)
        stack.start_worker("worker-a", lambda: f"{rates.failpoints(FAILPOINTS)},{lost}", children=4)
        stack.start_worker("worker-b", lambda: lost)
        stack.start_worker("worker-leaving", lambda: rates.failpoints(LEAVING), children=8, queue="leaving")
        stack.start_worker("worker-held", lambda: held, queue="held")
        stack.start_worker("worker-losing", lambda: losing, queue="losing")
        load = self._make_load()
        until(lambda: self._count("durable_worker WHERE lost_at IS NULL") >= 15, "every worker", START_SECONDS)
        load.start()
        return load

    def _make_load(self) -> Load:
        starter = Starter(self.journal, WebClient(self.stack.port))
        load = Load(self.seed, self.stack.postgres.url(), starter, self.journal, self.freezer)
        load.holder = Holder(self.stack, load.generator, Starter(self.journal, None), self.journal, self.seed)
        Listener(self.stack.socket, load.on_mark).start()
        target = load.holder.run
        threading.Thread(target=target, args=(lambda: load.goes_on,), daemon=True, name="holds").start()
        return load

    def _drain(self, load: Load) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        fewest, since = 1 << 30, time.monotonic()
        while time.monotonic() < deadline:
            self._resume_crashed()
            left = self._count("durable_execution WHERE status IN ('PENDING', 'RUNNING', 'SUSPENDED')")
            if left == 0 and load.crew.is_idle:
                return
            if left < fewest:
                fewest, since = left, time.monotonic()
            elif time.monotonic() - since > DRAIN_SECONDS / 3:  # nothing moves any more
                break
            time.sleep(0.2)
        self.problems.append(f"not drained: {fewest} executions left")

    def _resume_crashed(self) -> None:
        """Executions that were killed too often in a row wait for an operator: be one, except to the poison."""
        paused = Execution.objects.filter(status="PAUSED", pause_kind="crashes").exclude(function="chaos-poison")
        for execution in paused:
            resume_execution(execution.pk, actor=CHAOS, reason="the faults are over")
            self.resumed += 1

    def _check_tail(self, load: Load) -> None:
        names = load.tail(TAIL)
        ended = Execution.objects.filter(name__in=names, closed_at__isnull=False)
        try:
            until(lambda: ended.count() == TAIL, "the last programs end", TAIL_SECONDS)
        except TimeoutError as problem:
            self.problems.append(f"after healing: {problem}")

    def _count(self, what: str) -> int:
        with psycopg.connect(self.stack.postgres.url()) as connection:
            row = connection.execute(f"SELECT count(*) FROM {what}").fetchone()
            return int(row[0]) if row else 0

    def _report(self, load: Load) -> Report:
        say("checking")
        for name in list(self.stack.groups):
            self.stack.stop(name)
        world = World(
            programs={**load.programs, **(load.holder.programs if load.holder else {})},
            requests=self.journal.requests,
            ledger=ledger.read(self.stack.ledger),
            samples=load.samples,
            log_problems=[*logs.problems(self.stack.logs()), *self.problems, *self.nemeses.problems]
            + [f"a client failed: {type(error).__name__}: {error}" for error in load.crew.errors],
            max_crashes=MAX_CRASHES,
            lease_seconds=LEASE_SECONDS,
            tick_seconds=TICK_SECONDS,
        )
        load_tables(world, self.stack.postgres.url())
        violations = {name: found for name, check in INVARIANTS.items() if (found := list(check(world)))}
        report = Report(self.seed, self.seconds, violations, self._volumes(load, world), self.stack.home)
        _write(self.stack.home / "requests.jsonl", (vars(each) for each in self.journal.requests))
        return report

    def _volumes(self, load: Load, world: World) -> dict[str, int]:
        done = Counter(line.rpartition(" ")[0] for line in self.stack.kills.read_text().splitlines())
        volumes = {
            "executions": len(world.executions),
            "events": sum(map(len, world.events.values())),
            "step bodies": sum(entry.phase == "begin" for entry in world.ledger),
            "executions resumed after too many crashes": self.resumed,
        }
        for kind in ("start", "complete", "stop"):
            for outcome in ("ok", "fail", "info"):
                volumes[f"requests to {kind}: {outcome}"] = self.journal.count(kind, outcome)
        volumes |= self.nemeses.counts
        volumes["workers taken over while frozen"] = self.freezer.past_the_lease
        volumes |= {f"kills at {name}": done[f"kill {name}"] for name in FAILPOINTS}
        volumes |= {f"lost replies at {name}": done[f"lose_reply {name}"] for name in _COMMITS}
        if load.holder is not None:
            volumes |= {f"callbacks completed at {name}": count for name, count in load.holder.counts.items()}
        volumes["callbacks completed within 5 ms of a suspend"] = completions_near_suspends(world, 0.005)
        volumes["stops within 20 ms of the end"] = stops_near_the_end(world, 0.02)
        return volumes


_COMMITS = [name for name in FAILPOINTS if name.endswith(".committed")]


def completions_near_suspends(world: World, seconds: float) -> int:
    """How many callbacks were completed so shortly before or after an invocation ended."""
    near = 0
    for events in world.events.values():
        ends = [event.at for event in events if event.event_type == "InvocationCompleted" and event.fence]
        for event in events:
            if event.event_type in {"CallbackSucceeded", "CallbackFailed"}:
                near += any(abs(event.at - end) <= seconds for end in ends)
    return near


def stops_near_the_end(world: World, seconds: float) -> int:
    """How many stops were asked for so shortly before or after the execution was closed."""
    near = 0
    for request in world.requests:
        execution = world.executions.get(request.execution_id)
        if request.kind == "stop" and execution is not None and execution.closed_at is not None:
            closed = execution.closed_at.timestamp()
            near += request.began - seconds <= closed <= request.ended + seconds
    return near


def say(text: str) -> None:
    """Tell whoever watches."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _write(path: Path, rows: Any) -> None:
    with path.open("w") as file:
        for row in rows:
            file.write(json.dumps(row, default=str) + "\n")
