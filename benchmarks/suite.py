"""The benchmarks in the order in which they run, and the figures that each yields."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.measures import (
    api_calls,
    approvals,
    backlog,
    branches,
    callback_latency,
    pages,
    replay,
    sequential_steps,
    start_latency,
    step_cost,
    suspended,
    throughput,
    wait_lateness,
)

Measure = Callable[[Bench], list[Figure]]
API_FIGURES: Final = ("p50_ms", "per_second", "ratio", "commit_ratio")

# The last two fill the tables.
MEASURES: Final[tuple[tuple[Measure, tuple[str, ...]], ...]] = (
    (sequential_steps.measure, ("sequential_step_ratio",)),
    (throughput.measure, ("executions_per_second",)),
    (backlog.measure, ("executions_per_second_backlog",)),
    (start_latency.measure, ("start_to_first_step_p50_ms", "start_to_first_step_p99_ms")),
    (wait_lateness.measure, ("wait_lateness_p50_ms", "wait_lateness_p99_ms")),
    (callback_latency.measure, ("callback_to_resumed_p50_ms", "callback_to_resumed_p99_ms")),
    (branches.measure_parallel, ("parallel_500_300_400_over_ms", "map_200_over_ms")),
    (branches.measure_noop, ("parallel_200_noop_ms", "map_1000_items_per_second")),
    (replay.measure, ("replay_us_per_step_1000", "replay_us_per_step_5000", "resume_10000_operations_ms")),
    (step_cost.measure, ("statements_per_step", "wal_bytes_per_step")),
    (approvals.measure_decisions, ("decisions_per_second",)),
    (approvals.measure_inbox, ("inbox_100k_ms", "inbox_100k_queries")),
    (
        api_calls.measure,
        tuple(f"api_{call}_{what}" for call in ("invoke_event", "callback_success") for what in API_FIGURES),
    ),
    (suspended.measure, ("suspended_100k_mib", "suspended_100k_cpu_percent")),
    (
        pages.measure,
        (
            "dashboard_list_first_ms",
            "dashboard_list_deep_ms",
            "dashboard_list_filtered_ms",
            "dashboard_list_kib",
            "execution_page_20k_ms",
            "execution_page_20k_kib",
            "timeline_window_kib",
            "poll_unchanged_queries",
        ),
    ),
)


def run(bench: Bench, names: Collection[str]) -> Iterator[Figure]:
    """Yield the named figures as they are taken, all of them when none is named."""
    for measure, yields in MEASURES:
        if not names or set(names) & set(yields):
            yield from (figure for figure in measure(bench) if not names or figure.name in names)
