"""The benchmarks in the order in which they run, and the figures that each yields."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.measures import (
    backlog,
    callback_latency,
    replay,
    sequential_steps,
    start_latency,
    step_cost,
    suspended,
    throughput,
    wait_lateness,
)

Measure = Callable[[Bench], list[Figure]]

# The last one fills the tables.
MEASURES: Final[tuple[tuple[Measure, tuple[str, ...]], ...]] = (
    (sequential_steps.measure, ("sequential_step_ratio",)),
    (throughput.measure, ("executions_per_second",)),
    (backlog.measure, ("executions_per_second_backlog",)),
    (start_latency.measure, ("start_to_first_step_p50_ms", "start_to_first_step_p99_ms")),
    (wait_lateness.measure, ("wait_lateness_p50_ms", "wait_lateness_p99_ms")),
    (callback_latency.measure, ("callback_to_resumed_p50_ms", "callback_to_resumed_p99_ms")),
    (replay.measure, ("replay_us_per_step_1000", "replay_us_per_step_5000")),
    (step_cost.measure, ("statements_per_step", "wal_bytes_per_step")),
    (suspended.measure, ("suspended_100k_mib", "suspended_100k_cpu_percent")),
)


def run(bench: Bench, names: Collection[str]) -> Iterator[Figure]:
    """Yield the named figures as they are taken, all of them when none is named."""
    for measure, yields in MEASURES:
        if not names or set(names) & set(yields):
            yield from (figure for figure in measure(bench) if not names or figure.name in names)
