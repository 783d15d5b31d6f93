"""A short run of every fault, and of every seed that once found something."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

from tests.chaos.__main__ import CASES
from tests.chaos.stack import ROOT

SECONDS = 12
SEEDS = [case["seed"] for case in json.loads(CASES.read_text())]


@pytest.mark.process
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [*SEEDS, None], ids=lambda seed: "a-new-seed" if seed is None else f"seed-{seed}")
def test_every_invariant_holds_through_every_fault(seed: int | None) -> None:
    seed = random.SystemRandom().randrange(1 << 31) if seed is None else seed
    environment = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--seconds", str(SECONDS), "--seed", str(seed)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
