"""Claims are exclusive, crashes are counted, and what a lost worker held is given back."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from durable_engine.core.ports import Batch
from durable_engine.models import Execution, Worker
from durable_engine.storage import outside
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder, EngineConnection, open_engine_connection
from durable_engine.storage.leases import (
    Served,
    WorkerLost,
    beat,
    claim,
    expired_invocations,
    lost_workers,
    recover_invocation,
    recover_worker,
    unclaim,
)
from durable_engine.storage.locks import lock_execution
from tests.integration.storage.conftest import SERVED, event_types, new_execution, new_worker, taken

Take = Callable[[Execution], PostgresInvocation]


def error_of_last_event(execution: Execution) -> dict[str, str]:
    event = execution.events.last()
    assert event is not None
    error: dict[str, str] = json.loads(event.error or "")
    return error


def best(engine: EngineConnection, worker_id: UUID, served: list[Served] | None = None) -> UUID | None:
    granted = claim(engine, worker_id=worker_id, served=served or SERVED, queues=["durable"])
    return granted.execution_id if granted else None


def test_only_one_of_two_workers_gets_an_execution(execution: Execution, engine: EngineConnection) -> None:
    workers = [new_worker(engine), new_worker(engine)]
    ready = threading.Barrier(2)
    granted: list[UUID | None] = []

    def race(worker_id: UUID) -> None:
        with open_engine_connection() as own:
            ready.wait()
            granted.append(best(own, worker_id))

    threads = [threading.Thread(target=race, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(granted, key=str) == sorted([None, execution.pk], key=str)


def test_a_claim_passes_over_a_row_that_somebody_holds(
    execution: Execution, engine: EngineConnection, worker_id: UUID
) -> None:
    other = new_execution("order-2")
    with transaction.atomic():
        lock_execution(execution.pk)
        assert best(engine, worker_id) == other.pk


def test_the_most_urgent_and_then_the_longest_ready_is_claimed_first(engine: EngineConnection, worker_id: UUID) -> None:
    now = timezone.now()
    old = new_execution("old", ready_at=now - timedelta(hours=1))
    urgent = new_execution("urgent", priority=5)
    new = new_execution("new")

    assert [best(engine, worker_id) for _ in range(4)] == [urgent.pk, old.pk, new.pk, None]


def test_what_is_not_ready_not_served_or_in_another_queue_is_left(engine: EngineConnection, worker_id: UUID) -> None:
    new_execution("later", ready_at=timezone.now() + timedelta(hours=1))
    new_execution("version", version=2)
    new_execution("queue", queue="slow")

    assert best(engine, worker_id) is None
    assert best(engine, worker_id, [Served("orders", 2, 900.0)]) is not None


def test_each_claim_raises_the_fence_and_counts_as_a_crash_until_shown_otherwise(
    execution: Execution, take: Take, holder: ConnectionHolder, engine: EngineConnection, worker_id: UUID
) -> None:
    take(execution)
    execution.refresh_from_db()
    assert (execution.fence, execution.crash_count) == (1, 1)
    recover_worker(engine, worker_id, "exit code -9", max_crashes=5, backoff_seconds=0)
    taken(holder, new_worker(engine), execution)
    execution.refresh_from_db()
    assert (execution.fence, execution.crash_count) == (3, 2)


def test_a_lost_worker_leaves_its_invocation_with_the_error(
    execution: Execution, take: Take, engine: EngineConnection, worker_id: UUID
) -> None:
    take(execution)
    assert recover_worker(engine, worker_id, "exit code -9", max_crashes=5, backoff_seconds=5) == [execution.pk]
    assert recover_worker(engine, worker_id, "again", max_crashes=5, backoff_seconds=5) == []

    assert event_types(execution) == ["ExecutionStarted", "InvocationCompleted"]
    error = error_of_last_event(execution)
    assert error == {"ErrorType": "Runtime.ExitError", "ErrorMessage": "exit code -9"}
    assert Worker.objects.get(pk=worker_id).exit_reason == "exit code -9"


def test_an_execution_that_crashes_again_waits_longer_and_is_paused_at_the_fifth(
    execution: Execution, holder: ConnectionHolder, engine: EngineConnection
) -> None:
    delays = []
    for _ in range(5):
        Execution.objects.filter(pk=execution.pk).update(ready_at=timezone.now())
        worker = new_worker(engine)
        taken(holder, worker, execution)
        before = timezone.now()
        recover_worker(engine, worker, "signal 9", max_crashes=5, backoff_seconds=4)
        execution.refresh_from_db()
        assert execution.ready_at is not None
        delays.append(round((execution.ready_at - before).total_seconds()))

    assert delays[:4] == [0, 4, 8, 16]
    assert (execution.status, execution.pause_kind) == ("PAUSED", "crashes")
    assert "5 times without progress" in execution.pause_reason
    assert "signal 9" in execution.pause_reason


def test_a_worker_that_lost_postgres_gives_back_without_a_crash(
    execution: Execution, engine: EngineConnection, worker_id: UUID
) -> None:
    granted = claim(engine, worker_id=worker_id, served=SERVED, queues=["durable"])
    assert granted is not None

    assert unclaim(engine, granted)
    assert not unclaim(engine, granted)

    execution.refresh_from_db()
    assert (execution.status, execution.crash_count) == ("PENDING", 0)
    assert event_types(execution) == ["ExecutionStarted", "InvocationCompleted"]


def test_an_orderly_release_is_no_crash(execution: Execution, take: Take) -> None:
    take(execution).release(Batch())

    execution.refresh_from_db()
    assert (execution.status, execution.crash_count, execution.worker_id) == ("PENDING", 0, None)


def test_the_heartbeat_tells_how_executions_stand_and_whether_the_worker_was_given_up(
    execution: Execution, take: Take, engine: EngineConnection, worker_id: UUID
) -> None:
    take(execution)
    [held] = beat(engine, worker_id, [execution.pk])
    assert (held.execution_id, held.fence, held.status) == (execution.pk, 1, "RUNNING")
    assert beat(engine, worker_id, []) == []

    recover_worker(engine, worker_id, "silent", max_crashes=5, backoff_seconds=0)
    with pytest.raises(WorkerLost):
        beat(engine, worker_id, [execution.pk])


def test_a_silent_worker_is_found_only_while_it_holds_something(
    execution: Execution, take: Take, engine: EngineConnection, worker_id: UUID
) -> None:
    Worker.objects.update(last_seen=timezone.now() - timedelta(seconds=31))
    assert lost_workers(engine, 30, 10) == []
    take(execution)
    assert lost_workers(engine, 30, 10) == [worker_id]
    assert lost_workers(engine, 60, 10) == []


def test_an_invocation_past_its_deadline_is_taken_away(
    execution: Execution, take: Take, engine: EngineConnection
) -> None:
    take(execution)
    assert expired_invocations(engine, 10) == []
    Execution.objects.update(invocation_deadline=timezone.now())

    assert expired_invocations(engine, 10) == [execution.pk]
    assert recover_invocation(engine, execution.pk, max_crashes=5, backoff_seconds=0) == [execution.pk]
    assert error_of_last_event(execution)["ErrorType"] == "Sandbox.Timedout"


def test_an_undispatched_execution_is_marked_so_that_one_sweep_sends_it(
    execution: Execution, engine: EngineConnection
) -> None:
    new_execution("later", ready_at=timezone.now() + timedelta(hours=1))

    assert outside.undispatched(engine, stale_seconds=10, limit=10) == [execution.pk]
    assert outside.undispatched(engine, stale_seconds=10, limit=10) == []
    assert outside.undispatched(engine, stale_seconds=0, limit=10) == [execution.pk]
