"""The work of a run: programs started, callbacks completed around their suspends, executions stopped at their ends."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import psycopg

from tests.chaos import client, marks
from tests.chaos.client import Crew, Journal, Starter
from tests.chaos.holds import Holder
from tests.chaos.marks import Mark
from tests.chaos.nemeses import Freezer
from tests.chaos.programs import Generator, Op, Program, callback_operation, expected_operations, invoked, walk
from tests.chaos.stack import LEASE_SECONDS
from tests.chaos.world import Sample

MOST_LIVE = 40
# Of the programs whose worker is stopped in order all the time: more than it has processes.
MOST_LEAVING = 12
STARTS_PER_SECOND = 7.0
# A callback that is open for so long was not completed by its plan: its mark was lost with a process.
FORGOTTEN_SECONDS = 1.5
SAMPLED = 60

_OPEN_CALLBACKS = """
SELECT s.payload::json ->> 'name', c.execution_id::text, c.operation_id
FROM durable_callback c JOIN durable_event s ON s.execution_id = c.execution_id AND s.event_id = 1
WHERE c.status = 'STARTED' AND c.deadline IS NULL AND c.created_at < clock_timestamp() - %s * interval '1 second'
"""
_CLOSED_SAMPLE = """
SELECT id::text, status, closed_at, last_event_id, fence, batch FROM durable_execution
WHERE closed_at IS NOT NULL ORDER BY random() LIMIT %s
"""
# A worker may be believed to be lost a lease after it fell silent, and two leases after the server came up.
_HELD_BY_THE_LOST = """
SELECT e.id::text, extract(epoch FROM clock_timestamp() - greatest(
         coalesce(w.lost_at, w.last_seen + %(lease)s * interval '1 second'),
         pg_postmaster_start_time() + 2 * %(lease)s * interval '1 second', e.invocation_started_at))::float8
FROM durable_execution e JOIN durable_worker w ON w.id = e.worker_id
WHERE e.status = 'RUNNING' AND (w.lost_at IS NOT NULL
      OR w.last_seen < clock_timestamp() - %(lease)s * interval '1 second')
"""
# How long after the suspend nearest to it the usual callback was completed lately, in seconds.
_COMPLETED_LATE = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM c.completed_at - suspend.event_at)::float8)
FROM durable_callback c JOIN durable_execution e ON e.id = c.execution_id AND e.function = 'chaos'
JOIN LATERAL (
  SELECT event_at FROM durable_event i
  WHERE i.execution_id = c.execution_id AND i.event_type = 'InvocationCompleted' AND i.fence IS NOT NULL
  ORDER BY abs(extract(epoch FROM i.event_at - c.completed_at)) LIMIT 1
) suspend ON true
WHERE c.status IN ('SUCCEEDED', 'FAILED') AND c.completed_at > clock_timestamp() - interval '5 seconds'
"""
_LIVE = """
SELECT count(*) FILTER (WHERE queue <> 'leaving'), count(*) FILTER (WHERE queue = 'leaving')
FROM durable_execution WHERE status IN ('PENDING', 'RUNNING', 'SUSPENDED')
"""


