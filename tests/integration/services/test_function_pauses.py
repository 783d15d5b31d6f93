"""A paused function stands still: nothing of it is claimed or hinted at, and it takes starts or refuses them."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connections
from django.utils import timezone

from durable_engine import dispatch
from durable_engine.models import AuditEntry, Execution, FunctionPause
from durable_engine.queries.executions import execution_summary
from durable_engine.queries.waiting import waiting_for
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import ActionRefused, FunctionNotFound, FunctionPaused
from durable_engine.services.function_pauses import pause_function, resume_function
from durable_engine.services.starts import start_execution
from durable_engine.storage import leases, outside
from durable_engine.storage.connection import open_engine_connection
from durable_engine.storage.leases import Served
from tests.factories import make_execution, make_function

ANA = Actor("ana")
AGO = timedelta(minutes=1)


def claimed(execution_id: UUID | None = None) -> str | None:
    """The function of what a worker that serves `orders` and `refund` takes."""
    with open_engine_connection() as connection:
        worker = leases.register_worker(
            connection, hostname="h", pid=1, release="", functions=["orders:1"], queues=["durable"]
        )
        served = [Served("orders", 1, 60.0), Served("refund", 1, 60.0)]
        granted = leases.claim(
            connection, worker_id=worker, served=served, queues=["durable"], execution_id=execution_id
        )
        return granted.function if granted else None


@pytest.fixture
def ready(transactional_db: None) -> Execution:
    make_function("orders")
    return make_execution(ready_at=timezone.now() - AGO)


def test_nothing_of_it_is_claimed_and_others_are_although_they_came_later(ready: Execution) -> None:
    make_execution(function="refund", ready_at=timezone.now())
    pause_function("orders", actor=ANA)

    assert claimed(ready.id) is None
    assert claimed() == "refund"
    assert claimed() is None


def test_no_hint_is_sent_for_it(ready: Execution) -> None:
    pause_function("orders", actor=ANA)
    with open_engine_connection() as connection:
        assert outside.undispatched(connection, stale_seconds=0, limit=10) == []
        resume_function("orders", actor=ANA)
        assert outside.undispatched(connection, stale_seconds=0, limit=10) == [ready.id]


def test_after_the_resume_what_is_ready_is_hinted_at_and_claimed(
    ready: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    hinted: list[UUID] = []
    monkeypatch.setattr(dispatch, "publish", lambda ids, **_: hinted.extend(ids))
    pause_function("orders", actor=ANA)
    resume_function("orders", actor=ANA, reason="mended")

    assert hinted == [ready.id]
    assert claimed() == "orders"
    assert list(AuditEntry.objects.order_by("at").values_list("action", "reason")) == [
        ("pause_function", ""),
        ("resume_function", "mended"),
    ]


def test_it_says_what_it_waits_for(ready: Execution) -> None:
    pause_function("orders", actor=ANA, reason="wrong prices")
    summary = execution_summary(ready.id)
    assert summary is not None
    assert waiting_for(summary) == "Ready to run; its function is paused by ana: wrong prices"


@pytest.mark.django_db
def test_starts_wait_unless_they_are_to_be_refused() -> None:
    make_function("orders", 2)
    pause_function("orders", actor=ANA)
    assert start_execution("orders", "{}", actor=ANA).created
    resume_function("orders", actor=ANA)
    pause_function("orders", actor=ANA, reason="wrong prices", refuse_starts=True)

    with pytest.raises(FunctionPaused, match="orders takes no new executions: it is paused by ana: wrong prices"):
        start_execution("orders", "{}", actor=ANA)

    assert Execution.objects.count() == 1
    assert start_execution("refund", '{"order": "A-1", "amount": 1}', actor=ANA).created


@pytest.mark.django_db
def test_what_does_not_apply_is_refused_with_the_reason() -> None:
    make_function("orders")
    with pytest.raises(FunctionNotFound):
        pause_function("nobody-knows", actor=ANA)
    with pytest.raises(ActionRefused, match="isn't paused"):
        resume_function("orders", actor=ANA)
    pause_function("orders", actor=Actor("bob"))
    with pytest.raises(ActionRefused, match="paused already, by bob"):
        pause_function("orders", actor=ANA)
    assert AuditEntry.objects.count() == 1


def test_of_two_who_pause_at_once_one_is_told_who_was_first(ready: Execution) -> None:
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def pause(name: str) -> None:
        barrier.wait()
        try:
            pause_function("orders", actor=Actor(name))
            outcomes.append(name)
        except ActionRefused as refused:
            outcomes.append(str(refused))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=pause, args=(name,)) for name in ("ana", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    winner = FunctionPause.objects.get().paused_by
    assert sorted(outcomes) == sorted([winner, f"The function is paused already, by {winner}."])
    assert AuditEntry.objects.count() == 1
