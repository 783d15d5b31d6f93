"""What a step costs when steps follow each other, in commits of the floor."""

from __future__ import annotations

import statistics

from benchmarks.bench import Bench, results, start
from benchmarks.figures import Figure


def measure(bench: Bench) -> list[Figure]:
    """Take floor and steps in turns, so that what else the machine does hits both."""
    steps, rounds = bench.pick(400, 30), bench.pick(15, 3)
    step_ms, commit_ms = [], []
    results(start("bench-sequence", [{"steps": steps}]))  # warm
    for _ in range(rounds):
        commit_ms.append(bench.floor.commit_ms(steps))
        (times,) = results(start("bench-sequence", [{"steps": steps}]))
        step_ms.append((times[1] - times[0]) / 1e6 / (steps - 1))
    step, commit = statistics.median(step_ms), statistics.median(commit_ms)
    how = f"{rounds} rounds of {steps} steps and {steps} commits; medians {step:.3f} ms and {commit:.3f} ms"
    return [Figure("sequential_step_ratio", step / commit, "x", step / commit, how)]
