"""A short run of every fault. `make chaos` is longer, takes a new seed, and begins with those that once failed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.chaos.stack import ROOT

SECONDS = 8
SEED = 1


@pytest.mark.process
@pytest.mark.timeout(300)
def test_every_invariant_holds_through_every_fault() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--no-cases", "--seconds", str(SECONDS), "--seed", str(SEED)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
