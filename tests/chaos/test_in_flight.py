"""A statement that is still running in the server when its client has lost the connection, and commits later."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from durable_engine.core.ports import Batch, EventType, NewEvent
from durable_engine.models import Event
from durable_engine.storage.connection import ConnectionHolder, open_engine_connection
from tests.integration.storage.conftest import new_execution, new_worker, taken

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%durable_execution%'"


@pytest.fixture
def holder(transactional_db: None) -> Iterator[ConnectionHolder]:
    holder = ConnectionHolder()
    yield holder
    holder.discard()


def test_a_checkpoint_that_commits_after_its_connection_broke_is_recorded_once(holder: ConnectionHolder) -> None:
    execution = new_execution("order-1")
    invocation = taken(holder, new_worker(holder.get()), execution)
    step = NewEvent(EventType.STEP_SUCCEEDED, time.monotonic(), "1", None, "Step", "charge", 1, payload="1")
    writer = threading.Thread(target=invocation.checkpoint, args=(Batch([step]),))
    with open_engine_connection() as other, open_engine_connection() as onlooker:
        with other.transaction():
            other.execute("SELECT 1 FROM durable_execution WHERE id = %s FOR UPDATE", [execution.pk])
            writer.start()
            wait_until_waiting(onlooker, 1)
            # The server notices nothing while it waits for the row: it goes on, and so does the client, anew.
            with socket.socket(fileno=socket.dup(holder.get().pgconn.socket)) as cut:
                cut.shutdown(socket.SHUT_RDWR)
            wait_until_waiting(onlooker, 2)
        writer.join(60)
    assert not writer.is_alive()
    recorded = Event.objects.filter(execution=execution).order_by("event_id").values_list("event_id", "event_type")
    assert list(recorded) == [(1, "ExecutionStarted"), (2, "StepSucceeded")]
    execution.refresh_from_db()
    assert (execution.batch, execution.last_event_id) == (1, 2)


def wait_until_waiting(connection: psycopg.Connection[tuple[object, ...]], count: int) -> None:
    deadline = time.monotonic() + 40
    while connection.execute(WAITING).fetchone() != (count,):
        assert time.monotonic() < deadline, f"{count} statements do not wait for the row"
        time.sleep(0.01)
