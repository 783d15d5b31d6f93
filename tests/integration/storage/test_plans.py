"""What a statement reads does not grow with what else there is, also where the planner never saw that much of it."""

from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from durable_engine.models import Execution
from durable_engine.storage import limits
from durable_engine.storage.connection import ConnectionHolder, EngineConnection
from durable_engine.storage.leases import Claim, Served, claim, recover_invocation, unclaim
from durable_engine.storage.reads import read_history
from tests.integration.storage.conftest import new_execution, new_worker

pytestmark = pytest.mark.servers

MANY = 600
FEW = 50
LIMITED = [Served("orders", 1, 900.0, places=1)]


@pytest.fixture(params=["as if it were empty", "as if each were of another function"])
def crowd(transactional_db: None, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Make very many executions of a status, in a table that the planner takes for another one."""
    if request.param != "as if it were empty":
        fields = {"status": "PENDING", "ready_at": timezone.now(), "payload_hash": ""}
        Execution.objects.bulk_create(Execution(function=f"f-{n}", name="other", **fields) for n in range(MANY))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE durable_execution")
        cursor.execute("TRUNCATE durable_execution CASCADE")

    def make(status: str) -> None:
        now = timezone.now()
        Execution.objects.bulk_create(
            Execution(function="orders", name=f"other-{n}", status=status, ready_at=now, payload_hash="")
            for n in range(MANY)
        )

    return make


def rows_read(engine: EngineConnection, action: Callable[[], object]) -> int:
    """How many rows of executions an action reads, by any index or none."""
    with engine.transaction():
        assert action()
        row = engine.execute(
            "SELECT pg_stat_get_xact_tuples_returned(c) + pg_stat_get_xact_tuples_fetched(c)"
            "  + (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = c)::int"
            " FROM (SELECT 'durable_execution'::regclass::oid AS c) t"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_claim_among_very_many_that_wait(engine: EngineConnection, crowd: Callable[[str], None]) -> None:
    first, named, limited = (new_execution(f"order-{n}", priority=9 - n) for n in range(3))
    crowd("PENDING")
    worker = new_worker(engine)

    def take(execution: Execution, served: list[Served], *, by_name: bool) -> Claim | None:
        execution_id = execution.pk if by_name else None
        granted = claim(engine, worker_id=worker, served=served, queues=["durable"], execution_id=execution_id)
        assert granted is None or granted.execution_id == execution.pk
        return granted

    served = [Served("orders", 1, 900.0)]
    assert rows_read(engine, lambda: take(first, served, by_name=False)) < FEW
    assert rows_read(engine, lambda: take(named, served, by_name=True)) < FEW
    assert rows_read(engine, lambda: take(limited, LIMITED, by_name=True)) < FEW


def test_what_a_worker_does_among_very_many_that_run(
    engine: EngineConnection, holder: ConnectionHolder, crowd: Callable[[str], None]
) -> None:
    crowd("RUNNING")

    def running() -> Claim:
        execution = new_execution(f"order-{Execution.objects.count()}")
        worker = new_worker(engine)
        granted = claim(
            engine, worker_id=worker, served=[Served("orders", 1, 0.0)], queues=["durable"], execution_id=execution.pk
        )
        assert granted is not None
        return granted

    granted = running()
    assert rows_read(engine, lambda: read_history(engine, granted)) < FEW
    assert rows_read(engine, lambda: unclaim(engine, granted)) < FEW
    late = running()

    def recover() -> list[UUID]:
        return recover_invocation(engine, late.execution_id, max_crashes=5, backoff_seconds=1.0)

    assert rows_read(engine, recover) < FEW


def test_a_place_that_becomes_free_among_very_many_that_wait(
    engine: EngineConnection, crowd: Callable[[str], None]
) -> None:
    new_execution("blocked", ready_at=None, concurrency_key="orders")
    crowd("PENDING")
    assert rows_read(engine, lambda: limits.let_go(engine, "orders", 1)) < FEW
