"""Executions a second, from the first start to the last completion."""

from __future__ import annotations

import statistics
from uuid import UUID

from django.db import connection
from django.db.models import Max

from benchmarks.bench import Bench, start, wait_for_status
from benchmarks.figures import Figure
from durable_engine.models import Execution

STEPS = 3


def measure(bench: Bench) -> list[Figure]:
    """Start them in bulk while two warm worker processes wait."""
    count, rounds = bench.pick(1000, 30), bench.pick(5, 1)
    commit_ms, rates = [], []
    for _ in range(rounds):
        commit_ms.append(bench.commit_ms())
        began = database_time()
        ids = start("bench-sequence", [{"steps": STEPS}] * count)
        wait_for_status(ids, "SUCCEEDED", look_seconds=0.1)
        rates.append(count / (last_closed(ids) - began))
    rate = statistics.median(rates)
    ratio = 1000 / rate / statistics.median(commit_ms)
    how = f"{rounds} rounds of {count} executions of {STEPS} steps: {', '.join(f'{each:.0f}' for each in rates)}"
    return [Figure("executions_per_second", rate, "1/s", ratio, how)]


def database_time() -> float:
    """Return the time by the database's clock, which also stamps completions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(cursor.fetchone()[0])


def last_closed(ids: list[UUID]) -> float:
    """Return when the last of the executions was closed, by the database's clock."""
    closed = Execution.objects.filter(pk__range=(min(ids), max(ids))).aggregate(last=Max("closed_at"))["last"]
    assert closed is not None
    return float(closed.timestamp())
