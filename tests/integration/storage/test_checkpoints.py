"""What the store promises the replay machine, on a real Postgres, with the races that could break it."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from django.db import connection, connections, transaction

from durable_engine.core.ports import Batch, EventType, LeaseLost, NewCallback, NewEvent, News, NewTimer, Outcome
from durable_engine.models import Callback, Execution, Timer
from durable_engine.storage import failpoints, outside
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder, EngineConnection
from durable_engine.storage.leases import recover_worker
from durable_engine.storage.locks import lock_execution
from tests.integration.races import wait_until_one_waits
from tests.integration.storage.conftest import event_types, new_worker, taken

T = TypeVar("T")
Take = Callable[[Execution], PostgresInvocation]


def step(event_type: EventType, operation_id: str = "1", payload: str | None = None) -> NewEvent:
    return NewEvent(event_type, time.monotonic(), operation_id, None, "Step", "charge", 1, payload)


def present(value: T | None) -> T:
    assert value is not None
    return value


def locked_row(execution: Execution) -> Execution:
    return present(lock_execution(execution.pk))


def waiting(operation_id: str, seconds: float) -> Batch:
    event = NewEvent(
        EventType.WAIT_STARTED, time.monotonic(), operation_id, None, "Wait", details={"duration_seconds": seconds}
    )
    return Batch([event], timers=[NewTimer(operation_id, "wait", seconds)])


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 40
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never appeared"
        time.sleep(0.002)


def complete_from_outside(execution: Execution, operation_id: str = "9") -> None:
    with transaction.atomic():
        locked = locked_row(execution)
        outside.append_outside_event(locked, "CallbackSucceeded", operation_id=operation_id, payload="yes")


def status_of(execution: Execution) -> str:
    execution.refresh_from_db()
    return execution.status


def test_a_step_is_recorded_with_its_deferred_start_in_one_statement(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    invocation.defer(step(EventType.STEP_STARTED))
    invocation.checkpoint(Batch([step(EventType.STEP_SUCCEEDED, payload="1")], progress=True))

    assert event_types(execution) == ["ExecutionStarted", "StepStarted", "StepSucceeded"]
    execution.refresh_from_db()
    assert (execution.batch, execution.crash_count) == (1, 0)


def test_a_deferred_start_becomes_visible_while_its_step_runs(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    invocation.defer(step(EventType.STEP_STARTED))

    deadline = time.monotonic() + 40
    while len(event_types(execution)) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert event_types(execution) == ["ExecutionStarted", "StepStarted"]
    invocation.checkpoint(Batch([step(EventType.STEP_SUCCEEDED)]))
    assert event_types(execution) == ["ExecutionStarted", "StepStarted", "StepSucceeded"]


def test_an_event_from_outside_is_handed_over_by_the_next_checkpoint(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    complete_from_outside(execution)

    foreign = invocation.checkpoint(Batch([step(EventType.STEP_STARTED)]))

    assert [(event.event_id, event.event_type, event.payload) for event in foreign] == [(2, "CallbackSucceeded", "yes")]
    assert invocation.checkpoint(Batch([step(EventType.STEP_SUCCEEDED)])) == []


def test_an_event_that_came_in_before_a_deferred_start_was_flushed_is_not_lost(
    execution: Execution, take: Take
) -> None:
    invocation = take(execution)
    complete_from_outside(execution)
    invocation.defer(step(EventType.STEP_STARTED))
    assert not invocation.flush_deferred(time.monotonic() + 1)

    # The replay machine has not been told yet, so suspending now would sleep over the event.
    assert invocation.suspend(Batch()) is not None


def test_a_flushed_start_leaves_the_event_for_the_next_checkpoint(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    complete_from_outside(execution)
    invocation.defer(step(EventType.STEP_STARTED))
    invocation.flush_deferred(time.monotonic() + 1)

    foreign = invocation.checkpoint(Batch([step(EventType.STEP_SUCCEEDED)]))

    assert [event.event_type for event in foreign] == ["CallbackSucceeded"]


def test_a_suspended_execution_keeps_its_timer_and_no_worker(execution: Execution, take: Take) -> None:
    invocation = take(execution)

    assert invocation.suspend(waiting("1", 60)) is None

    execution.refresh_from_db()
    timer = Timer.objects.get(execution=execution)
    assert (execution.status, execution.worker_id, execution.crash_count) == ("SUSPENDED", None, 0)
    # Woken when the timer is due, never before, or the wake-up would find nothing to do.
    assert timer.due_at <= present(execution.wake_at) < timer.due_at + timedelta(seconds=0.1)
    assert 59 < present(invocation.wake_in) <= 60
    assert event_types(execution) == ["ExecutionStarted", "WaitStarted", "InvocationCompleted"]


def test_suspending_over_an_unseen_event_begins_the_next_invocation_in_place(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    complete_from_outside(execution)

    snapshot = present(invocation.suspend(waiting("1", 60)))

    assert status_of(execution) == "RUNNING"
    assert [event.event_type for event in snapshot.events] == [
        "ExecutionStarted",
        "CallbackSucceeded",
        "WaitStarted",
        "InvocationCompleted",
    ]
    assert snapshot.pending_timers == {"1"}
    assert invocation.suspend(Batch()) is None


def test_a_completion_that_waits_for_the_suspending_row_wakes_it(
    execution: Execution, take: Take, holder: ConnectionHolder
) -> None:
    """The outside transaction holds the row while the suspend waits for it: the suspend must see what it did."""
    invocation = take(execution)
    results: list[object] = []
    with transaction.atomic():
        locked = locked_row(execution)
        suspending = threading.Thread(target=lambda: results.append(invocation.suspend(waiting("1", 60))))
        suspending.start()
        wait_until_one_waits()
        outside.append_outside_event(locked, "CallbackSucceeded", operation_id="9")
    suspending.join(60)

    assert results[0] is not None, "the suspend slept over the event"
    assert status_of(execution) == "RUNNING"


def test_what_comes_in_after_the_claim_is_in_the_history_that_is_loaded_next(execution: Execution, take: Take) -> None:
    first = take(execution)
    first.load()
    first.suspend(waiting("1", 60))
    complete_from_outside(execution, "8")
    second = take(execution)
    complete_from_outside(execution, "9")

    answers = [event.operation_id for event in second.load().events if event.event_type == "CallbackSucceeded"]
    assert answers == ["8", "9"]
    assert second.suspend(Batch()) is None, "nothing is unseen"


def test_an_event_that_comes_in_while_the_news_are_read_is_not_slept_over(execution: Execution, take: Take) -> None:
    """A signal is newer than events that were read before it: it would hide for ever what is not among them."""
    invocation = take(execution)
    invocation.load()
    results: list[News] = []
    with transaction.atomic():
        locked = locked_row(execution)
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE durable_execution IN ACCESS EXCLUSIVE MODE")
        reading = threading.Thread(target=lambda: results.append(invocation.refresh()))
        reading.start()
        wait_until_one_waits()
        outside.append_outside_event(locked, "CallbackSucceeded", operation_id="9")
    reading.join(60)

    has_it = [event.event_type for event in results[0].events] == ["CallbackSucceeded"]
    assert has_it or invocation.suspend(Batch()) is not None, "the suspend slept over the event"


def test_a_due_wait_becomes_its_event_at_the_time_it_was_due(
    execution: Execution, take: Take, engine: EngineConnection
) -> None:
    take(execution).suspend(waiting("1", 0.001))
    deadline = time.monotonic() + 40
    while not outside.wake_due(engine, 10):
        assert time.monotonic() < deadline
    due_at = Timer.objects.get(execution=execution).due_at

    take(execution)

    assert event_types(execution)[-1] == "WaitSucceeded"
    fired = present(execution.events.last())
    assert fired.event_at == due_at
    assert fired.details == {"duration_seconds": 0.001}
    assert not Timer.objects.exists()


def test_a_stale_holder_can_write_nothing_at_all(
    execution: Execution, take: Take, holder: ConnectionHolder, engine: EngineConnection
) -> None:
    zombie = take(execution)
    worker = present(Execution.objects.get(pk=execution.pk).worker_id)
    assert recover_worker(engine, worker, "killed", max_crashes=5, backoff_seconds=0) == [execution.pk]
    successor = taken(holder, new_worker(engine), execution)
    before = event_types(execution)

    callback = NewCallback("2", None, "approval")
    for write in (
        lambda: zombie.checkpoint(Batch([step(EventType.STEP_STARTED)], callbacks=[callback])),
        lambda: zombie.suspend(waiting("1", 60)),
        lambda: zombie.close(Batch(), Outcome("SUCCEEDED", payload="1")),
        lambda: zombie.pause(Batch(), "divergence", "changed"),
        lambda: zombie.release(Batch()),
        zombie.load,
    ):
        with pytest.raises(LeaseLost):
            write()

    assert event_types(execution) == before
    assert not Timer.objects.exists()
    assert not Callback.objects.exists()
    successor.checkpoint(Batch([step(EventType.STEP_STARTED)]))
    assert event_types(execution)[-1] == "StepStarted"


def test_a_checkpoint_that_waited_for_a_takeover_writes_nothing(execution: Execution, take: Take) -> None:
    zombie = take(execution)
    errors: list[BaseException] = []

    def write() -> None:
        try:
            zombie.checkpoint(Batch([step(EventType.STEP_STARTED)]))
        except LeaseLost as lost:
            errors.append(lost)

    with transaction.atomic():
        locked = locked_row(execution)
        writing = threading.Thread(target=write)
        writing.start()
        wait_until_one_waits()
        Execution.objects.filter(pk=locked.pk).update(fence=locked.fence + 1)
    writing.join(60)

    assert len(errors) == 1
    assert event_types(execution) == ["ExecutionStarted"]


@pytest.mark.parametrize("kind", ["checkpoint", "suspend", "close", "pause", "release"])
def test_a_commit_whose_reply_is_lost_is_applied_once(execution: Execution, take: Take, kind: str) -> None:
    invocation = take(execution)
    batch = Batch([step(EventType.STEP_STARTED)])
    writes: dict[str, Callable[[], object]] = {
        "checkpoint": lambda: invocation.checkpoint(batch),
        "suspend": lambda: invocation.suspend(batch),
        "close": lambda: invocation.close(batch, Outcome("SUCCEEDED", payload="1")),
        "pause": lambda: invocation.pause(batch, "divergence", "changed"),
        "release": lambda: invocation.release(batch),
    }
    failpoints.arm(f"{kind}.committed=lose_reply@1")

    writes[kind]()

    assert event_types(execution).count("StepStarted") == 1
    expected = {
        "checkpoint": "RUNNING",
        "suspend": "SUSPENDED",
        "close": "SUCCEEDED",
        "pause": "PAUSED",
        "release": "PENDING",
    }
    assert status_of(execution) == expected[kind]


def test_an_event_that_comes_in_after_a_commit_whose_reply_was_lost_is_handed_over(
    execution: Execution, take: Take, tmp_path: Path
) -> None:
    """The row is read again to find out about the commit; by then somebody else's event stands behind ours."""
    invocation = take(execution)
    failpoints.arm(f"checkpoint.committed=hold:{tmp_path}@1,checkpoint.committed=lose_reply@1")
    foreign: list[str] = []

    def record() -> None:
        events = invocation.checkpoint(Batch([step(EventType.STEP_STARTED)]))
        foreign.extend(event.event_type for event in events)

    recording = threading.Thread(target=record)
    recording.start()
    wait_for(tmp_path / "checkpoint.committed.reached")
    complete_from_outside(execution)
    (tmp_path / "checkpoint.committed.go").touch()
    recording.join(60)

    assert foreign == ["CallbackSucceeded"]
    assert event_types(execution) == ["ExecutionStarted", "StepStarted", "CallbackSucceeded"]


