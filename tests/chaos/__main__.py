"""`python -m tests.chaos --minutes 3 --seed 1`: break the product at random for a while and see what holds."""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

from tests.chaos.run import run, say

CASES = Path(__file__).with_name("cases.json")
CASE_SECONDS = 20.0


def main() -> int:
    """Run the kept cases and then the given or a random seed, one process each; 1 when something was violated."""
    arguments = _parser().parse_args()
    seed = random.randrange(1 << 31) if arguments.seed is None else arguments.seed
    report = run(seed, arguments.seconds or arguments.minutes * 60, keep=arguments.keep)
    for line in report.lines():
        say(line)
    if not report.passed and arguments.remember:
        _remember(seed, sorted(report.violations))
    return 0 if report.passed else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="how long faults strike (3)")
    parser.add_argument("--seconds", type=float, help="the same in seconds")
    parser.add_argument("--seed", type=int, help="a random one by default")
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
