"""How fast a backlog drains: executions started before, all of which become ready at one moment."""

from __future__ import annotations

import statistics

from benchmarks.bench import Bench, start, wait_for_status
from benchmarks.figures import Figure
from benchmarks.measures.throughput import STEPS, database_time, last_closed


def measure(bench: Bench) -> list[Figure]:
    """Start them with a delay that is longer than the start itself, and take the time from when they are ready."""
    count, rounds, delay = bench.pick(3000, 30), bench.pick(3, 1), bench.pick(4, 1)
    commit_ms, rates = [], []
    for _ in range(rounds):
        commit_ms.append(bench.commit_ms())
        ready = database_time() + delay
        ids = start("bench-sequence", [{"steps": STEPS}] * count, delay=delay)
        wait_for_status(ids, "SUCCEEDED", look_seconds=0.1)
        rates.append(count / (last_closed(ids) - ready))
    rate = statistics.median(rates)
    ratio = 1000 / rate / statistics.median(commit_ms)
    how = f"{rounds} backlogs of {count} executions of {STEPS} steps: {', '.join(f'{each:.0f}' for each in rates)}"
    return [Figure("executions_per_second_backlog", rate, "1/s", ratio, how)]
