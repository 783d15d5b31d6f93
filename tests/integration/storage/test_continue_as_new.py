"""One statement ends an execution and begins the next in its place, on a real Postgres."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from durable_engine.client import ExecutionHandle
from durable_engine.core.ports import Batch, LeaseLost, NewSuccessor, Outcome, Target
from durable_engine.models import Event, Execution
from durable_engine.services.actors import Actor
from durable_engine.services.copies import redrive_execution
from durable_engine.services.executions import start_execution, stop_execution
from durable_engine.services.operations import complete_operation
from durable_engine.services.starts import StartedExecution
from durable_engine.storage import children, failpoints
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder, EngineConnection
from tests.factories import make_function
from tests.integration.races import Other, wait_until_one_waits
from tests.integration.storage.conftest import event_types, new_execution, new_worker, taken

TESTER = Actor("a test")
Take = Callable[[Execution], PostgresInvocation]


def continued(invocation: PostgresInvocation, version: int = 1, **labels: str) -> None:
    new = NewSuccessor(invocation.new_execution_id(), Target("orders", version, "durable", 60.0), '{"round": 2}')
    invocation.close(Batch(tags=labels), Outcome("SUCCEEDED", payload="null", successor=new))


def successor_of(execution: Execution) -> Execution:
    execution.refresh_from_db()
    assert execution.superseded_by is not None
    return Execution.objects.get(pk=execution.superseded_by)


def test_the_next_one_takes_over_the_name_the_tags_and_what_makes_a_start_idempotent(take: Take) -> None:
    first = new_execution("loop", tags={"team": "billing"}, priority=3, payload_hash="abc")

    continued(take(first), version=2, round="1")

    second = successor_of(first)
    assert (first.status, first.tags) == ("SUCCEEDED", {"team": "billing", "round": "1"})
    assert (second.name, second.tags, second.priority, second.payload_hash) == ("loop", first.tags, 3, "abc")
    assert (second.version, second.status, second.queue) == (2, "PENDING", "durable")
    assert (second.origin_id, second.origin_kind, second.last_event_id) == (first.pk, "continue", 1)
    started = Event.objects.get(execution=second, event_id=1)
    assert (started.event_type, started.payload) == ("ExecutionStarted", '{"round": 2}')
    assert event_types(first)[-2:] == ["InvocationCompleted", "ExecutionSucceeded"]


def test_one_without_a_name_of_its_own_is_followed_by_another_of_that_kind(take: Take) -> None:
    first = new_execution("x")
    Execution.objects.filter(pk=first.pk).update(name=str(first.pk))

    continued(take(first))

    second = successor_of(first)
    assert second.name == str(second.pk)


def test_the_same_start_gives_the_newest_one(take: Take, holder: ConnectionHolder) -> None:
    make_function("orders")
    first = started()
    continued(taken(holder, new_worker(holder.get()), Execution.objects.get(pk=first.id)))

    again = started()

    assert (again.id, again.created) == (successor_of(Execution.objects.get(pk=first.id)).pk, False)


def started() -> StartedExecution:
    return start_execution("orders", '{"round": 1}', actor=TESTER, name="loop")


def test_a_commit_whose_reply_is_lost_begins_one(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    failpoints.arm("continue.committed=lose_reply@1")

    continued(invocation)

    assert Execution.objects.filter(origin_id=execution.pk).count() == 1


def test_one_that_was_stopped_first_begins_none(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    stop_execution(execution.pk, actor=TESTER)

    with pytest.raises(LeaseLost):
        continued(invocation)

    assert not Execution.objects.filter(origin_id=execution.pk).exists()


def test_its_parent_waits_for_the_last_one(take: Take, holder: ConnectionHolder, engine: EngineConnection) -> None:
    parent = new_execution("parent")
    child = new_execution("child", parent_execution_id=parent.pk, parent_operation_id="1")
    Event.objects.filter(execution=child).update(details={"invoke": {"parent_id": None, "name": "call"}})

    continued(take(child))

    assert children.tell_parent(engine, child.pk) is None
    assert children.untold(engine, 10) == []
    last = successor_of(child)
    assert (last.parent_execution_id, last.parent_operation_id, last.parent_notified) == (parent.pk, "1", False)
    taken(holder, new_worker(engine), last).close(Batch(), Outcome("SUCCEEDED", payload='"done"'))
    assert children.tell_parent(engine, last.pk)
    outcome = Event.objects.filter(execution=parent).latest("event_id")
    assert (outcome.event_type, outcome.name, outcome.payload) == ("ChainedInvokeSucceeded", "call", '"done"')


def a_child(parent: Execution) -> Execution:
    """A child of an execution that waits for it."""
    about = {"event_type": "ChainedInvokeStarted", "operation_id": "1"}
    Event.objects.create(execution=parent, event_id=2, event_at=parent.created_at, **about)
    Execution.objects.filter(pk=parent.pk).update(last_event_id=2, status="SUSPENDED", ready_at=None)
    child = new_execution("child", parent_execution_id=parent.pk, parent_operation_id="1")
    Event.objects.filter(execution=child).update(details={"invoke": {"parent_id": None, "name": "call"}})
    return child


def while_it_continues(
    child: Execution, take: Take, engine: EngineConnection, action: Callable[[], object]
) -> Execution:
    """Continue an execution, and let the action come upon that before it is committed; return the next one."""
    with engine.transaction():
        continued(take(child))
        other = Other(action)
        wait_until_one_waits()
    assert other.join().error is None
    return successor_of(child)


def test_a_parent_that_is_redriven_at_that_moment_waits_for_the_next_one(
    execution: Execution, take: Take, engine: EngineConnection
) -> None:
    make_function("orders")
    child = a_child(execution)
    stop_execution(execution.pk, actor=TESTER)

    last = while_it_continues(child, take, engine, lambda: redrive_execution(execution.pk, actor=TESTER))

    redriven = successor_of(execution)
    assert event_types(redriven) == ["ExecutionStarted", "ChainedInvokeStarted"]
    stop_execution(last.pk, actor=TESTER)
    assert event_types(redriven)[-1] == "ChainedInvokeStopped"


def test_a_parent_whose_invoke_is_completed_by_hand_at_that_moment_is_not_told_again(
    execution: Execution, take: Take, engine: EngineConnection
) -> None:
    child = a_child(execution)

    last = while_it_continues(child, take, engine, lambda: complete_operation(execution.pk, "1", actor=TESTER))

    assert event_types(execution)[-1] == "ChainedInvokeSucceeded"
    stop_execution(last.pk, actor=TESTER)
    assert event_types(execution)[-1] == "ChainedInvokeSucceeded"


def test_a_handle_waits_for_the_last_one(take: Take, holder: ConnectionHolder, engine: EngineConnection) -> None:
    first = new_execution("loop")
    continued(take(first))
    taken(holder, new_worker(engine), successor_of(first)).close(Batch(), Outcome("SUCCEEDED", payload='"done"'))

    assert ExecutionHandle(first.pk, "loop", True).result(timeout=60) == "done"
