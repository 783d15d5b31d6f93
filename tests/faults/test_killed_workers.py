"""Workers killed with -9 at every place that matters: nothing that was completed runs again, and nothing is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from durable_engine.models import Worker
from tests.faults.stack import Run, Stack, errors_of_invocations, is_gone, until

pytestmark = pytest.mark.process

Start = Callable[..., Run]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_a_step_whose_process_is_killed_inside_its_body_runs_again_on_another_worker(stack: Stack, run: Start) -> None:
    steps = run("three-steps", hold=True)
    victim = steps.wait_inside("second")
    steps.wait_for_event("StepStarted", "second")
    worker = steps.holder().pk

    kill(victim)
    steps.let_go("second")
    steps.finish()

    assert steps.bodies() == ["first", "second", "second", "third"]
    assert steps.pids("second")[1] != victim
    assert errors_of_invocations(steps) == ["Runtime.ExitError"]
    # Only the pool's parent knows that, and says it at once; the sweep that finds silent workers does not.
    assert Worker.objects.get(pk=worker).exit_reason.startswith(f"process {victim} ")


def test_a_step_killed_between_its_body_and_its_checkpoint_runs_again(stack: Stack, run: Start) -> None:
    steps = run("three-steps", hold=True)
    steps.wait_inside("second")
    steps.wait_for_event("StepStarted", "second")
    stack.arm("checkpoint.before")
    steps.let_go("second")
    stack.wait_until_reached("checkpoint.before")

    kill(steps.holder().pid)
    stack.open_failpoints()
    steps.finish()

    assert steps.bodies() == ["first", "second", "second", "third"]


def test_a_step_whose_checkpoint_was_committed_never_runs_again(stack: Stack, run: Start) -> None:
    steps = run("three-steps", hold=True)
    steps.wait_inside("second")
    steps.wait_for_event("StepStarted", "second")
    stack.arm("checkpoint.committed")
    steps.let_go("second")
    stack.wait_until_reached("checkpoint.committed")

    kill(steps.holder().pid)
    stack.open_failpoints()
    steps.finish()

    assert steps.bodies() == ["first", "second", "third"]
    assert errors_of_invocations(steps) == ["Runtime.ExitError"]


def test_a_worker_killed_right_after_its_claim_leaves_the_execution_to_another(stack: Stack, run: Start) -> None:
    stack.arm("claim.committed")
    steps = run("three-steps")
    stack.wait_until_reached("claim.committed")

    kill(steps.holder().pid)
    stack.open_failpoints()
    steps.finish()

    assert steps.bodies() == ["first", "second", "third"]


@pytest.mark.parametrize("place", ["suspend.before", "suspend.committed"])
def test_a_worker_killed_while_suspending_loses_neither_the_step_before_nor_the_wait(
    stack: Stack, run: Start, place: str
) -> None:
    stack.arm(place)
    waiting = run("step-wait-step", seconds=0.2)
    stack.wait_until_reached(place)

    kill(waiting.pids("before")[0])
    stack.open_failpoints()
    waiting.finish()

    assert waiting.bodies() == ["before", "after"]
    waits = [event.event_type for event in waiting.events() if event.name == "pause"]
    assert waits == ["WaitStarted", "WaitSucceeded"]
    assert len(errors_of_invocations(waiting)) == (1 if place == "suspend.before" else 0)


def test_an_execution_whose_worker_is_killed_during_its_wait_continues_on_another(stack: Stack, run: Start) -> None:
    waiting = run("step-wait-step", seconds=1)
    waiting.wait_for("SUSPENDED")
    victim = waiting.pids("before")[0]

    kill(victim)
    waiting.finish()

    assert waiting.bodies() == ["before", "after"]
    assert waiting.pids("after") != [victim]
    assert errors_of_invocations(waiting) == []


@pytest.mark.parametrize("place", ["close.before", "close.committed"])
def test_a_worker_killed_while_closing_leaves_exactly_one_end(stack: Stack, run: Start, place: str) -> None:
    stack.arm(place)
    steps = run("three-steps")
    stack.wait_until_reached(place)

    kill(steps.pids("third")[0])
    stack.open_failpoints()
    steps.finish()

    assert steps.bodies() == ["first", "second", "third"]


def test_a_whole_worker_killed_with_its_parent_is_recovered_by_its_lease(stack: Stack, run: Start) -> None:
    victims = stack.start_group(queue="slow")
    on_slow = run("on-slow-queue", hold=True)
    first = on_slow.wait_inside("slow")

    victims.kill()
    until(lambda: on_slow.row().status == "PENDING", "the scheduler takes the execution from the lost worker")
    assert on_slow.bodies() == ["slow"], "the workers of another queue leave it alone"
    successors = stack.start_group(queue="slow")
    on_slow.let_go("slow")
    on_slow.finish()

    assert successors.stop() == 0
    assert on_slow.bodies() == ["slow", "slow", "then"]
    assert on_slow.pids("slow")[1] != first
    assert Worker.objects.get(pid=first, queues__contains=["slow"]).lost_at is not None


def test_an_execution_that_kills_its_process_is_paused_after_five_claims_and_harms_no_other(
    stack: Stack, run: Start
) -> None:
    poison = run("poison")
    others = [run("three-steps") for _ in range(5)]

    row = poison.wait_for("PAUSED")

    assert poison.bodies() == ["poison"] * 5
    assert (row.pause_kind, row.crash_count) == ("crashes", 5)
    assert row.pause_reason.startswith("Claimed 5 times without progress. The last invocation ended with: process ")
    assert errors_of_invocations(poison) == ["Runtime.ExitError"] * 5
    for other in others:
        other.finish()
        assert sorted(set(other.bodies())) == ["first", "second", "third"]


def test_a_handler_that_ends_its_process_is_counted_as_a_crash_and_tried_again(stack: Stack, run: Start) -> None:
    exits = run("exits")

    exits.finish()

    assert exits.bodies() == ["exits", "exits"]
    assert errors_of_invocations(exits) == ["Runtime.ExitError"]


def test_an_invocation_past_its_time_limit_is_taken_over_and_its_process_ends(stack: Stack, run: Start) -> None:
    overrun = run("overrun")
    stuck = overrun.wait_inside("body")

    overrun.finish()

    assert errors_of_invocations(overrun) == ["Sandbox.Timedout"]
    assert overrun.pids("body")[1] != stuck
    until(lambda: is_gone(stuck), "the stuck process is gone")
