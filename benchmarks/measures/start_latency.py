"""How long it takes from the call that starts an execution to the body of its first step, on an idle system."""

from __future__ import annotations

import random
import time

from benchmarks.bench import Bench, results, start
from benchmarks.figures import Figure, latency_figures


def measure(bench: Bench) -> list[Figure]:
    """Start one at a time, with pauses; the insert and its commit are part of the latency."""
    count = bench.pick(300, 15)
    commit_ms = bench.commit_ms()
    results(start("bench-sequence", [{"steps": 1}] * 4))  # warm
    latencies = []
    for _ in range(count):
        time.sleep(random.uniform(0.02, 0.06))
        began = time.time_ns()
        (times,) = results(start("bench-sequence", [{"steps": 1}]))
        latencies.append((times[0] - began) / 1e6)
    return latency_figures("start_to_first_step", latencies, commit_ms, f"{count} starts, one at a time")
