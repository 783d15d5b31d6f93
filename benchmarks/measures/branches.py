"""What `parallel` and `map` add to what their branches do. From the step before the batch to the step after it."""

from __future__ import annotations

import statistics
from typing import Final

from benchmarks.bench import Bench, results, start
from benchmarks.figures import Figure

SLEEPS_MS: Final = (500, 300, 400)
ITEM_SLEEP_MS: Final = 200
NOOP_BRANCHES: Final = 200


def measure_parallel(bench: Bench) -> list[Figure]:
    """Take what a parallel of three sleeping steps, and a map of three, take beyond their longest sleep."""
    rounds, scale = bench.pick(15, 2), bench.pick(1.0, 0.1)
    sleeps = [sleep * scale for sleep in SLEEPS_MS]
    parallel = _batch_ms("bench-parallel", {"sleeps_ms": sleeps}, rounds) - max(sleeps)
    item = ITEM_SLEEP_MS * scale
    mapped = _batch_ms("bench-map", {"items": 3, "sleep_ms": item}, rounds) - item
    commit_ms = bench.commit_ms()
    how = f"{rounds} rounds, two commits of steps included; median"
    return [
        Figure("parallel_500_300_400_over_ms", parallel, "ms", parallel / commit_ms, how),
        Figure("map_200_over_ms", mapped, "ms", mapped / commit_ms, how),
    ]


def measure_noop(bench: Bench) -> list[Figure]:
    """Take 200 branches, and a map of 1,000 items, of one step each that does nothing."""
    rounds = bench.pick(9, 2)
    branches, items = bench.pick(NOOP_BRANCHES, 20), bench.pick(1000, 50)
    parallel_ms = _batch_ms("bench-parallel", {"sleeps_ms": [0] * branches}, rounds)
    map_ms = _batch_ms("bench-map", {"items": items, "sleep_ms": 0}, rounds)
    commit_ms = bench.commit_ms()
    per_second = items / map_ms * 1000
    return [
        Figure(
            "parallel_200_noop_ms",
            parallel_ms,
            "ms",
            parallel_ms / commit_ms,
            f"{rounds} rounds of {branches} branches of one step; median",
        ),
        Figure(
            "map_1000_items_per_second",
            per_second,
            "/s",
            1000 / per_second / commit_ms,
            f"{rounds} rounds of {items} items of one step, on one worker; median {map_ms:.0f} ms",
        ),
    ]


def _batch_ms(function: str, given: dict[str, object], rounds: int) -> float:
    """Return the median time between the bodies of the steps around the batch, one execution at a time."""
    taken: list[float] = []
    for _ in range(rounds + 1):
        ((before, after),) = results(start(function, [given]))
        taken.append((after - before) / 1e6)
    return statistics.median(taken[1:])  # the first one warms the worker
