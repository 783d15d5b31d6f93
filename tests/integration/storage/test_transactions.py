"""A body and its checkpoint are committed together, or neither is, on a real Postgres."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import django.db
import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from durable_engine.core.ports import Batch, EventType, LeaseLost, NewEvent
from durable_engine.models import Execution
from durable_engine.sdk.exceptions import InvalidStateError
from durable_engine.services.actors import Actor
from durable_engine.services.executions import stop_execution
from durable_engine.storage import failpoints, outside
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.locks import lock_execution
from tests.integration.races import Other, wait_until_one_waits
from tests.integration.storage.conftest import event_types

Take = Callable[[Execution], PostgresInvocation]
RECEIPT = "receipt"


def step(event_type: EventType, operation_id: str = "1") -> NewEvent:
    return NewEvent(event_type, time.monotonic(), operation_id, None, "Transaction", "pay", 1, payload="1")


def paying() -> Batch:
    """A body: writes one row, and returns what is to be recorded with it."""
    Group.objects.create(name=RECEIPT)
    return Batch([step(EventType.STEP_SUCCEEDED)], progress=True)


def receipts() -> int:
    return Group.objects.filter(name=RECEIPT).count()


@pytest.fixture
def invocation(execution: Execution, take: Take) -> Iterator[PostgresInvocation]:
    taken = take(execution)
    taken.defer(step(EventType.STEP_STARTED))
    yield taken
    taken.lose()  # what is still deferred must not open the connection again behind the test


def test_the_row_and_the_outcome_are_there_together(execution: Execution, invocation: PostgresInvocation) -> None:
    assert invocation.transact(paying) == []

    assert receipts() == 1
    assert event_types(execution) == ["ExecutionStarted", "StepStarted", "StepSucceeded"]
    invocation.checkpoint(Batch([step(EventType.STEP_STARTED, "2")]))
    execution.refresh_from_db()
    assert (execution.last_event_id, execution.crash_count) == (4, 0)


def test_what_the_body_raises_rolls_back_and_the_invocation_goes_on(
    execution: Execution, invocation: PostgresInvocation
) -> None:
    def failing() -> Batch:
        paying()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        invocation.transact(failing)

    assert receipts() == 0
    invocation.transact(paying)
    assert receipts() == 1
    assert event_types(execution) == ["ExecutionStarted", "StepStarted", "StepSucceeded"]


def test_a_holder_that_lost_its_lease_while_the_body_ran_leaves_nothing(
    execution: Execution, invocation: PostgresInvocation
) -> None:
    def stopped_meanwhile() -> Batch:
        batch = paying()
        Other(lambda: stop_execution(execution.pk, actor=Actor("a test"))).join()
        return batch

    with pytest.raises(LeaseLost):
        invocation.transact(stopped_meanwhile)

    assert receipts() == 0
    assert event_types(execution)[-1] == "ExecutionStopped"
    with pytest.raises(LeaseLost):
        invocation.checkpoint(Batch())


def test_a_stop_that_comes_behind_the_checkpoint_waits_for_the_commit(
    execution: Execution, invocation: PostgresInvocation, tmp_path: Path
) -> None:
    failpoints.arm(f"transaction.recorded=hold:{tmp_path}")
    pay = Other(lambda: invocation.transact(paying))
    reached(tmp_path, "transaction.recorded")
    stop = Other(lambda: stop_execution(execution.pk, actor=Actor("a test")))
    wait_until_one_waits()
    (tmp_path / "transaction.recorded.go").touch()

    assert pay.join().error is None
    assert stop.join().error is None
    assert receipts() == 1
    assert event_types(execution)[-3:] == ["StepSucceeded", "InvocationCompleted", "ExecutionStopped"]


def test_an_event_from_outside_is_handed_over_with_it(execution: Execution, invocation: PostgresInvocation) -> None:
    def answered_meanwhile() -> Batch:
        Other(lambda: answer(execution)).join()
        return paying()

    foreign = invocation.transact(answered_meanwhile)

    assert [event.event_type for event in foreign] == ["CallbackSucceeded"]


@transaction.atomic
def answer(execution: Execution) -> None:
    locked = lock_execution(execution.pk)
    assert locked is not None
    outside.append_outside_event(locked, "CallbackSucceeded", operation_id="9")


def test_a_commit_whose_reply_is_lost_counts_and_is_not_repeated(
    execution: Execution, invocation: PostgresInvocation
) -> None:
    failpoints.arm("transaction.committed=lose_reply@1")

    invocation.transact(paying)

    assert receipts() == 1
    invocation.checkpoint(Batch([step(EventType.STEP_STARTED, "2")]))
    assert event_types(execution) == ["ExecutionStarted", "StepStarted", "StepSucceeded", "StepStarted"]


def test_a_connection_that_breaks_before_the_commit_leaves_nothing(
    execution: Execution, invocation: PostgresInvocation
) -> None:
    failpoints.arm("transaction.recorded=lose_reply@1")

    with pytest.raises(Exception, match="reply lost"):
        invocation.transact(paying)

    assert receipts() == 0
    invocation.transact(paying)
    assert receipts() == 1


def test_a_server_that_ends_the_session_leaves_nothing_and_the_invocation_goes_on(
    execution: Execution, invocation: PostgresInvocation
) -> None:
    def cut_off() -> Batch:
        batch = paying()
        connection.connection.execute("SELECT 1")
        pid = connection.connection.info.backend_pid
        Other(lambda: terminate(pid)).join()
        return batch

    with pytest.raises(django.db.Error):
        invocation.transact(cut_off)
    connection.close()

    assert receipts() == 0
    invocation.transact(paying)
    assert receipts() == 1


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_a_constraint_that_fails_at_the_commit_is_a_failure_of_the_body(
    execution: Execution, invocation: PostgresInvocation
) -> None:
    def orphaning() -> Batch:
        batch = paying()
        # Checked at the commit, as Django's foreign keys are.
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (-1, -1)")
        return batch

    with pytest.raises(django.db.IntegrityError):
        invocation.transact(orphaning)

    assert receipts() == 0
    assert event_types(execution) == ["ExecutionStarted", "StepStarted"]
    invocation.transact(paying)
    assert receipts() == 1


def test_what_the_body_wants_on_commit_runs_when_it_is_recorded_and_may_fail(
    execution: Execution, invocation: PostgresInvocation, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[list[str]] = []

    def on_commit() -> None:
        # Nothing is held any more: others may write.
        invocation.checkpoint(Batch([step(EventType.STEP_STARTED, "2")]))
        seen.append(event_types(execution))
        raise ValueError("no mail today")

    def body() -> Batch:
        transaction.on_commit(on_commit)
        return paying()

    invocation.transact(body)

    assert receipts() == 1
    assert seen == [["ExecutionStarted", "StepStarted", "StepSucceeded", "StepStarted"]]
    assert "after the commit of a transaction" in caplog.text


def test_inside_an_open_transaction_it_is_refused(execution: Execution, invocation: PostgresInvocation) -> None:
    with transaction.atomic(), pytest.raises(InvalidStateError, match=r"inside transaction\.atomic\(\)"):
        invocation.transact(paying)

    assert receipts() == 0


def test_branches_record_while_another_ones_body_runs(execution: Execution, invocation: PostgresInvocation) -> None:
    recorded = threading.Event()

    def slow() -> Batch:
        other = Other(lambda: invocation.checkpoint(Batch([step(EventType.STEP_STARTED, "2")])))
        assert other.join().error is None
        recorded.set()
        return paying()

    invocation.transact(slow)

    assert recorded.is_set()
    assert event_types(execution) == ["ExecutionStarted", "StepStarted", "StepStarted", "StepSucceeded"]


def test_a_branch_that_comes_behind_the_checkpoint_waits_for_the_commit(
    execution: Execution, invocation: PostgresInvocation, tmp_path: Path
) -> None:
    failpoints.arm(f"transaction.recorded=hold:{tmp_path}")
    pay = Other(lambda: invocation.transact(paying))
    reached(tmp_path, "transaction.recorded")
    other = Other(lambda: invocation.checkpoint(Batch([step(EventType.STEP_STARTED, "2")])))
    (tmp_path / "transaction.recorded.go").touch()

    assert pay.join().error is None
    assert other.join().error is None
    assert event_types(execution) == ["ExecutionStarted", "StepStarted", "StepSucceeded", "StepStarted"]


def test_a_branch_that_was_left_behind_writes_nothing(execution: Execution, invocation: PostgresInvocation) -> None:
    def guard() -> None:
        raise LookupError("left behind")

    with pytest.raises(LookupError):
        invocation.transact(paying, guard=guard)

    assert receipts() == 0


def reached(directory: Path, place: str) -> None:
    deadline = time.monotonic() + 40
    while not (directory / f"{place}.reached").exists():
        assert time.monotonic() < deadline, f"{place} was never reached"
        time.sleep(0.002)
