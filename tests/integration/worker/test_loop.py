"""A worker process without its pool: what a hint makes it do, and what it does when it is told that it is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from durable_engine import DurableContext, Duration, StepContext, dispatch, durable_execution
from durable_engine.models import Event, Execution, ExecutionStatus, Function, Worker
from durable_engine.sdk import registry
from durable_engine.sdk.exceptions import InvocationError
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.starts import start_execution
from durable_engine.storage import leases
from durable_engine.storage.connection import open_engine_connection
from durable_engine.worker.heartbeat import Heartbeat
from durable_engine.worker.loop import InvocationLoop

SECONDS = 40.0


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def ran(transactional_db: None, broker_url: str) -> Iterator[list[str]]:
    """What the handlers of this module did, in order."""
    dispatch._start_over()
    done: list[str] = []
    with registry.isolated():

        @durable_execution(name="note")
        def note(event: dict[str, Any], context: DurableContext) -> str:
            def body(_: StepContext) -> str:
                done.append(event["note"])
                return "noted"

            return context.step(body, name="note")

        @durable_execution(name="broken-engine")
        def broken(event: dict[str, Any], context: DurableContext) -> None:
            done.append("broken")
            raise InvocationError("the engine failed")

        yield done


@pytest.fixture
def more_functions(ran: list[str]) -> None:
    """A second version of `note`, and a function that invokes it; to be asked for before the worker is."""

    @durable_execution(name="note", version=2)
    def note(event: dict[str, Any], context: DurableContext) -> str:
        ran.append(f"new {event['note']}")
        return "noted anew"

    @durable_execution(name="invokes")
    def invokes(event: dict[str, Any], context: DurableContext) -> list[str]:
        return [context.invoke("note:1", event), context.invoke("note", event)]


@pytest.fixture
def announced() -> list[UUID]:
    """The worker ids that were announced to the pool's parent."""
    return []


@pytest.fixture
def heartbeat(ran: list[str], announced: list[UUID]) -> Iterator[Heartbeat]:
    beating = Heartbeat(announced.append)
    beating.start()
    until(beating.worker_id)
    yield beating
    beating.stop()


@pytest.fixture
def loop(heartbeat: Heartbeat) -> Iterator[InvocationLoop]:
    loop = InvocationLoop(heartbeat)
    yield loop
    loop.close()


def start(function: str, note: str = "") -> UUID:
    return start_execution(function, f'{{"note": "{note}"}}', actor=PYTHON_CODE).id


def status_of(execution_id: UUID) -> str:
    return Execution.objects.values_list("status", flat=True).get(pk=execution_id)


def test_it_registers_itself_and_the_functions_it_serves(heartbeat: Heartbeat) -> None:
    worker = Worker.objects.get()

    assert worker.functions == ["broken-engine:1", "note:1"]
    assert (worker.queues, worker.draining, worker.lost_at) == (["durable"], False, None)
    assert set(Function.objects.values_list("name", flat=True)) == {"broken-engine", "note"}


def test_a_hint_runs_its_execution_first_and_then_whatever_is_ready(loop: InvocationLoop, ran: list[str]) -> None:
    older, hinted, younger = start("note", "older"), start("note", "hinted"), start("note", "younger")

    loop.follow(hinted)

    assert ran == ["hinted", "older", "younger"]
    assert {status_of(each) for each in (older, hinted, younger)} == {ExecutionStatus.SUCCEEDED}


def test_a_hint_for_nothing_does_nothing(loop: InvocationLoop, ran: list[str]) -> None:
    done = start("note", "once")
    loop.follow(done)

    loop.follow(done)
    loop.follow(uuid7())

    assert ran == ["once"]


def test_several_versions_run_side_by_side_each_with_its_code(
    more_functions: None, loop: InvocationLoop, ran: list[str]
) -> None:
    old = start_execution("note", '{"note": "x"}', version=1, actor=PYTHON_CODE).id
    new = start("note", "x")

    loop.follow(new)

    assert ran == ["new x", "x"]
    assert Execution.objects.values_list("version", flat=True).get(pk=new) == 2
    assert status_of(old) == status_of(new) == ExecutionStatus.SUCCEEDED


def test_a_worker_that_ends_an_invoked_execution_goes_on_with_the_one_that_waits(
    more_functions: None, loop: InvocationLoop, ran: list[str]
) -> None:
    parent = start("invokes", "x")

    loop.follow(parent)

    assert status_of(parent) == ExecutionStatus.SUCCEEDED
    assert Event.objects.filter(execution_id=parent).latest("event_id").payload == '["noted", "noted anew"]'
    assert ran == ["x", "new x"]


