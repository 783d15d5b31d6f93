"""Everything the checks look at: what the clients were told, what the bodies did, and what the tables hold."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import psycopg
from psycopg.rows import class_row

from tests.chaos.ledger import Entry
from tests.chaos.programs import ExpectedOperation, Program, expected_operations

CLOSED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"})
TERMINAL_EVENTS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionStopped": "STOPPED",
}
CALLBACK_OUTCOMES = {
    "CallbackSucceeded": "SUCCEEDED",
    "CallbackFailed": "FAILED",
    "CallbackTimedOut": "TIMED_OUT",
}
OPERATION_OUTCOMES = frozenset(
    {
        *("StepSucceeded", "WaitSucceeded", "ContextSucceeded", "ContextFailed"),
        *("ChainedInvokeSucceeded", "ChainedInvokeFailed", "ChainedInvokeStopped"),
        *CALLBACK_OUTCOMES,
    }
)


@dataclass(frozen=True)
class ExecutionRow:
    """A row of the execution table."""

    id: str
    function: str
    name: str
    status: str
    fence: int
    batch: int
    last_event_id: int
    signal: int
    crash_count: int
    worker_id: str | None
    ready_at: datetime | None
    wake_at: datetime | None
    closed_at: datetime | None
    pause_kind: str
    pause_reason: str
    error_type: str
    parent_execution_id: str | None = None


@dataclass(frozen=True)
class EventRow:
    """A row of the event table."""

    execution_id: str
    event_id: int
    event_type: str
    operation_id: str | None = None
    parent_id: str | None = None
    subtype: str | None = None
    name: str | None = None
    attempt: int | None = None
    payload: str | None = None
    error: str | None = None
    details: Mapping[str, Any] | None = None
    fence: int | None = None
    at: float = 0.0  # seconds since 1970

    @property
    def is_outcome(self) -> bool:
        """Whether the operation is over with it."""
        if self.event_type == "StepFailed":
            return "next_attempt_delay_seconds" not in (self.details or {})
        return self.event_type in OPERATION_OUTCOMES


@dataclass(frozen=True)
class CallbackRow:
    """A row of the callback table."""

    id: str
    execution_id: str
    operation_id: str
    status: str


@dataclass(frozen=True)
class TimerRow:
    """A row of the timer table."""

    execution_id: str
    operation_id: str
    kind: str


@dataclass(frozen=True)
class Request:
    """One thing a client asked for. `outcome`: ok, fail (refused, nothing changed) or info (nobody knows).

    `key` is the execution's name of a start, the callback's operation `execution/operation`, or a stopped execution.
    """

    kind: str  # start, complete or stop
    key: str
    outcome: str
    began: float
    ended: float
    input: str = ""
    execution_id: str = ""
    answer: str = ""  # complete: "SUCCEEDED text" or "FAILED"; a refusal: the status that the client was told
    problem: str = ""


@dataclass(frozen=True)
class Sample:
    """An execution seen closed while the run went on, or held by a worker that was declared lost `lost_for` ago."""

    execution_id: str
    closed: tuple[object, ...] | None = None
    lost_for: float = 0.0


@dataclass
class World:
    """The facts of one run, after everything was healed and had time to finish."""

    executions: dict[str, ExecutionRow] = field(default_factory=dict)
    events: dict[str, list[EventRow]] = field(default_factory=lambda: defaultdict(list))
    callbacks: list[CallbackRow] = field(default_factory=list)
    timers: list[TimerRow] = field(default_factory=list)
    programs: dict[str, Program] = field(default_factory=dict)  # by the name of the execution
    requests: list[Request] = field(default_factory=list)
    ledger: list[Entry] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    log_problems: list[str] = field(default_factory=list)
    max_crashes: int = 5
    lease_seconds: float = 2.0
    tick_seconds: float = 0.1

    def program_of(self, execution: ExecutionRow) -> Program | None:
        """The program that an execution runs; None for the poison."""
        if execution.parent_execution_id is None:
            return self.programs.get(execution.name)
        # One that was invoked is named by its id; what it runs is its input.
        program: Program = json.loads(self.events[execution.id][0].payload or "")
        return program

    def interpreted(self) -> Iterable[tuple[ExecutionRow, Program]]:
        """The executions that run a program."""
        for execution in self.executions.values():
            program = self.program_of(execution)
            if program is not None:
                yield execution, program

    def outcomes_of(self, execution: ExecutionRow) -> dict[str, tuple[str, str | None]]:
        """The outcome (status, text) of each callback by its operation's name, those of what it invoked included."""
        expected = {op.id: op for op in self.operations_of(self.program_of(execution) or {"ops": []})}
        found: dict[str, tuple[str, str | None]] = {}
        for event in self.events[execution.id]:
            if event.event_type in CALLBACK_OUTCOMES and event.operation_id in expected:
                name = expected[event.operation_id].op["n"]
                found[name] = (CALLBACK_OUTCOMES[event.event_type], event.payload)
        for each in self.executions.values():
            if each.parent_execution_id == execution.id:
                found |= self.outcomes_of(each)
        return found

    @cached_property
    def ledger_by_execution(self) -> dict[str, list[Entry]]:
        """The ledger's records of each execution, by time."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.ledger:
            found[entry.execution_id].append(entry)
        return found

    def requests_of(self, kind: str) -> dict[str, list[Request]]:
        """The requests of a kind by their key."""
        found: dict[str, list[Request]] = defaultdict(list)
        for request in self.requests:
            if request.kind == kind:
                found[request.key].append(request)
        return found

    def operations_of(self, program: Program) -> list[ExpectedOperation]:
        """The operations of a completed history."""
        return expected_operations(program["ops"])


_EXECUTIONS = """
SELECT id::text, function, name, status, fence, batch, last_event_id, signal, crash_count, worker_id::text, ready_at,
       wake_at, closed_at, pause_kind, pause_reason, error_type, parent_execution_id::text
FROM durable_execution
"""
_EVENTS = """
SELECT execution_id::text, event_id, event_type, operation_id, parent_id, subtype, name, attempt, payload, error,
       details, fence, extract(epoch FROM event_at)::float8 AS at
FROM durable_event ORDER BY execution_id, event_id
"""
_CALLBACKS = "SELECT id::text, execution_id::text, operation_id, status FROM durable_callback"
_TIMERS = "SELECT execution_id::text, operation_id, kind FROM durable_timer"


def load_tables(world: World, url: str) -> None:
    """Read the tables into the world."""
    with psycopg.connect(url) as connection:
        rows = connection.cursor(row_factory=class_row(ExecutionRow)).execute(_EXECUTIONS).fetchall()
        world.executions = {row.id: row for row in rows}
        world.events = defaultdict(list)
        for event in connection.cursor(row_factory=class_row(EventRow)).execute(_EVENTS):
            world.events[event.execution_id].append(event)
        world.callbacks = connection.cursor(row_factory=class_row(CallbackRow)).execute(_CALLBACKS).fetchall()
        world.timers = connection.cursor(row_factory=class_row(TimerRow)).execute(_TIMERS).fetchall()


def shown(problems: Sequence[str], most: int = 8) -> list[str]:
    """The first problems, and how many more there are."""
    rest = len(problems) - most
    return [*problems[:most], *([f"… and {rest} more"] if rest > 0 else [])]