def test_a_statement_that_fails_fails_for_every_thread_that_waited_for_it(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    unusable = Batch([step(EventType.STEP_SUCCEEDED, payload="\x00")])  # no text that Postgres can keep
    ready = threading.Barrier(4)
    problems: list[Exception] = []

    def branch() -> None:
        ready.wait()
        try:
            invocation.checkpoint(unusable)
        except Exception as problem:  # noqa: BLE001 - kept for the assertion
            problems.append(problem)

    threads = [threading.Thread(target=branch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert {type(problem).__module__.partition(".")[0] for problem in problems} == {"psycopg"}
    assert len(problems) == 4
    assert event_types(execution) == ["ExecutionStarted"]


def test_a_checkpoint_survives_the_end_of_its_database_session(
    execution: Execution, take: Take, engine: EngineConnection
) -> None:
    invocation = take(execution)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [engine.info.backend_pid])

    invocation.checkpoint(Batch([step(EventType.STEP_STARTED)]))

    assert event_types(execution) == ["ExecutionStarted", "StepStarted"]


def test_closing_ends_the_invocation_then_the_execution_and_leaves_nothing_waiting(
    execution: Execution, take: Take
) -> None:
    invocation = take(execution)
    opened = NewEvent(EventType.CALLBACK_STARTED, time.monotonic(), "2", None, "Callback", "approval")
    invocation.checkpoint(Batch([opened], callbacks=[NewCallback("2", None, "approval", timeout_seconds=60)]))

    invocation.close(Batch(), Outcome("FAILED", error='{"ErrorType": "X"}', error_type="X", error_message="no"))

    assert event_types(execution)[-2:] == ["InvocationCompleted", "ExecutionFailed"]
    execution.refresh_from_db()
    assert (execution.status, execution.error_type, execution.error_message) == ("FAILED", "X", "no")
    assert execution.closed_at is not None
    assert Callback.objects.get().status == "CANCELLED"


def test_stop_ends_the_history_and_the_running_invocation(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    with transaction.atomic():
        assert outside.close_execution(locked_row(execution), "STOPPED", {"ErrorMessage": "enough"})
        assert not outside.close_execution(locked_row(execution), "STOPPED", {"ErrorMessage": "again"})

    with pytest.raises(LeaseLost):
        invocation.close(Batch(), Outcome("SUCCEEDED", payload="1"))
    assert event_types(execution) == ["ExecutionStarted", "InvocationCompleted", "ExecutionStopped"]


def test_several_threads_share_the_writer_and_lose_nothing(execution: Execution, take: Take) -> None:
    invocation = take(execution)
    ready = threading.Barrier(8)

    def branch(number: int) -> None:
        ready.wait()
        for index in range(10):
            invocation.defer(step(EventType.STEP_STARTED, f"1-{number}-{index}"))
            invocation.checkpoint(Batch([step(EventType.STEP_SUCCEEDED, f"1-{number}-{index}")]))

    threads = [threading.Thread(target=branch, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    types = event_types(execution)
    assert (types.count("StepStarted"), types.count("StepSucceeded")) == (80, 80)
