"""Concurrency limits: never more than the limit, nothing leaks, nobody is forgotten, the best goes first."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from durable_engine.models import Execution, Function, Slot
from durable_engine.queries.limits import LimitInUse, limits_in_use
from durable_engine.queries.waiting import waiting_for
from durable_engine.scheduler import blocked
from durable_engine.scheduler.grace import OutageGrace
from durable_engine.scheduler.sweep import Round
from durable_engine.sdk import DurableContext, Duration, StepContext
from durable_engine.services.actors import Actor
from durable_engine.services.executions import pause_execution, stop_execution
from durable_engine.storage import failpoints, leases, limits
from durable_engine.storage.connection import EngineConnection, open_engine_connection
from durable_engine.storage.leases import Claim, KeyOf, Served
from tests.conformance.handlers import handler_of
from tests.conformance.postgres_driver import PostgresDriver
from tests.factories import make_execution
from tests.faults.stack import until

ACTOR = Actor("ana")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def engine() -> Iterator[EngineConnection]:
    """A worker's connection."""
    with open_engine_connection() as connection:
        yield connection


Take = Callable[..., Claim | None]


@pytest.fixture
def take(engine: EngineConnection) -> Take:
    """Claim what is best, as a worker that serves `orders` with so many places."""
    worker_id = leases.register_worker(engine, hostname="test", pid=1, release="", functions=[], queues=[])

    def take(places: int | None = 1, *, until_closed: bool = False, key_of: KeyOf | None = None) -> Claim | None:
        served = [Served("orders", 1, 900.0, places, until_closed), Served("free", 1, 900.0)]
        return leases.claim(engine, worker_id=worker_id, served=served, queues=["durable"], key_of=key_of)

    return take


def ready(count: int = 1, **columns: Any) -> list[UUID]:
    start = timezone.now() - timedelta(hours=1)
    return [make_execution(created_at=start + timedelta(seconds=number), **columns).pk for number in range(count)]


def suspend(claim: Claim | None) -> None:
    """End an invocation as a suspend does."""
    assert claim is not None
    Execution.objects.filter(pk=claim.execution_id).update(status="SUSPENDED", worker_id=None)


def id_of(claim: Claim | None) -> UUID | None:
    return None if claim is None else claim.execution_id


class TestPlaces:
    def test_as_many_run_as_there_are_places(self, take: Take) -> None:
        ids = ready(3)
        assert [id_of(take(2)) for _ in range(3)] == [ids[0], ids[1], None]
        assert list(Slot.objects.order_by("number").values_list("limit_key", "number", "execution_id")) == [
            ("orders", 1, ids[0]),
            ("orders", 2, ids[1]),
        ]

    def test_one_that_waits_gives_its_place_up(self, take: Take, engine: EngineConnection) -> None:
        ids = ready(2)
        first = take()
        assert take() is None
        suspend(first)
        assert limits.let_go(engine, "orders", 1) == [ids[1]]
        assert id_of(take()) == ids[1]

    def test_unless_the_limit_is_for_whole_executions(self, take: Take, engine: EngineConnection) -> None:
        ids = ready(2)
        first = take(until_closed=True)
        suspend(first)
        assert take(until_closed=True) is None
        assert limits.let_go(engine, "orders", 1) == []
        Execution.objects.filter(pk=ids[0]).update(status="PENDING", ready_at=timezone.now())
        assert id_of(take(until_closed=True)) == ids[0]  # its place is its own
        stop_execution(ids[0], actor=ACTOR)
        assert limits.let_go(engine, "orders", 1) == [ids[1]]

    def test_what_has_no_limit_is_not_held_up_by_what_has(self, take: Take) -> None:
        ready(2)
        take()
        (free,) = ready(function="free")
        assert id_of(take()) == free

    def test_keys_are_counted_apart(self, take: Take) -> None:
        make_execution(input_text='{"customer": "a"}')
        make_execution(input_text='{"customer": "a"}')
        other = make_execution(input_text='{"customer": "b"}')

        def key_of(function: str, version: int, text: str | None) -> str:
            return f"{function}/{json.loads(text or '')['customer']}"

        taken = [id_of(take(key_of=key_of)) for _ in range(3)]
        assert (other.pk in taken, taken.count(None)) == (True, 1)
        assert set(Slot.objects.values_list("limit_key", flat=True)) == {"orders/a", "orders/b"}

    def test_a_key_given_at_the_start_counts(self, take: Take) -> None:
        ready(concurrency_key="orders/x")
        ready(concurrency_key="orders/y")
        ready(concurrency_key="orders/x")
        assert [take() is None for _ in range(3)] == [False, False, True]

    def test_a_smaller_limit_holds_for_those_that_come(self, take: Take) -> None:
        ready(4)
        running = [take(3) for _ in range(3)]
        suspend(running[0])
        assert take(2) is None
        suspend(running[1])
        Execution.objects.filter(status="PENDING").update(ready_at=timezone.now())
        assert take(2) is not None

    def test_a_key_that_cannot_be_found_out_pauses_the_execution(self, take: Take) -> None:
        (execution_id,) = ready()

        def key_of(function: str, version: int, text: str | None) -> str:
            raise KeyError("customer")

        assert take(key_of=key_of) is None
        paused = Execution.objects.get(pk=execution_id)
        assert (paused.status, paused.pause_kind) == ("PAUSED", "concurrency")
        assert "customer" in paused.pause_reason

    def test_a_problem_in_characters_that_postgres_cannot_hold_stops_no_worker(self, take: Take) -> None:
        broken, fine = ready(2)

        def key_of(function: str, version: int, text: str | None) -> str:
            raise ValueError("not a customer: \x00\ud800")

        assert take(key_of=key_of) is None
        assert set(Execution.objects.filter(pk__in=[broken, fine]).values_list("status", flat=True)) == {"PAUSED"}


