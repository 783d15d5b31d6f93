"""`tests/conformance/README.md` names tests and scenarios that exist, and every scenario."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance.batch_scenarios import BATCH_SCENARIOS
from tests.conformance.scenarios import SCENARIOS

TESTS = Path(__file__).parents[1]
TABLE = (TESTS / "conformance" / "README.md").read_text()
NAMES = {str(scenario) for scenario in (*SCENARIOS, *BATCH_SCENARIOS)}


def test_every_test_that_it_names_exists() -> None:
    named = re.findall(r"`([a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", TABLE)

    missing = [f"{file}::{test}" for file, test in named if f"def {test}(" not in (TESTS / file).read_text()]

    assert missing == []
    assert len(named) > 80


def test_every_scenario_that_it_names_exists() -> None:
    assert set(re.findall(r"`scenario:([^`…]+)`", TABLE)) - NAMES == set()
