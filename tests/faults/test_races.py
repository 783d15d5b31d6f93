"""What comes from outside in the worst moment: answers around a suspend, stops around an end, zombies, lost replies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest

from durable_engine.models import Worker
from durable_engine.services.callbacks import complete_callback_of
from durable_engine.services.exceptions import ActionRefused
from durable_engine.services.executions import stop_execution
from tests.faults.stack import TESTER, Run, Stack, errors_of_invocations, is_gone, until

pytestmark = pytest.mark.process

Start = Callable[..., Run]

AROUND_THE_SUSPEND = ["checkpoint.committed", "suspend.before", "suspend.committed"]


def give_answer(run: Run) -> None:
    complete_callback_of(run.id, "1", succeed="yes", actor=TESTER)


@pytest.mark.parametrize("killed", [False, True], ids=["worker lives", "worker is killed"])
@pytest.mark.parametrize("place", AROUND_THE_SUSPEND)
def test_an_answer_that_comes_around_the_suspend_is_never_lost(
    stack: Stack, run: Start, place: str, killed: bool
) -> None:
    stack.arm(place)
    asking = run("answer")
    stack.wait_until_reached(place)

    holder = asking.pids("asked")[0] if asking.bodies() else asking.holder().pid
    give_answer(asking)
    if killed:
        os.kill(holder, signal.SIGKILL)
    stack.open_failpoints()
    asking.finish()

    assert asking.bodies() == ["asked", "answered yes"]
    assert [kind for kind in asking.types() if kind.startswith("Callback")] == ["CallbackStarted", "CallbackSucceeded"]


def test_an_answer_to_a_suspended_execution_wakes_it(stack: Stack, run: Start) -> None:
    asking = run("answer")
    asking.wait_for("SUSPENDED")

    give_answer(asking)
    asking.finish()

    assert asking.bodies() == ["asked", "answered yes"]


def test_a_callback_that_nobody_answers_times_out(stack: Stack, run: Start) -> None:
    asking = run("answer", timeout=0.3)

    asking.finish("FAILED")

    assert "CallbackTimedOut" in asking.types()


def test_a_stop_that_comes_before_the_end_is_committed_is_the_only_end(stack: Stack, run: Start) -> None:
    stack.arm("close.before")
    steps = run("three-steps")
    stack.wait_until_reached("close.before")

    stop_execution(steps.id, actor=TESTER, reason="enough")
    stack.open_failpoints()
    steps.finish("STOPPED")

    stopped = steps.events()
    run("three-steps").finish()  # the worker goes on with others
    assert steps.events() == stopped, "the worker that was about to close wrote nothing"


def test_a_stop_that_comes_after_the_end_is_refused(stack: Stack, run: Start) -> None:
    stack.arm("close.committed")
    steps = run("three-steps")
    stack.wait_until_reached("close.committed")

    with pytest.raises(ActionRefused):
        stop_execution(steps.id, actor=TESTER, reason="too late")
    stack.open_failpoints()
    steps.finish()


def test_stops_at_any_moment_leave_exactly_one_end(stack: Stack, run: Start) -> None:
    for number in range(25):
        steps = run("many-steps", steps=10)
        # From before the claim to after the end, a different moment each time.
        wanted = number // 2
        steps.wait_for_events(wanted)

        with suppress(ActionRefused):
            stop_execution(steps.id, actor=TESTER, reason="a test")

        steps.wait_for("STOPPED", "SUCCEEDED")
        steps.check_history()


def test_a_stopped_execution_gets_nothing_more_from_a_body_that_still_runs(stack: Stack, run: Start) -> None:
    steps = run("three-steps", hold=True)
    steps.wait_inside("second")
    steps.wait_for_event("StepStarted", "second")

    stop_execution(steps.id, actor=TESTER, reason="enough")
    events = steps.events()
    steps.let_go("second")
    run("three-steps").finish()

    assert steps.events() == events
    assert steps.bodies() == ["first", "second"]
    steps.check_history()


def test_a_worker_stopped_past_its_lease_wakes_and_cannot_write(stack: Stack, run: Start) -> None:
    steps = run("three-steps", hold=True)
    zombie = steps.wait_inside("second")
    steps.wait_for_event("StepStarted", "second")
    lost = steps.holder().pk

    os.kill(zombie, signal.SIGSTOP)
    try:
        successor = steps.wait_inside("second", times=2)  # the lease is over, another worker is in the same body
        fence = steps.row().fence
    finally:
        os.kill(zombie, signal.SIGCONT)
    steps.let_go("second")  # both finish their bodies now, and both want to record it
    steps.finish()

    assert successor != zombie
    [outcome] = [event for event in steps.events() if (event.event_type, event.name) == ("StepSucceeded", "second")]
    assert outcome.fence == fence
    assert steps.bodies() == ["first", "second", "second", "third"]
    assert errors_of_invocations(steps) == ["Runtime.ExitError"]
    until(lambda: Worker.objects.filter(pid=zombie, lost_at=None).exclude(pk=lost).exists(), "it is a new worker now")
    assert stack.live_workers() == 2


@pytest.mark.parametrize("place", ["checkpoint.committed", "suspend.committed", "close.committed"])
def test_a_commit_whose_reply_is_lost_is_not_applied_twice(stack: Stack, run: Start, place: str) -> None:
    group = stack.start_group(queue="slow", failpoints=f"{place}=lose_reply")
    try:
        on_slow = run("on-slow-queue", wait=0.05)
        on_slow.finish()
    finally:
        group.kill()

    assert on_slow.bodies() == ["slow", "then"]
    assert on_slow.types("StepStarted") == [
        "ExecutionStarted",
        "StepSucceeded",
        "WaitStarted",
        "InvocationCompleted",
        "WaitSucceeded",
        "StepSucceeded",
        "InvocationCompleted",
        "ExecutionSucceeded",
    ]
    assert errors_of_invocations(on_slow) == []


def test_a_claim_whose_reply_is_lost_is_given_back_without_counting_as_a_crash(stack: Stack, run: Start) -> None:
    group = stack.start_group(queue="slow", failpoints="claim.committed=lose_reply@1")
    try:
        on_slow = run("on-slow-queue", hold=True)
        on_slow.wait_inside("slow")
        row = on_slow.row()
        on_slow.let_go("slow")
        on_slow.finish()
    finally:
        group.kill()

    assert row.crash_count == 1  # of the claim that is running, none of the one before
    assert errors_of_invocations(on_slow) == []


def test_a_step_that_times_out_gets_a_new_process_for_what_follows(stack: Stack, run: Start) -> None:
    timed_out = run("step-timeout")
    stuck = timed_out.wait_inside("stuck")
    lost_before = Worker.objects.filter(exit_reason__startswith="the process ended").count()

    timed_out.finish()
    until(lambda: is_gone(stuck), "the process with the abandoned body is gone")
    timed_out.let_go("stuck")
    until(lambda: stack.live_workers() == 2, "a fresh process took its place")

    assert timed_out.bodies() == ["stuck", "gave up: StepTimeoutError"]
    assert errors_of_invocations(timed_out) == []
    assert Worker.objects.filter(exit_reason__startswith="the process ended").count() == lost_before
    assert Worker.objects.filter(pid=stuck).latest("started_at").exit_reason == "stopped in order"


def test_waits_end_within_a_few_hundredths_of_a_second(stack: Stack, run: Start) -> None:
    late = []
    for _ in range(8):
        waiting = run("step-wait-step", seconds=0.3)
        waiting.finish()
        fired = waiting.wait_for_event("WaitSucceeded").event_at
        late.append((waiting.wait_for_event("StepStarted", "after").event_at - fired).total_seconds())

    assert min(late) > 0
    assert sorted(late)[len(late) // 2] < 0.1, f"without pokes it would be the tick: {late}"
