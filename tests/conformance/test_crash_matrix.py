"""A crash around every single event of every handler, in memory: the same outcome, and no body runs more than it must.

`test_histories` does the same on Postgres, at the places where one statement ends and the next begins.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.batch_scenarios import BATCH_SCENARIOS
from tests.conformance.driver import MemoryDriver
from tests.conformance.scenarios import LEDGER, SCENARIOS, Scenario
from tests.conformance.test_histories import check_crash, run

MATRIX = [*SCENARIOS, *BATCH_SCENARIOS]


def test_the_matrix_has_every_shape() -> None:
    assert len({scenario.handler.name for scenario in MATRIX}) >= 40


@pytest.mark.parametrize("scenario", MATRIX, ids=str)
def test_a_crash_around_every_single_event_repeats_at_most_what_had_no_outcome(scenario: Scenario) -> None:
    run(MemoryDriver(), scenario)
    undisturbed = Counter(LEDGER.runs)
    together = 1 if scenario in SCENARIOS else len(undisturbed)  # bodies that one crash can interrupt

    for event_id, line in enumerate(scenario.expected[1:], start=2):
        for before in (True, False):
            for flushes_starts in (True, False):
                check_crash(MemoryDriver(), scenario, event_id, before, flushes_starts)
                more, less = Counter(LEDGER.runs) - undisturbed, undisturbed - Counter(LEDGER.runs)
                place = f"{'before' if before else 'after'} {event_id} {line}: {more=} {less=}"
                # An interrupted attempt counts, so a failing step may have one attempt less that fails.
                assert more.total() <= together, place
                assert less.total() <= together, place
                assert not more or max(more.values()) == 1, place
                if scenario in SCENARIOS and not before:
                    assert not more, f"it ran again though its outcome was durable: {place}"