class TestNothingLeaks:
    def test_the_place_of_a_lost_worker_is_free(self, take: Take, engine: EngineConnection) -> None:
        ids = ready(2)
        first = take()
        assert first is not None
        worker_id = Execution.objects.get(pk=ids[0]).worker_id
        assert worker_id is not None
        leases.recover_worker(engine, worker_id, "killed", max_crashes=5, backoff_seconds=3600)
        assert id_of(take()) == ids[1]

    @pytest.mark.parametrize("end", [stop_execution, pause_execution])
    def test_what_ends_from_outside_frees_its_place(self, take: Take, engine: EngineConnection, end: Any) -> None:
        ids = ready(2)
        take()
        assert take() is None
        end(ids[0], actor=ACTOR)
        Function.objects.create(name="orders", version=1, config={"max_concurrency": 1})
        blocked.sweep(Round(engine, OutageGrace(30)))
        assert id_of(take()) == ids[1]

    def test_a_late_worker_gives_nothing_back(self, take: Take, engine: EngineConnection) -> None:
        (execution_id,) = ready()
        first = take()
        assert first is not None
        # Taken over and claimed again, while the first worker still believes that it runs it.
        Execution.objects.filter(pk=execution_id).update(status="PENDING", ready_at=timezone.now(), fence=2)
        second = take()
        assert second is not None
        assert second.fence == 3
        ready()
        assert leases.unclaim(engine, first) is False
        assert take() is None
        assert limits.let_go(engine, "orders", 1) == []


