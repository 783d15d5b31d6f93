"""Parent and child executions on a real Postgres: started together, told once, in every order two ends can have."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from django.db import transaction

from durable_engine.core.ports import Batch, EventType, LeaseLost, NewChild, NewEvent, Outcome, Target, UnknownFunction
from durable_engine.models import Event, Execution
from durable_engine.services.actors import Actor
from durable_engine.services.executions import stop_execution
from durable_engine.storage import children, failpoints
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder, EngineConnection
from durable_engine.storage.functions import find_function
from durable_engine.storage.leases import recover_worker
from durable_engine.storage.locks import lock_execution
from tests.factories import make_function
from tests.integration.races import Other, race, wait_until_one_waits
from tests.integration.storage.conftest import event_types, new_execution, new_worker, taken

TESTER = Actor("a test")
RESULT = '{"paid": 12.50}'

Take = Callable[[Execution], PostgresInvocation]


def an_invoke(parent: PostgresInvocation, operation_id: str = "1") -> Batch:
    child = NewChild(
        operation_id, None, "pay", parent.new_execution_id(), Target("orders", 1, "durable", 60.0), '{"a": 1}', "acme"
    )
    event = NewEvent(
        EventType.CHAINED_INVOKE_STARTED,
        time.monotonic(),
        operation_id,
        None,
        "ChainedInvoke",
        "pay",
        payload=child.input,
        details={"function": "orders", "version": 1, "execution_id": child.execution_id},
    )
    return Batch([event], children=[child])


@pytest.fixture
def parent(execution: Execution, take: Take) -> PostgresInvocation:
    """The invocation of an execution that has just invoked another."""
    invocation = take(execution)
    invocation.checkpoint(an_invoke(invocation))
    return invocation


@pytest.fixture
def child(execution: Execution, parent: PostgresInvocation) -> Execution:
    """The execution that was invoked."""
    return Execution.objects.get(parent_execution_id=execution.pk)


@pytest.fixture
def others(transactional_db: None) -> Iterator[ConnectionHolder]:
    """The engine connection of another process."""
    holder = ConnectionHolder()
    yield holder
    holder.discard()


def succeed(holder: ConnectionHolder, child: Execution) -> None:
    invocation = taken(holder, new_worker(holder.get()), child)
    assert invocation.has_parent
    invocation.close(Batch(), Outcome("SUCCEEDED", payload=RESULT))


@contextmanager
def locked(execution: Execution) -> Iterator[None]:
    """Make everybody who writes into the execution wait, in the order of their coming."""
    with transaction.atomic():
        assert lock_execution(execution.pk)
        yield


def outcomes(execution: Execution) -> list[str]:
    return [kind for kind in event_types(execution) if kind.startswith("ChainedInvoke")][1:]


def test_an_invoke_and_its_execution_are_written_together(execution: Execution, child: Execution) -> None:
    assert event_types(execution) == ["ExecutionStarted", "ChainedInvokeStarted"]
    assert (child.function, child.version, child.name, child.status) == ("orders", 1, str(child.pk), "PENDING")
    assert (child.parent_operation_id, child.parent_notified, child.expires_at is not None) == ("1", False, True)
    first = Event.objects.get(execution=child, event_id=1)
    assert (first.event_type, first.payload) == ("ExecutionStarted", '{"a": 1}')
    assert first.details == {
        "invoke": {"parent_id": None, "name": "pay"},
        "execution_timeout_seconds": 60.0,
        "tenant_id": "acme",
    }


def test_the_workers_of_its_queue_are_told_of_it(holder: ConnectionHolder, worker_id: UUID) -> None:
    told: list[object] = []
    invocation = taken(holder, worker_id, new_execution("order-2"))
    invocation._hint = lambda ids, queue: told.append((list(ids), queue))

    invocation.checkpoint(an_invoke(invocation))

    assert told == [([Execution.objects.get(parent_operation_id="1").pk], "durable")]


def test_a_commit_whose_reply_is_lost_starts_one_execution(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    failpoints.arm("checkpoint.committed=lose_reply@1")

    invocation.checkpoint(an_invoke(invocation))

    assert Execution.objects.filter(parent_execution_id=execution.pk).count() == 1
    assert event_types(execution) == ["ExecutionStarted", "ChainedInvokeStarted"]


def test_a_holder_that_lost_its_lease_starts_none(
    execution: Execution, take: Take, worker_id: UUID, others: ConnectionHolder
) -> None:
    invocation = take(execution)
    recover_worker(others.get(), worker_id, "killed", max_crashes=5, backoff_seconds=0)

    with pytest.raises(LeaseLost):
        invocation.checkpoint(an_invoke(invocation))

    assert not Execution.objects.filter(parent_execution_id=execution.pk).exists()


def test_the_result_reaches_the_parent_byte_for_byte(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    assert parent.suspend(Batch()) is None
    succeed(others, child)

    told = children.tell_parent(others.get(), child.pk)

    assert told == (execution.pk, "durable", True)
    outcome = Event.objects.filter(execution=execution).latest("event_id")
    assert (outcome.event_type, outcome.operation_id, outcome.name) == ("ChainedInvokeSucceeded", "1", "pay")
    assert (outcome.subtype, outcome.payload, outcome.fence) == ("ChainedInvoke", RESULT, None)
    child.refresh_from_db()
    assert child.parent_notified


def test_telling_twice_leaves_one_outcome(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    succeed(others, child)

    assert children.untold(others.get(), 10) == [child.pk]
    assert children.tell_parent(others.get(), child.pk)
    assert children.tell_parent(others.get(), child.pk) is None
    assert children.untold(others.get(), 10) == []
    assert outcomes(execution) == ["ChainedInvokeSucceeded"]


def test_of_two_who_tell_at_once_one_does(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    succeed(others, child)

    second = race(
        lambda: children.tell_parent_from_outside(child.pk), lambda: children.tell_parent(others.get(), child.pk)
    )

    assert second.error is None
    assert second.result is None
    assert outcomes(execution) == ["ChainedInvokeSucceeded"]


def test_nobody_is_told_of_an_execution_that_is_live_or_that_nobody_invoked(
    execution: Execution, child: Execution, engine: EngineConnection
) -> None:
    assert children.tell_parent(engine, child.pk) is None
    assert children.tell_parent(engine, execution.pk) is None
    child.refresh_from_db()
    assert not child.parent_notified


def test_a_result_that_comes_before_the_suspend_is_delivered_by_it(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    succeed(others, child)
    children.tell_parent(others.get(), child.pk)

    snapshot = parent.suspend(Batch())

    assert snapshot is not None
    assert snapshot.events[-2].event_type == "ChainedInvokeSucceeded"
    assert snapshot.events[-1].event_type == "InvocationCompleted"


def test_a_result_that_waits_for_the_suspend_wakes_the_parent(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    succeed(others, child)
    with locked(execution):
        suspend = Other(lambda: parent.suspend(Batch()))
        wait_until_one_waits()
        tell = Other(lambda: children.tell_parent(others.get(), child.pk))
        wait_until_one_waits(how_many=2)

    assert suspend.join().result is None
    assert tell.join().result.wants_hint
    execution.refresh_from_db()
    assert execution.status == "PENDING"
    assert event_types(execution)[-2:] == ["InvocationCompleted", "ChainedInvokeSucceeded"]


def test_a_suspend_that_waits_for_a_result_goes_on_with_it(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    succeed(others, child)
    with locked(execution):
        tell = Other(lambda: children.tell_parent(others.get(), child.pk))
        wait_until_one_waits()
        suspend = Other(lambda: parent.suspend(Batch()))
        wait_until_one_waits(how_many=2)

    assert not tell.join().result.wants_hint
    snapshot = suspend.join().result
    assert [event.event_type for event in snapshot.events[2:]] == ["ChainedInvokeSucceeded", "InvocationCompleted"]
    execution.refresh_from_db()
    assert execution.status == "RUNNING"


def test_a_result_for_a_parent_that_just_ended_is_dropped(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    succeed(others, child)

    tell = race(
        lambda: stop_execution(execution.pk, actor=TESTER), lambda: children.tell_parent(others.get(), child.pk)
    )

    assert tell.result is None
    assert outcomes(execution) == []
    assert event_types(execution)[-1] == "ExecutionStopped"
    assert children.untold(others.get(), 10) == []


def test_a_parent_that_ends_just_after_the_result_came_keeps_it(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    succeed(others, child)

    stop = race(lambda: children.tell_parent_from_outside(child.pk), lambda: stop_execution(execution.pk, actor=TESTER))

    assert stop.error is None
    assert event_types(execution)[-3:] == ["ChainedInvokeSucceeded", "InvocationCompleted", "ExecutionStopped"]


def test_the_parent_itself_may_end_while_it_is_told(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    succeed(others, child)
    with locked(execution):
        close = Other(lambda: parent.close(Batch(), Outcome("FAILED", error="{}")))
        wait_until_one_waits()
        tell = Other(lambda: children.tell_parent(others.get(), child.pk))
        wait_until_one_waits(how_many=2)

    assert close.join().error is None
    assert tell.join().result is None
    assert event_types(execution)[-1] == "ExecutionFailed"
    assert children.untold(others.get(), 10) == []


def test_stopping_the_child_tells_the_parent(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    assert parent.suspend(Batch()) is None

    stop_execution(child.pk, actor=TESTER, reason="enough")

    execution.refresh_from_db()
    assert execution.status == "PENDING"
    outcome = Event.objects.filter(execution=execution).latest("event_id")
    assert outcome.event_type == "ChainedInvokeStopped"
    assert json.loads(outcome.error or "") == {"ErrorType": "ExecutionStopped", "ErrorMessage": "enough"}


def test_a_stop_of_the_child_that_is_rolled_back_tells_nobody(
    execution: Execution, parent: PostgresInvocation, child: Execution
) -> None:
    with transaction.atomic():
        stop_execution(child.pk, actor=TESTER)
        transaction.set_rollback(True)

    assert outcomes(execution) == []


def test_of_a_stop_and_a_close_of_the_child_the_parent_hears_the_one_that_was_first(
    execution: Execution, parent: PostgresInvocation, child: Execution, others: ConnectionHolder
) -> None:
    invocation = taken(others, new_worker(others.get()), child)

    def close() -> str:
        try:
            invocation.close(Batch(), Outcome("SUCCEEDED", payload=RESULT))
        except LeaseLost:
            return "lease lost"
        return "closed"

    second = race(lambda: stop_execution(child.pk, actor=TESTER), close)

    assert second.result == "lease lost"
    assert children.tell_parent(others.get(), child.pk) is None
    assert outcomes(execution) == ["ChainedInvokeStopped"]


def test_the_newest_version_is_found_among_those_that_workers_served(engine: EngineConnection) -> None:
    make_function("settle", 2, config={"queue": "slow", "execution_timeout_seconds": 5})
    make_function("settle", 1)

    assert find_function(engine, "settle", None) == Target("settle", 2, "slow", 5)
    assert find_function(engine, "settle", 1) == Target("settle", 1, "durable")
    with pytest.raises(UnknownFunction, match=r"There is no version 3 of function 'settle'\. Known versions: 1, 2\."):
        find_function(engine, "settle", 3)
    with pytest.raises(UnknownFunction, match=r"There is no function 'sttle'\. Did you mean 'settle'\?"):
        find_function(engine, "sttle", None)
