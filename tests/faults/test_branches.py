"""Branches in real worker processes that are killed, and a process that is left with the body of a branch."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.stack import Run, Stack, errors_of_invocations, is_gone, until

pytestmark = pytest.mark.process

Start = Callable[..., Run]

ITEMS = [f"item-{number}" for number in range(12)]


def test_a_map_whose_process_is_killed_runs_only_the_items_that_had_no_outcome(stack: Stack, run: Start) -> None:
    items = run("many-branches", hold=True)
    victim = items.wait_inside("item-5")
    for name in ITEMS:
        if name != "item-5":
            items.wait_for_event("StepSucceeded", name)

    os.kill(victim, signal.SIGKILL)
    items.let_go("item-5")
    items.finish()

    assert Counter(items.bodies()) == Counter([*ITEMS, "item-5"])
    assert items.pids("item-5")[1] != victim
    assert errors_of_invocations(items) == ["Runtime.ExitError"]
    assert json.loads(items.events()[-1].payload or "") == ITEMS


@pytest.mark.parametrize("place", ["checkpoint.before", "checkpoint.committed"])
def test_what_branches_record_together_is_recorded_whole_or_not_at_all(stack: Stack, run: Start, place: str) -> None:
    stack.arm(place)
    items = run("many-branches")
    stack.wait_until_reached(place)

    os.kill(items.holder().pid, signal.SIGKILL)
    stack.open_failpoints()
    items.finish()

    recorded = Counter(event.name for event in items.events() if event.event_type == "StepSucceeded")
    assert recorded == Counter(ITEMS)
    ran = Counter(items.bodies())
    assert set(ran) == set(ITEMS)
    assert max(ran.values()) <= 2
    assert json.loads(items.events()[-1].payload or "") == ITEMS


def test_a_process_left_with_the_body_of_a_branch_makes_room_for_a_fresh_one(stack: Stack, run: Start) -> None:
    race = run("race", hold=True)
    left = race.wait_inside("slow")

    race.finish()

    assert json.loads(race.events()[-1].payload or "") == [None, "quick"]
    assert not any(event.event_type == "StepSucceeded" and event.name == "slow" for event in race.events())
    until(lambda: is_gone(left), "the process with the body that nobody waits for is gone")
    after = run("three-steps")
    after.finish()
    assert left not in after.pids("first")
