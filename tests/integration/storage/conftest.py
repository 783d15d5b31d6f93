"""An execution, a worker and its invocation, on committed rows."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from django.utils import timezone

from durable_engine.models import Event, Execution
from durable_engine.storage import failpoints
from durable_engine.storage.checkpoints import PostgresInvocation
from durable_engine.storage.connection import ConnectionHolder, EngineConnection
from durable_engine.storage.leases import Served, claim, register_worker

SERVED = [Served("orders", 1, 900.0)]


@pytest.fixture
def holder(transactional_db: None) -> Iterator[ConnectionHolder]:
    """The engine connection of the worker under test."""
    holder = ConnectionHolder()
    yield holder
    holder.discard()


@pytest.fixture
def engine(holder: ConnectionHolder) -> EngineConnection:
    """The worker's connection itself."""
    return holder.get()


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    """No failpoint survives its test."""
    yield
    failpoints.arm("")


@pytest.fixture
def worker_id(engine: EngineConnection) -> UUID:
    """A registered worker."""
    return new_worker(engine)


@pytest.fixture
def execution(transactional_db: None) -> Execution:
    """A started execution that no worker has claimed."""
    return new_execution("order-1")


@pytest.fixture
def take(holder: ConnectionHolder, worker_id: UUID) -> Callable[[Execution], PostgresInvocation]:
    """Claim an execution and load its history."""
    return lambda execution: taken(holder, worker_id, execution)


def new_worker(engine: EngineConnection) -> UUID:
    return register_worker(engine, hostname="test", pid=1, release="", functions=["orders:1"], queues=["durable"])


def new_execution(name: str, **fields: object) -> Execution:
    now = timezone.now()
    defaults = {"ready_at": now, "last_event_id": 1, "last_event_at": now, "payload_hash": ""}
    execution = Execution.objects.create(function="orders", name=name, **(defaults | fields))
    Event.objects.create(execution=execution, event_id=1, event_type="ExecutionStarted", payload="{}", event_at=now)
    return execution


def taken(holder: ConnectionHolder, worker_id: UUID, execution: Execution) -> PostgresInvocation:
    granted = claim(holder.get(), worker_id=worker_id, served=SERVED, queues=["durable"], execution_id=execution.pk)
    assert granted is not None
    invocation = PostgresInvocation(
        holder,
        granted,
        callback_id=lambda _, operation: f"id-of-{operation}",
        should_release=lambda: False,
        hint=lambda *_: None,
    )
    invocation.load()
    return invocation


def event_types(execution: Execution) -> list[str]:
    events = list(Event.objects.filter(execution=execution).order_by("event_id"))
    assert [event.event_id for event in events] == list(range(1, len(events) + 1)), "the history has a gap"
    times = [event.event_at for event in events]
    assert times == sorted(times), "an event is stored before the one that precedes it"
    return [event.event_type for event in events]
