"""A short run of every fault with a new seed. `make chaos` is longer, and begins with the seeds that once failed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.chaos.stack import ROOT

SECONDS = 12


@pytest.mark.process
@pytest.mark.timeout(300)
def test_every_invariant_holds_through_every_fault() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--no-cases", "--seconds", str(SECONDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
