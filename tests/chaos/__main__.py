"""`python -m tests.chaos --minutes 3 --seed 1`: break the product at random for a while and see what holds."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

from tests.chaos.stack import Stack

CASES = Path(__file__).with_name("cases.json")
CASE_SECONDS = 12.0


def main(words: Sequence[str] | None = None) -> int:
    """Run the kept seeds briefly, then the given or a random one; 1 when something was violated."""
    arguments = _parser().parse_args(words)
    if not arguments.no_cases and not all(_holds(case["seed"]) for case in json.loads(CASES.read_text())):
        return 1
    seed = random.randrange(1 << 31) if arguments.seed is None else arguments.seed
    home = Path(tempfile.mkdtemp(prefix="perdure-chaos-"))
    stack = Stack(home)
    _configure(stack)
    # Only now: it imports models.
    from tests.chaos.run import run, say

    report = run(stack, seed, arguments.seconds or arguments.minutes * 60)
    for line in report.lines():
        say(line)
    if report.passed and not arguments.keep:
        shutil.rmtree(home, ignore_errors=True)
    if not report.passed and arguments.remember:
        _remember(seed, sorted(report.violations))
    return 0 if report.passed else 1


def _holds(seed: int) -> bool:
    command = [sys.executable, "-m", "tests.chaos", "--no-cases", "--seconds", str(CASE_SECONDS), "--seed", str(seed)]
    return subprocess.run(command, check=False).returncode == 0


def _configure(stack: Stack) -> None:
    for name in [name for name in os.environ if name.startswith(("DURABLE_", "PERDURE_"))]:
        del os.environ[name]
    os.environ.update(stack.environment())
    django.setup()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="how long faults strike (3)")
    parser.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--seed", type=int, help="a random one by default")
    parser.add_argument("--no-cases", action="store_true", help="leave out the seeds that once found something")
    parser.add_argument("--keep", action="store_true", help="keep logs and ledger also when all is well")
    parser.add_argument("--remember", action="store_true", help="add a failing seed to cases.json")
    return parser


def _remember(seed: int, violated: list[str]) -> None:
    cases: list[dict[str, Any]] = json.loads(CASES.read_text())
    if all(case["seed"] != seed for case in cases):
        cases.append({"seed": seed, "violated": violated})
        CASES.write_text(json.dumps(cases, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
