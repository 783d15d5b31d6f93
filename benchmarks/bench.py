"""What every benchmark is given: the floor, the processes, counts that fit the run, and ways to start and to wait."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from benchmarks.floor import Floor
from benchmarks.processes import Processes
from benchmarks.servers import Servers
from durable_engine.client import StartSpec, start_executions
from durable_engine.models import Event, Execution

N = TypeVar("N", int, float)

LOOK_SECONDS: Final = 0.01
PATIENCE_SECONDS: Final = 120.0


class NotFinished(Exception):
    """Executions did not come to the expected status in time."""


@dataclass(frozen=True)
class Bench:
    """One run. `quick` trades precision for time: it shows that the command works."""

    quick: bool
    servers: Servers
    processes: Processes
    floor: Floor

    def pick(self, full: N, quick: N) -> N:
        """Return the one of two counts, or durations, that fits the run."""
        return quick if self.quick else full

    def commit_ms(self) -> float:
        """Return what the floor takes for one commit now, in milliseconds."""
        return self.floor.commit_ms(self.pick(500, 50))


def start(function: str, inputs: Sequence[Any], *, delay: float | None = None) -> list[UUID]:
    """Start executions in one statement."""
    return [each.id for each in start_executions(StartSpec(function, input=given, delay=delay) for given in inputs)]


def results(ids: Sequence[UUID]) -> list[Any]:
    """Wait until the executions have succeeded and return their results, in the order of the ids."""
    wait_for_status(ids, "SUCCEEDED")
    rows = Event.objects.filter(execution_id__in=ids, event_type="ExecutionSucceeded")
    texts = dict(rows.values_list("execution_id", "payload"))
    return [json.loads(texts[each] or "null") for each in ids]


def wait_for_status(ids: Sequence[UUID], status: str, *, look_seconds: float = LOOK_SECONDS) -> None:
    """Wait until all of the executions have a status.

    Raises:
        NotFinished: not within two minutes.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    # A range, because a list of thousands would cost more than what is measured: ids grow with time, and nobody else
    # starts anything.
    others = Execution.objects.filter(pk__range=(min(ids), max(ids))).exclude(status=status).order_by()
    while others.exists():
        if time.monotonic() > deadline:
            found = sorted(set(others.values_list("status", flat=True)))
            raise NotFinished(f"{others.count()} of {len(ids)} executions are {', '.join(found)}, not {status}")
        time.sleep(look_seconds)
