"""`python -m benchmarks` measures, writes its file and leaves nothing behind."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from durable_engine.config.env import BASE_DIR
from tests.processes import descendants, wait_for, wait_until_gone

pytestmark = pytest.mark.process

COMMAND = [sys.executable, "-m", "benchmarks"]
FIGURES = ("sequential_step_ratio", "callback_to_resumed_p50_ms", "replay_us_per_step_5000", "statements_per_step")


def environment(directory: Path) -> dict[str, str]:
    """Return an environment in which the command starts servers of its own below `directory`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DURABLE_", "PERDURE_"))}
    for name in ("DATABASE_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE", "SECRET_KEY"):
        kept.pop(name, None)
    return {**kept, "TMPDIR": str(directory)}


def test_a_quick_run_takes_the_figures_that_are_asked_for_and_cleans_up(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"

    done = subprocess.run(
        [*COMMAND, "--quick", "--only", ",".join(FIGURES), "--output", str(output)],
        cwd=BASE_DIR,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    figures = {figure["name"]: figure for figure in json.loads(output.read_text())}
    assert tuple(figures) == FIGURES
    assert all(math.isfinite(figure["value"]) and figure["value"] > 0 for figure in figures.values())
    # One, but for a start that was recorded by itself because a busy machine made its body slow.
    assert round(figures["statements_per_step"]["value"], 1) == 1.0
    assert all(name in done.stdout for name in FIGURES)
    assert list(tmp_path.glob("perdure-bench-*")) == []


def test_a_run_that_is_stopped_stops_everything_it_started(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        child = subprocess.Popen(
            [*COMMAND, "--only", "sequential_step_ratio"],
            cwd=BASE_DIR,
            env=environment(tmp_path),
            stdout=out,
            stderr=out,
        )
    wait_for(lambda: list(tmp_path.glob("perdure-bench-*/worker-*.log")), "a worker")
    family = descendants(child.pid)
    assert len(family) > 4

    child.send_signal(signal.SIGINT)

    assert child.wait(30) == 130
    wait_until_gone(family)
    assert list(tmp_path.glob("perdure-bench-*")) == []


def test_an_unknown_figure_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    began = time.monotonic()

    done = subprocess.run(
        [*COMMAND, "--only", "steps"],
        cwd=BASE_DIR,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "--only: no figure's name begins with 'steps'" in done.stderr
    assert "sequential_step_ratio" in done.stderr
    assert time.monotonic() - began < 60
