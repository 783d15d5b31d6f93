"""Sagas, on the replay machine."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.sdk import (
    DurableContext,
    Duration,
    InvalidStateError,
    RetryPresets,
    Saga,
    StepConfig,
    StepContext,
    StepError,
    ValidationError,
    durable_step,
    registry,
)
from durable_engine.sdk.execution import durable_execution
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.runner import DurableFunctionTestRunner
from tests.unit.core.conftest import Run

ONCE = StepConfig(RetryPresets.none())


def refuse(step: StepContext) -> None:
    raise LookupError("sold out")


def names(execution: MemoryExecution) -> list[str]:
    """What ran, in order; a failure with a mark."""
    marks = {"StepSucceeded": "", "StepFailed": "!"}
    return [f"{event.name}{marks[event.event_type]}" for event in execution.events if event.event_type in marks]


class World:
    """What is booked at the moment, with what it was undone with."""

    def __init__(self, *stuck: str) -> None:
        self.booked: list[str] = []
        self.undone: list[str] = []
        self.stuck = stuck

    def book(self, saga: Saga, what: str) -> str:
        def body(step: StepContext) -> str:
            self.booked.append(what)
            return f"{what}-1"

        return saga.step(body, self.undo(what), what)

    def undo(self, what: str) -> Callable[[StepContext, str], None]:
        def body(step: StepContext, reference: str) -> None:
            if what in self.stuck:
                raise TimeoutError(f"{what} does not answer")
            self.undone.append(reference)

        return body


def trip(world: World) -> Any:
    def handler(event: Any, context: DurableContext) -> None:
        with context.saga(ONCE) as saga:
            world.book(saga, "flight")
            world.book(saga, "hotel")
            context.step(refuse, "car", ONCE)

    return handler


def test_a_failure_undoes_what_was_done_last_one_first_and_stays_the_outcome(run: Run) -> None:
    world = World()

    execution = run(trip(world))

    assert names(execution) == ["flight", "hotel", "car!", "undo hotel", "undo flight"]
    assert world.undone == ["hotel-1", "flight-1"]
    assert (execution.status, execution.error_type, execution.error_message) == ("FAILED", "StepError", "sold out")


def test_without_a_failure_nothing_is_undone(run: Run) -> None:
    world = World()

    def handler(event: Any, context: DurableContext) -> str:
        with context.saga() as saga:
            return world.book(saga, "flight")

    execution = run(handler)

    assert names(execution) == ["flight"]
    assert execution.status == "SUCCEEDED"


def test_a_wait_inside_is_no_failure(run: Run) -> None:
    world = World()

    def handler(event: Any, context: DurableContext) -> None:
        with context.saga() as saga:
            world.book(saga, "flight")
            context.wait(Duration(60))
            world.book(saga, "hotel")

    assert names(run(handler)) == ["flight", "hotel"]


def test_a_compensation_that_fails_is_reported_and_hides_neither_the_others_nor_the_error(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    world = World("hotel")

    with caplog.at_level(logging.ERROR):
        execution = run(trip(world))

    assert names(execution) == ["flight", "hotel", "car!", "undo hotel!", "undo flight"]
    assert (execution.error_type, execution.error_message) == ("StepError", "sold out")
    note = "Note: compensation 'undo hotel' failed: StepError: hotel does not answer"
    assert json.loads(execution.events[-1].error or "{}")["StackTrace"][0] == note
    assert [record.getMessage() for record in caplog.records] == ["compensation 'undo hotel' failed"]


def test_the_error_can_be_caught_around_it(run: Run) -> None:
    world = World("flight")

    def handler(event: Any, context: DurableContext) -> list[Any]:
        try:
            with context.saga(ONCE) as saga:
                world.book(saga, "flight")
                context.step(refuse, "car", ONCE)
        except StepError as error:
            return [error.error_type, *((failure.name, str(failure.error)) for failure in saga.failures)]
        return []

    execution = run(handler)

    assert json.loads(execution.events[-1].payload or "") == [
        "LookupError",
        ["undo flight", "flight does not answer"],
    ]


@pytest.mark.parametrize("event_id", range(2, 11))
@pytest.mark.parametrize("before", [True, False])
def test_a_crash_at_any_event_undoes_everything_once(event_id: int, before: bool) -> None:
    world = World()
    with registry.isolated():
        handler = durable_execution(name="trip")(trip(world))
    runner = DurableFunctionTestRunner(handler)
    if before:
        runner.crash_before(event_id)
    else:
        runner.crash_after(event_id)

    result = runner.run()

    assert (result.status, result.error.type if result.error else None) == ("FAILED", "StepError")
    done = [event.name for event in result.events if event.event_type == "StepSucceeded"]
    assert done == ["flight", "hotel", "undo hotel", "undo flight"]


def test_what_is_not_a_step_is_undone_by_what_was_added_for_it(run: Run) -> None:
    undone: list[str] = []

    @durable_step
    def cancel(step: StepContext, what: str) -> None:
        undone.append(what)

    def release(context: DurableContext) -> None:
        context.wait(Duration(1))
        context.step(cancel("room"))

    def handler(event: Any, context: DurableContext) -> None:
        with context.saga() as saga:
            saga.add(cancel("table"), "free the table")
            saga.add_in_child_context(release, "release the room")
            raise ValueError("enough")

    execution = run(handler)

    assert undone == ["room", "table"]
    assert names(execution) == ["cancel", "free the table"]
    assert execution.error_type == "ValueError"


def test_it_can_be_undone_without_an_error_once(run: Run) -> None:
    world = World()

    def handler(event: Any, context: DurableContext) -> str:
        with context.saga() as saga:
            world.book(saga, "flight")
            assert saga.compensate() == []
            assert saga.compensate() == []
            raise ValueError("undone already")

    assert names(run(handler)) == ["flight", "undo flight"]


def test_it_refuses_what_it_cannot_do(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        with pytest.raises(ValidationError, match="config must be a StepConfig"):
            context.saga("once")  # type: ignore[arg-type]
        with context.saga() as saga, pytest.raises(ValidationError, match="compensation must be a function"):
            saga.step(refuse, None, "car")  # type: ignore[arg-type]
        with pytest.raises(InvalidStateError, match="the saga is over"):
            saga.add(refuse)
        return "refused"

    assert run(handler).status == "SUCCEEDED"
