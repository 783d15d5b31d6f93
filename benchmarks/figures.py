"""What a benchmark yields: figures, the targets they are held against, the table and the file they go to."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

_COMPARE: Final = {"<=": operator.le, ">=": operator.ge}

# On two cores. A name without a target is measured to be watched.
TARGETS: Final = {
    "sequential_step_ratio": "<= 2.0",
    "executions_per_second": ">= 300",
    "executions_per_second_backlog": ">= 500",
    "start_to_first_step_p50_ms": "<= 10",
    "start_to_first_step_p99_ms": "<= 40",
    "wait_lateness_p50_ms": "<= 10",
    "wait_lateness_p99_ms": "<= 60",
    "callback_to_resumed_p50_ms": "<= 10",
    "callback_to_resumed_p99_ms": None,
    "replay_us_per_step_1000": None,
    "replay_us_per_step_5000": "<= 15",
    "resume_10000_operations_ms": "<= 200",
    "parallel_500_300_400_over_ms": "<= 12",
    "map_200_over_ms": "<= 12",
    "parallel_200_noop_ms": "<= 120",
    "map_1000_items_per_second": ">= 2000",
    "decisions_per_second": ">= 200",
    "inbox_100k_ms": "<= 50",
    "inbox_100k_queries": "<= 20",
    "api_invoke_event_p50_ms": None,
    "api_invoke_event_per_second": None,
    "api_invoke_event_ratio": ">= 0.4",
    "api_invoke_event_commit_ratio": None,
    "api_callback_success_p50_ms": None,
    "api_callback_success_per_second": None,
    "api_callback_success_ratio": ">= 0.4",
    "api_callback_success_commit_ratio": None,
    "suspended_100k_mib": "<= 1",
    "suspended_100k_cpu_percent": "<= 1",
    "statements_per_step": "<= 1",
    "wal_bytes_per_step": None,
    "dashboard_list_first_ms": "<= 50",
    "dashboard_list_deep_ms": "<= 50",
    "dashboard_list_filtered_ms": "<= 50",
    "dashboard_list_kib": "<= 40",
    "execution_page_20k_ms": "<= 200",
    "execution_page_20k_kib": "<= 60",
    "timeline_window_kib": "<= 5",
    "poll_unchanged_queries": "<= 1",
}


@dataclass(frozen=True)
class Figure:
    """One measured value.

    `ratio` compares it with a bare insert-and-commit of the same payload, None where nothing compares. `how` says in
    words how often it was taken and what went into it; it is printed only.
    """

    name: str
    value: float
    unit: str
    ratio: float | None
    how: str

    @property
    def target(self) -> str | None:
        """What the value is held against; None when it is only watched."""
        return TARGETS[self.name]

    @property
    def holds(self) -> bool | None:
        """Whether the value, as it is shown, meets its target."""
        if self.target is None:
            return None
        sign, limit = self.target.split()
        return bool(_COMPARE[sign](rounded(self.value), float(limit)))


def rounded(value: float) -> float:
    """Return the value as it is shown: three significant digits, and at most two decimals."""
    if value == 0:
        return 0.0
    return round(value, max(0, min(2, 2 - math.floor(math.log10(abs(value))))))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def latency_figures(name: str, milliseconds: Sequence[float], commit_ms: float, how: str) -> list[Figure]:
    """Return p50 and p99 of latencies as figures."""
    return [
        Figure(f"{name}_p{percent}_ms", value, "ms", value / commit_ms, how)
        for percent in (50, 99)
        for value in [percentile(milliseconds, percent)]
    ]


def write_json(figures: Sequence[Figure], path: Path) -> None:
    """Write the figures as a list of name, value, unit, ratio, target and holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([_row(figure) for figure in figures], indent=2) + "\n")


def _row(figure: Figure) -> dict[str, Any]:
    row = asdict(figure) | {"target": figure.target, "holds": figure.holds}
    del row["how"]
    return row | {"value": rounded(figure.value), "ratio": figure.ratio and rounded(figure.ratio)}


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table for people."""
    rows = [("name", "value", "unit", "ratio", "target", "holds", "how")]
    rows += [
        (
            figure.name,
            f"{rounded(figure.value):g}",
            figure.unit,
            "-" if figure.ratio is None else f"{rounded(figure.ratio):g}",
            figure.target or "-",
            {None: "-", True: "yes", False: "NO"}[figure.holds],
            figure.how,
        )
        for figure in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join("  ".join([*map(str.ljust, row[:6], widths), row[6]]).rstrip() for row in rows)