class TestBlocked:
    def test_what_is_blocked_is_out_of_the_way_of_claims_and_says_so(self, take: Take) -> None:
        ids = [*ready(name="order-7"), *ready()]
        take()
        assert take() is None
        waiting = Execution.objects.get(pk=ids[1])
        assert (waiting.status, waiting.ready_at, waiting.concurrency_key) == ("PENDING", None, "orders")
        assert "taken by order-7" in waiting_for(waiting)

    def test_what_is_taken_and_who_waits_is_counted_by_limit(self, take: Take) -> None:
        ready(3)
        ready(concurrency_key="orders/x")
        take()
        while take() is not None:
            pass
        assert limits_in_use() == [LimitInUse("orders", 1, 2), LimitInUse("orders/x", 1, 0)]

    def test_the_best_is_let_go_first(self, take: Take, engine: EngineConnection) -> None:
        ready()
        running = take()
        low, high, higher = *ready(2), make_execution(priority=5).pk
        Execution.objects.filter(pk=high).update(priority=1)
        assert [take() for _ in range(3)] == [None] * 3
        suspend(running)
        order = []
        for _ in range(3):
            (execution_id,) = limits.let_go(engine, "orders", 1)
            order.append(execution_id)
            suspend(take())
        assert order == [higher, high, low]

    def test_a_limit_that_is_gone_blocks_nobody(self, take: Take, engine: EngineConnection) -> None:
        ready(2)
        take()
        assert take() is None
        Function.objects.create(name="orders", version=1, config={"max_concurrency": None})
        blocked.sweep(Round(engine, OutageGrace(30)))
        assert take(None) is not None

    def test_a_place_that_becomes_free_while_somebody_is_blocked_is_seen(
        self, take: Take, engine: EngineConnection, tmp_path: Path
    ) -> None:
        """The invocation ends after the claim has looked for a place, and lets nobody go: nobody is blocked yet."""
        ids = ready(2)
        first = take()
        claimed: list[UUID | None] = []
        failpoints.arm(f"limit.looked=hold:{tmp_path}@1")
        try:
            thread = threading.Thread(target=lambda: claimed.append(id_of(take())))
            thread.start()
            until((tmp_path / "limit.looked.reached").exists, "a claim has looked for a place")
            suspend(first)
            with open_engine_connection() as other:
                assert limits.let_go(other, "orders", 1) == []
            (tmp_path / "limit.looked.go").touch()
            thread.join(60)
        finally:
            failpoints.arm("")
        assert claimed == [ids[1]]


class TestRaces:
    def test_many_claim_at_once_and_the_limit_holds(self, engine: EngineConnection) -> None:
        ready(30)
        worker_id = leases.register_worker(engine, hostname="test", pid=1, release="", functions=[], queues=[])
        served = [Served("orders", 1, 900.0, 3)]
        barrier = threading.Barrier(8)
        taken: list[Claim] = []

        def claim() -> None:
            with open_engine_connection() as connection:
                barrier.wait(60)
                found = leases.claim(connection, worker_id=worker_id, served=served, queues=["durable"])
                if found is not None:
                    taken.append(found)

        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(taken) == 3
        assert Execution.objects.filter(status="RUNNING").count() == 3
        assert sorted(Slot.objects.values_list("number", flat=True)) == [1, 2, 3]


class TestCrashes:
    def test_a_crash_around_any_event_neither_keeps_the_place_nor_gives_it_to_two(
        self, engine: EngineConnection
    ) -> None:
        """The first one takes the only place again and again; a rival tries to come in while its steps run."""
        worker_id = leases.register_worker(engine, hostname="rival", pid=1, release="", functions=[], queues=[])
        served = [Served("test-handler", 1, 900.0, 1)]
        rivals: list[UUID] = []

        def come_in(execution_id: UUID) -> Claim | None:
            return leases.claim(
                engine, worker_id=worker_id, served=served, queues=["durable"], execution_id=execution_id
            )

        def body(step: StepContext) -> None:
            assert Execution.objects.filter(status="RUNNING").count() == 1
            if rivals:
                assert come_in(rivals[-1]) is None

        def handler(event: Any, context: DurableContext) -> None:
            context.step(body, "first")
            context.wait(Duration(1))
            context.step(body, "second")

        made = handler_of(handler, max_concurrency=1)
        for event_id in range(2, 11):
            for before in (True, False):
                driver = PostgresDriver()
                driver.start(made)
                rivals.append(make_execution(function="test-handler").pk)
                driver.crash_at(event_id, before=before)
                driver.drive()
                assert driver.status == "SUCCEEDED"
                rival = Execution.objects.get(pk=rivals[-1])
                assert rival.concurrency_key == "test-handler", "it tried and found no place"
                limits.let_go(engine, "test-handler", 1)
                assert id_of(come_in(rival.pk)) == rival.pk
                stop_execution(rival.pk, actor=ACTOR)
                driver.close()


def test_places_that_nobody_takes_any_more_are_forgotten(take: Take, engine: EngineConnection) -> None:
    ready(2)
    first, second = take(2), take(2)
    suspend(second)
    Slot.objects.update(taken_at=timezone.now() - timedelta(hours=2))
    blocked.delete_old_slots(Round(engine, OutageGrace(30)))
    assert [slot.execution_id for slot in Slot.objects.all()] == [id_of(first)]
