"""Figures are held against their targets as they are shown, and end up in the file in the agreed form."""

import json
from pathlib import Path

import pytest

from benchmarks.figures import TARGETS, Figure, percentile, rounded, table, write_json


def test_a_figure_holds_when_its_value_as_shown_meets_the_target() -> None:
    assert Figure("sequential_step_ratio", 2.0001, "x", 2.0001, "").holds is True
    assert Figure("sequential_step_ratio", 2.02, "x", 2.02, "").holds is False
    assert Figure("executions_per_second", 300.0, "1/s", 9.1, "").holds is True
    assert Figure("executions_per_second", 298.0, "1/s", 9.1, "").holds is False


def test_a_figure_without_a_target_neither_holds_nor_fails() -> None:
    assert Figure("wal_bytes_per_step", 984.0, "bytes", 3.2, "").holds is None


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_the_percentile_of_few_values_is_one_of_them() -> None:
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert percentile([3.0], 50) == 3.0


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, 0.0), (0.0712, 0.07), (2.5764, 2.58), (31.44, 31.4), (983.7, 984.0), (100_400.0, 100_400.0)],
)
def test_a_value_is_shown_with_three_digits_and_at_most_two_decimals(value: float, shown: float) -> None:
    assert rounded(value) == shown


def test_the_file_lists_name_value_unit_ratio_target_and_holds(tmp_path: Path) -> None:
    figures = [
        Figure("executions_per_second", 412.3, "1/s", 8.81, "five rounds"),
        Figure("suspended_100k_mib", 0.0, "MiB", None, ""),
        Figure("wal_bytes_per_step", 983.7, "bytes", 3.2, ""),
    ]
    path = tmp_path / "build" / "bench.json"

    write_json(figures, path)

    assert json.loads(path.read_text()) == [
        {
            "name": "executions_per_second",
            "value": 412.0,
            "unit": "1/s",
            "ratio": 8.81,
            "target": ">= 300",
            "holds": True,
        },
        {"name": "suspended_100k_mib", "value": 0.0, "unit": "MiB", "ratio": None, "target": "<= 1", "holds": True},
        {"name": "wal_bytes_per_step", "value": 984.0, "unit": "bytes", "ratio": 3.2, "target": None, "holds": None},
    ]


def test_the_table_marks_a_missed_target() -> None:
    lines = table([Figure("executions_per_second", 170.0, "1/s", 25.2, "one round")]).splitlines()

    assert lines[0].split() == ["name", "value", "unit", "ratio", "target", "holds", "how"]
    assert lines[1].split() == ["executions_per_second", "170", "1/s", "25.2", ">=", "300", "NO", "one", "round"]


def test_every_figure_that_was_agreed_has_a_name_of_its_own() -> None:
    assert len(TARGETS) == 39
