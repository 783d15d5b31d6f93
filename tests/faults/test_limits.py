"""A limit of one, under workers that are killed: nobody is ever in the room together, and everybody gets in."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from durable_engine.models import Execution, ExecutionStatus, Worker
from durable_engine.services.starts import StartRequest, start_executions
from tests.faults.stack import TESTER, Stack, until

pytestmark = pytest.mark.process

# LIMIT_RUNS=500 makes more of it, which takes minutes.
RUNS = int(os.environ.get("LIMIT_RUNS", "30"))
KILLS = RUNS // 5


@pytest.mark.timeout(120 + 3 * RUNS)
def test_a_limit_of_one_never_overlaps_though_workers_are_killed(stack: Stack, tmp_path: Path) -> None:
    room = tmp_path / "room"
    text = json.dumps({"key": "a", "ledger": str(room)})
    more = stack.start_group(concurrency=2)
    try:
        ids = [each.id for each in start_executions([StartRequest("one-at-a-time", text)] * RUNS, actor=TESTER)]
        for _ in range(KILLS):
            kill_one(ids, room)
        until(
            lambda: not Execution.objects.filter(pk__in=ids, closed_at=None).exists(), "all have ended", 90 + 2 * RUNS
        )
    finally:
        more.stop()

    assert set(Execution.objects.filter(pk__in=ids).values_list("status", flat=True)) == {"SUCCEEDED"}
    visits = check_room(room.read_text().splitlines())
    assert visits >= 2 * RUNS  # each twice, and again after a kill


def kill_one(ids: Sequence[UUID], room: Path) -> None:
    """Kill a worker that runs one of these executions, and note it in the room before it dies."""
    running = Execution.objects.filter(pk__in=ids, status=ExecutionStatus.RUNNING)
    left = Execution.objects.filter(pk__in=ids, closed_at=None)
    workers = until(lambda: list(running.values_list("worker_id", flat=True)) or not left.exists(), "somebody runs")
    if workers is True:
        return
    assert isinstance(workers, list)
    worker = Worker.objects.filter(pk=random.choice(workers), lost_at=None).first()
    if worker is None:
        return
    with room.open("a") as ledger:
        ledger.write(f"killed {worker.pid}\n")
    with suppress(ProcessLookupError):  # it is just being replaced
        os.kill(worker.pid, signal.SIGKILL)
    time.sleep(random.uniform(0.05, 0.3))


def check_room(lines: Sequence[str]) -> int:
    """Return how many went in; who went in comes out, or is killed, before the next goes in."""
    inside: str | None = None
    killed: set[str] = set()
    visits = 0
    for line in lines:
        what, pid = line.split()
        if what == "killed":
            killed.add(pid)
        elif what == "in":
            assert inside is None or inside in killed, f"{pid} went in while {inside} was inside"
            inside = pid
            visits += 1
        elif inside == pid:
            inside = None
    return visits
