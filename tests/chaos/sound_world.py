"""A small world in which nothing is wrong, and the parts it is made of."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.chaos.ledger import Entry
from tests.chaos.programs import expected_values
from tests.chaos.world import CallbackRow, EventRow, ExecutionRow, Request, Sample, World

ONE, TWO, POISON = "e1", "e2", "e3"
BEGAN = 1000.0


def step(name: str, **changes: Any) -> dict[str, Any]:
    op = {"k": "step", "n": name, "at_most_once": False, "counted": True, "fails": 0, "attempts": 60, "size": 0}
    return op | {"ms": 0, "delay": 0.1, "mark": ""} | changes


PROGRAM: dict[str, Any] = {
    "name": "p1",
    "ops": [
        step("step-1"),
        {"k": "wait", "n": "wait-2", "seconds": 0.5},
        {"k": "callback", "n": "callback-3", "ops": [step("step-4", at_most_once=True)], "timeout": 0, "plan": [1]},
    ],
    "end": "return",
}
STOPPED_PROGRAM: dict[str, Any] = {"name": "p2", "ops": [step("step-1"), step("step-2")], "end": "return"}


def event(number: int, event_type: str, id_: str | None = None, at: float = 0.0, **more: Any) -> EventRow:
    kind = event_type.removesuffix("Started").removesuffix("Succeeded").removesuffix("Failed")
    subtype = kind if id_ else None
    fence = more.pop("fence", 1)
    return EventRow(ONE, number, event_type, id_, None, subtype, fence=fence, at=BEGAN + at, **more)


def completed(number: int, at: float, fence: int | None = 1, request: str = "", error: str | None = None) -> EventRow:
    details = {"request_id": request or f"r{number}"}
    return event(number, "InvocationCompleted", at=at, fence=fence, details=details, error=error)


def sound_history() -> list[EventRow]:
    wait = {"duration_seconds": 0.5}
    values = expected_values(PROGRAM["ops"], {"callback-3": ("SUCCEEDED", "yes")})
    return [
        event(1, "ExecutionStarted", fence=None, payload=json.dumps(PROGRAM)),
        event(2, "StepStarted", "1", name="step-1", attempt=1),
        event(3, "StepSucceeded", "1", 0.01, name="step-1", attempt=1),
        event(4, "WaitStarted", "2", 0.02, name="wait-2", details=wait),
        completed(5, 0.02),
        event(6, "WaitSucceeded", "2", 0.52, name="wait-2", details=wait, fence=None),
        event(7, "CallbackStarted", "3", 0.53, name="callback-3", fence=2),
        event(8, "StepStarted", "4", 0.54, name="step-4", attempt=1, fence=2),
        event(9, "StepSucceeded", "4", 0.55, name="step-4", attempt=1, fence=2),
        completed(10, 0.56, fence=2),
        event(11, "CallbackSucceeded", "3", 0.6, name="callback-3", fence=None, payload="yes"),
        completed(12, 0.7, fence=3),
        event(13, "ExecutionSucceeded", at=0.7, fence=3, payload=json.dumps(values)),
    ]


def stopped_history() -> list[EventRow]:
    rows = [
        event(1, "ExecutionStarted", fence=None, payload=json.dumps(STOPPED_PROGRAM)),
        event(2, "StepStarted", "1", name="step-1", attempt=1),
        event(3, "StepSucceeded", "1", 0.01, name="step-1", attempt=1),
        completed(4, 0.02, fence=None),
        event(5, "ExecutionStopped", at=0.02, fence=None),
    ]
    return [replace(row, execution_id=TWO) for row in rows]


def poison_history() -> list[EventRow]:
    rows = [
        event(1, "ExecutionStarted", fence=None),
        completed(2, 0.1, fence=None, error="{}"),
        completed(3, 0.2, fence=None, error="{}"),
    ]
    return [replace(row, execution_id=POISON) for row in rows]


def execution(id_: str, name: str, status: str, fence: int, last: int, **more: Any) -> ExecutionRow:
    row = ExecutionRow(id_, "chaos", name, status, fence, 2, last, 1, 0, None, None, None, None, "", "", "")
    closed = datetime.fromtimestamp(BEGAN + 0.02, UTC) if status in {"SUCCEEDED", "STOPPED"} else None
    return replace(row, closed_at=closed, **more)


def body(execution_id: str, name: str, at: float, fence: int = 1, phase: str = "begin", hash_: str = "") -> Entry:
    return Entry(execution_id, name, phase, 1 if phase == "begin" else 0, fence, 7, BEGAN + at, hash_)


def request(kind: str, key: str, outcome: str = "ok", **more: Any) -> Request:
    return Request(kind, key, outcome, BEGAN, BEGAN + 0.01, **more)


def sound_world() -> World:
    """Return a world in which every invariant holds: one success, one stop, one poison."""
    found = World(
        executions={
            ONE: execution(ONE, "p1", "SUCCEEDED", 3, 13),
            TWO: execution(TWO, "p2", "STOPPED", 2, 5),
            POISON: execution(
                POISON, "poison1", "PAUSED", 4, 3, function="chaos-poison", pause_kind="crashes", crash_count=2
            ),
        },
        callbacks=[CallbackRow("c", ONE, "3", "SUCCEEDED")],
        programs={"p1": PROGRAM, "p2": STOPPED_PROGRAM},
        requests=[
            request("start", "p1", "info", input=json.dumps(PROGRAM)),
            request("start", "p1", input=json.dumps(PROGRAM), execution_id=ONE),
            request("start", "p1", "fail", input="{}"),
            request("start", "p2", input=json.dumps(STOPPED_PROGRAM), execution_id=TWO),
            request("complete", f"{ONE}/3", answer="SUCCEEDED yes", execution_id=ONE),
            request("complete", f"{ONE}/3", "fail", answer="SUCCEEDED", execution_id=ONE),
            request("stop", TWO, execution_id=TWO),
        ],
        ledger=[
            body(ONE, "step-1", 0.0),
            body(ONE, "step-1", 0.02, phase="seen", hash_="a"),
            body(ONE, "step-1", 0.53, 2, phase="seen", hash_="a"),
            body(ONE, "wait-2", 0.53, 2, phase="seen", hash_="b"),
            body(ONE, "step-4", 0.545, 2),
            body(TWO, "step-1", 0.0),
            body(TWO, "step-2", 0.03),  # it was about to begin when the stop came
        ],
        samples=[],
        max_crashes=2,
    )
    found.events |= {ONE: sound_history(), TWO: stopped_history(), POISON: poison_history()}
    row = found.executions[ONE]
    found.samples.append(Sample(ONE, (row.status, row.closed_at, row.last_event_id, row.fence, row.batch)))
    return found