def test_a_version_that_this_process_does_not_have_is_left_to_others(loop: InvocationLoop, ran: list[str]) -> None:
    Function.objects.create(name="note", version=2)
    newer = start_execution("note", "{}", version=2, actor=PYTHON_CODE).id

    loop.follow(newer)

    row = Execution.objects.get(pk=newer)
    assert (row.status, row.fence, row.crash_count) == (ExecutionStatus.PENDING, 0, 0)


def test_while_stopping_it_claims_nothing_and_passes_the_hint_on(loop: InvocationLoop, ran: list[str]) -> None:
    waiting = start("note")
    until(lambda: dispatch.waiting_hints() == 1)
    loop.stopping = True

    loop.follow(waiting)

    assert status_of(waiting) == ExecutionStatus.PENDING
    assert dispatch.waiting_hints() == 2


def test_an_error_of_the_engine_counts_as_a_crash_and_ends_in_a_pause_not_in_a_circle(
    loop: InvocationLoop, ran: list[str], announced: list[UUID]
) -> None:
    broken = start("broken-engine")

    def paused() -> bool:
        loop.follow(broken)
        return status_of(broken) == ExecutionStatus.PAUSED

    until(paused)

    assert ran == ["broken"] * 5
    row = Execution.objects.get(pk=broken)
    assert "InvocationError: the engine failed" in row.pause_reason
    assert len(announced) >= 5, "each time it goes on as a new worker"


def test_a_worker_that_was_declared_lost_goes_on_as_a_new_one(
    loop: InvocationLoop, heartbeat: Heartbeat, announced: list[UUID], ran: list[str]
) -> None:
    [first] = announced
    with open_engine_connection() as connection:
        leases.recover_worker(connection, first, "a test", max_crashes=5, backoff_seconds=0)

    until(lambda: len(announced) == 2)
    loop.follow(start("note", "after"))

    assert ran == ["after"]
    assert heartbeat.worker_id() == announced[1] != first


def test_an_execution_claimed_without_the_process_knowing_is_found_and_given_back(
    heartbeat: Heartbeat, announced: list[UUID]
) -> None:
    stray = start("note")
    with open_engine_connection() as connection:
        leases.claim(
            connection,
            worker_id=announced[0],
            served=[leases.Served("note", 1, 60.0)],
            queues=["durable"],
            execution_id=stray,
        )

    heartbeat.look_for_strays()

    until(lambda: status_of(stray) == ExecutionStatus.PENDING)
    row = Execution.objects.get(pk=stray)
    assert (row.crash_count, row.fence) == (0, 2)


def test_what_was_just_claimed_is_no_stray(heartbeat: Heartbeat) -> None:
    claimed = start("note")

    def take(worker_id: UUID) -> leases.Claim | None:
        served = [leases.Served("note", 1, 60.0)]
        with open_engine_connection() as connection:
            return leases.claim(
                connection, worker_id=worker_id, served=served, queues=["durable"], execution_id=claimed
            )

    claim = heartbeat.claim(take)
    heartbeat.look_for_strays()
    until(lambda: not heartbeat._strays_possible)

    assert claim is not None
    assert status_of(claimed) == ExecutionStatus.RUNNING


def test_giving_back_what_is_no_longer_ours_changes_nothing(heartbeat: Heartbeat, announced: list[UUID]) -> None:
    theirs = start("note")
    with open_engine_connection() as connection:
        served = [leases.Served("note", 1, 60.0)]
        claim = leases.claim(connection, worker_id=announced[0], served=served, queues=["durable"], execution_id=theirs)
        assert claim is not None
    Execution.objects.filter(pk=theirs).update(fence=claim.fence + 1, worker_id=uuid7())
    before = Event.objects.filter(execution_id=theirs).count()

    heartbeat.give_back(claim)
    with open_engine_connection() as connection:
        assert leases.unclaim(connection, claim) is False

    assert status_of(theirs) == ExecutionStatus.RUNNING
    assert Event.objects.filter(execution_id=theirs).count() == before


def test_a_worker_that_stops_in_order_gives_back_what_still_runs_without_counting_it(
    ran: list[str], announced: list[UUID]
) -> None:
    heartbeat = Heartbeat(announced.append)

    @durable_execution(name="stopped-in-the-middle")
    def handler(event: dict[str, Any], context: DurableContext) -> None:
        heartbeat.drain()
        heartbeat.stop()
        context.wait(Duration.from_seconds(60))

    heartbeat.start()
    until(heartbeat.worker_id)
    loop = InvocationLoop(heartbeat)
    stopped = start("stopped-in-the-middle")
    loop.follow(stopped)
    loop.close()

    row = Execution.objects.get(pk=stopped)
    assert (row.status, row.crash_count) == (ExecutionStatus.PENDING, 0)
    assert "WaitStarted" not in Event.objects.filter(execution=row).values_list("event_type", flat=True)
    assert Worker.objects.get(pk=announced[0]).exit_reason == "stopped in order"