class Load:
    """Threads that keep the stack busy until `finish`; what they learn is in `journal`, `programs` and `samples`."""

    def __init__(self, seed: int, url: str, starter: Starter, journal: Journal, freezer: Freezer) -> None:
        self.programs: dict[str, Program] = {}
        self.samples: list[Sample] = []
        self.crew = Crew(5)
        self.live = 0
        self.leaving = 0
        self.holder: Holder | None = None
        self.generator = Generator(seed)
        self._rng = random.Random(f"{seed}/load")
        self._url = url
        self._starter = starter
        self._journal = journal
        self._freezer = freezer
        self._starting = True
        self._planned: set[tuple[str, str]] = set()
        self._stops: set[str] = set()
        self._numbers: dict[str, int] = {}
        # Between the end of a marked body and its suspend, less what a completion takes: found out while running.
        self._lead = 0.0

    def start(self) -> None:
        """Begin."""
        for target in (self._start_programs, self._start_leaving, self._watch):
            threading.Thread(target=target, daemon=True, name=target.__name__).start()

    def stop_starting(self) -> None:
        """Start no more programs; callbacks are still completed."""
        self._starting = False

    @property
    def goes_on(self) -> bool:
        """Whether new programs are started."""
        return self._starting

    def freeze(self) -> None:
        """Start a program in whose middle its process is frozen."""
        self._start_soon(self.generator.frozen(self._next("frozen")), "chaos")

    def poison(self) -> None:
        """Start an execution that kills its workers."""
        self._start_soon({"name": f"poison{self._next('poison')}", "ops": [], "end": "poison"}, "chaos-poison")

    def tail(self, count: int) -> list[str]:
        """Start some programs after healing; return their names."""
        names = []
        for _ in range(count):
            program = self.generator.program(1_000_000 + self._next("tail"))
            program.pop("stop", None)
            self._know(program)
            self._starter.start("chaos", program["name"], program)
            names.append(program["name"])
        return names

    def on_mark(self, mark: Mark) -> None:
        """A handler has come to a marked place."""
        if mark.kind == marks.FREEZE:
            self._freezer.on_mark(mark)
        elif mark.kind == marks.HELD and self.holder is not None:
            self.holder.on_mark(mark)
        elif mark.kind == marks.STOP:
            self._stop_at_the_end(mark)
        elif mark.kind == marks.CALLBACK:
            self._complete_as_planned(mark.program, mark.execution_id, mark.name, mark.ends_at)

    def _next(self, kind: str) -> int:
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return self._numbers[kind]

    def _start_soon(self, program: Program, function: str) -> None:
        if program["end"] != "poison":
            self.programs[program["name"]] = program

        def action() -> bool:
            self._starter.start(function, program["name"], program)
            return True

        self.crew.at(time.time(), action)

    def _start_programs(self) -> None:
        while self._starting:
            if self.live < MOST_LIVE:
                self._start_one(self.generator.program(self._next("program")))
            time.sleep(self._rng.uniform(0.5, 1.5) / STARTS_PER_SECOND)

    def _start_leaving(self) -> None:
        while self._starting:
            if self.leaving < MOST_LEAVING:
                program = self.generator.leaving(self._next("leaving"))
                self.programs[program["name"]] = program
                self._starter.start("chaos-leaving", program["name"], program)
            time.sleep(0.4)

    def _know(self, program: Program) -> None:
        for each in (program, *invoked(program)):
            self.programs[each["name"]] = each

    def _start_one(self, program: Program) -> None:
        name = program["name"]
        self._know(program)
        by_web = self._rng.random() < 0.2
        execution_id = self._starter.start("chaos", name, program, by_web=by_web)
        if self._rng.random() < 0.1:  # somebody else asks for the same
            self._starter.start("chaos", name, program)
        if self._rng.random() < 0.05:  # or for something else under the same name
            self._starter.try_start("chaos", name, '{"ops": [], "end": "return"}')
        if "delay_ms" in program.get("stop", {}):
            self._stop(execution_id, time.time() + program["stop"]["delay_ms"] / 1000)

    def _stop_at_the_end(self, mark: Mark) -> None:
        offset_ms = self.programs[mark.program].get("stop", {}).get("offset_ms")
        if offset_ms is not None and mark.execution_id not in self._stops:
            self._stop(mark.execution_id, mark.ends_at + offset_ms / 1000)

    def _stop(self, execution_id: str, at: float) -> None:
        self._stops.add(execution_id)
        self.crew.at(at, lambda: client.stop(self._journal, execution_id).outcome != "info")

    def _complete_as_planned(self, program_name: str, execution_id: str, name: str, ends_at: float) -> None:
        if (execution_id, name) in self._planned:
            return
        self._planned.add((execution_id, name))
        program = self.programs[program_name]
        op = next(each for each in walk(program["ops"]) if each["n"] == name)
        operation_id = callback_operation(program, name)
        for plan in op["plan"]:
            self.crew.at(
                ends_at + self._lead + plan["offset_ms"] / 1000, self._completion(execution_id, operation_id, plan)
            )

    def _completion(self, execution_id: str, operation_id: str, plan: Op) -> Callable[[], bool]:
        def action() -> bool:
            request = client.complete(self._journal, execution_id, operation_id, plan["succeeds"], plan["value"])
            return request.outcome != "info"

        return action

    def _watch(self) -> None:
        while True:
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    while True:
                        self._look(connection)
                        self._aim(connection)
                        time.sleep(0.5)
            except psycopg.Error:
                time.sleep(0.2)

    def _look(self, connection: psycopg.Connection) -> None:
        self.live, self.leaving = connection.execute(_LIVE).fetchone() or (0, 0)
        for execution_id, *closed in connection.execute(_CLOSED_SAMPLE, [SAMPLED]):
            self.samples.append(Sample(execution_id, tuple(closed)))
        for execution_id, seconds in connection.execute(_HELD_BY_THE_LOST, {"lease": LEASE_SECONDS}):
            self.samples.append(Sample(execution_id, lost_for=seconds))
        for name, execution_id, operation_id in connection.execute(_OPEN_CALLBACKS, [FORGOTTEN_SECONDS]):
            self._complete_forgotten(name, execution_id, operation_id)

    def _aim(self, connection: psycopg.Connection) -> None:
        """Move the completions closer to the suspends they are meant for."""
        row = connection.execute(_COMPLETED_LATE).fetchone()
        if row is not None and row[0] is not None:
            self._lead = min(0.03, max(-0.03, self._lead - 0.3 * row[0]))

    def _complete_forgotten(self, name: str, execution_id: str, operation_id: str) -> None:
        program = self.programs.get(name) or (self.holder.programs.get(name) if self.holder else None)
        if program is None:
            return
        for expected in expected_operations(program["ops"]):
            if expected.id == operation_id and expected.op["plan"]:
                plan = expected.op["plan"][0]
                self.crew.at(time.time(), self._completion(execution_id, operation_id, plan))
