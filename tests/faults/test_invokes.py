"""Parent and child executions in real processes, killed in the moments that could lose or double an end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from durable_engine.models import Execution
from durable_engine.services.executions import stop_execution
from tests.faults.stack import TESTER, Run, Stack, errors_of_invocations, until

pytestmark = pytest.mark.process

Start = Callable[..., Run]


def child_of(asking: Run) -> Execution:
    return until(Execution.objects.filter(parent_execution_id=asking.id).first, "an execution was invoked")


def check(asking: Run, *expected: str) -> None:
    assert [kind for kind in asking.types() if kind.startswith("ChainedInvoke")] == list(expected)
    assert Execution.objects.filter(parent_execution_id=asking.id).count() == 1
    assert child_of(asking).parent_notified


def test_a_child_that_nobody_hinted_at_runs_all_the_same(stack: Stack, run: Start) -> None:
    stack.arm("suspend.committed")  # the statement that suspends starts the child, too
    asking = run("asks-other", target="says-yes")
    stack.wait_until_reached("suspend.committed")

    until(lambda: child_of(asking).parent_notified, "the child ended and its parent was told")
    stack.open_failpoints()
    asking.finish()

    assert asking.bodies() == ["heard yes"]
    check(asking, "ChainedInvokeStarted", "ChainedInvokeSucceeded")


@pytest.mark.parametrize("killed", [False, True], ids=["worker lives", "worker is killed"])
def test_an_end_that_comes_while_another_branch_runs_is_never_lost(run: Start, killed: bool) -> None:
    asking = run("asks-other", target="says-yes", beside=True)
    holder = asking.wait_inside("beside")

    until(lambda: child_of(asking).parent_notified, "the child ended and its parent was told")
    if killed:
        os.kill(holder, signal.SIGKILL)
    asking.let_go("beside")
    asking.finish()

    assert [body for body in asking.bodies() if body.startswith("heard")] == ["heard yes"]
    check(asking, "ChainedInvokeStarted", "ChainedInvokeSucceeded")


@pytest.mark.parametrize("place", ["close.committed", "parent.before", "parent.committed"])
def test_a_worker_that_dies_around_telling_the_parent_changes_nothing(stack: Stack, run: Start, place: str) -> None:
    group = stack.start_group(queue="slow", failpoints=f"{place}=kill")
    try:
        asking = run("asks-other", target="on-slow-queue")
        until(lambda: child_of(asking).is_closed, "the child ended")
        asking.finish()
    finally:
        group.kill()

    assert asking.bodies() == ["slow", "then", "heard then"]
    check(asking, "ChainedInvokeStarted", "ChainedInvokeSucceeded")
    assert errors_of_invocations(asking) == []


def test_the_stop_of_a_child_ends_the_waiting(run: Start) -> None:
    asking = run("asks-other", target="answer")
    asking.wait_for("SUSPENDED")

    stop_execution(child_of(asking).pk, actor=TESTER, reason="enough")
    asking.finish("FAILED")

    check(asking, "ChainedInvokeStarted", "ChainedInvokeStopped")
    assert (asking.row().error_type, asking.row().error_message) == ("InvokeError", "enough")
