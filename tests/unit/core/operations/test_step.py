# ruff: noqa: BLE001, SIM105 - handlers that catch too much are what is tested

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from durable_engine.core.ports import Batch, Guard, LeaseLost, RecordedEvent
from durable_engine.core.replay import InvocationResult, run_invocation
from durable_engine.sdk import (
    DurableContext,
    Duration,
    ExecutionError,
    RetryDecision,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    StepTimeoutError,
    registry,
)
from durable_engine.sdk.execution import durable_execution
from durable_engine.testing.clock import VirtualClock
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.memory_store import MemoryStore
from tests.unit.core.conftest import Run


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds a body up until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def errors_of(execution: MemoryExecution) -> list[dict[str, Any]]:
    return [json.loads(event.error or "") for event in execution.events if event.event_type == "StepFailed"]


def test_a_body_above_its_timeout_is_a_failed_attempt_that_the_strategy_may_repeat(
    run: Run, gate: threading.Event
) -> None:
    def body(step: StepContext) -> int:
        if step.attempt == 1:
            gate.wait()
        return step.attempt

    config = StepConfig(RetryPresets.fixed(), timeout=Duration(0.05))
    execution = run(lambda event, context: context.step(body, "slow", config))

    assert execution.events[-1].payload == "2"
    (error,) = errors_of(execution)
    assert error["ErrorType"] == "StepTimeoutError"
    assert "attempt 1 of operation 1 'slow' (step) was still running after 0.05 s" in error["ErrorMessage"]


def test_an_abandoned_body_taints_the_process_and_can_write_nothing(gate: threading.Event) -> None:
    refused = threading.Event()
    noted: list[BaseException] = []

    def handler(event: Any, context: DurableContext) -> str:
        def body(step: StepContext) -> None:
            gate.wait()
            try:
                context.step(lambda step: "late")
            except BaseException as error:
                noted.append(error)
            refused.set()

        with pytest.raises(StepError) as caught:
            context.step(body, "slow", StepConfig(RetryPresets.none(), timeout=Duration(0.05)))
        assert isinstance(caught.value.__cause__, StepTimeoutError)
        gate.set()
        assert refused.wait(60)
        return "done"

    with registry.isolated():
        made = durable_execution(name="tainting")(handler)
    execution = MemoryExecution(made, "{}", VirtualClock())
    result = run_invocation(made, MemoryStore(execution), clock=VirtualClock(), random=lambda: 0.5)

    assert result == InvocationResult("closed", tainted=True)
    assert [type(error).__name__ for error in noted] == ["InvalidStateError"]
    assert [event.event_type for event in execution.events][1:3] == ["StepStarted", "StepFailed"]
    assert execution.events[-1].payload == '"done"'


def test_a_body_within_its_timeout_gives_its_result_or_its_error(run: Run) -> None:
    def fail(step: StepContext) -> None:
        raise LookupError("gone")

    def handler(event: Any, context: DurableContext) -> Any:
        config = StepConfig(RetryPresets.none(), timeout=Duration(30))
        value = context.step(lambda step: "quick", config=config)
        with pytest.raises(StepError, match="gone"):
            context.step(fail, config=config)
        return value

    execution = run(handler)

    assert execution.events[-1].payload == '"quick"'
    assert "in fail" in errors_of(execution)[0]["StackTrace"][0]


def test_an_execution_error_in_a_body_fails_the_execution_without_a_retry(run: Run) -> None:
    def body(step: StepContext) -> None:
        raise ExecutionError("no point")

    execution = run(lambda event, context: context.step(body))

    assert (execution.status, execution.error_type) == ("FAILED", "ExecutionError")
    assert errors_of(execution) == []


NOT_A_DURATION: Any = 5


def broken_strategy(error: Exception, attempts: int) -> RetryDecision:
    raise ZeroDivisionError("in strategy")


@pytest.mark.parametrize(
    ("strategy", "error_type", "part"),
    [
        (broken_strategy, "ZeroDivisionError", "in strategy"),
        (lambda error, attempts: True, "ValidationError", "must return a RetryDecision, not True"),
        (
            lambda error, attempts: RetryDecision(True, NOT_A_DURATION),
            "ValidationError",
            "the delay that the retry strategy",
        ),
    ],
)
def test_a_strategy_that_does_not_answer_fails_the_step_with_its_own_mistake(
    run: Run, strategy: Any, error_type: str, part: str
) -> None:
    def body(step: StepContext) -> None:
        raise ValueError("boom")

    execution = run(lambda event, context: context.step(body, config=StepConfig(strategy)))

    (error,) = errors_of(execution)
    assert error["ErrorType"] == error_type
    assert part in error["ErrorMessage"]
    assert execution.status == "FAILED"


def test_an_asynchronous_body_is_refused(run: Run) -> None:
    async def body(step: StepContext) -> int:
        return 1

    execution = run(lambda event, context: context.step(body))

    assert "is a coroutine: the body must be a plain function" in errors_of(execution)[0]["ErrorMessage"]


def test_the_default_strategy_makes_six_attempts(run: Run) -> None:
    attempts: list[int] = []

    def body(step: StepContext) -> None:
        attempts.append(step.attempt)
        raise ValueError("boom")

    assert run(lambda event, context: context.step(body)).status == "FAILED"
    assert attempts == [1, 2, 3, 4, 5, 6]


class BrokenStore(MemoryStore):
    """Loses its database at the first checkpoint."""

    def checkpoint(self, batch: Batch, *, guard: Guard | None = None) -> list[RecordedEvent]:
        raise ConnectionError("database gone")


def test_an_error_of_the_store_ends_the_invocation_and_never_reaches_the_handler() -> None:
    caught: list[BaseException] = []

    def handler(event: Any, context: DurableContext) -> str:
        for _ in range(2):
            try:
                context.step(lambda step: 1)
            except Exception as error:
                caught.append(error)
        return "pretends nothing happened"

    with registry.isolated():
        made = durable_execution(name="broken-store")(handler)
    execution = MemoryExecution(made, "{}", VirtualClock())

    with pytest.raises(ConnectionError, match="database gone"):
        run_invocation(made, BrokenStore(execution), clock=VirtualClock(), random=lambda: 0.5)
    assert caught == []
    assert not execution.is_closed


class LostStore(MemoryStore):
    """Finds its lease gone at the first checkpoint."""

    def checkpoint(self, batch: Batch, *, guard: Guard | None = None) -> list[RecordedEvent]:
        raise LeaseLost


def test_a_lost_lease_ends_the_invocation_quietly_whatever_the_handler_does_with_it() -> None:
    def handler(event: Any, context: DurableContext) -> str:
        try:
            context.step(lambda step: 1)
        except BaseException:
            pass
        return "pretends nothing happened"

    with registry.isolated():
        made = durable_execution(name="lost-store")(handler)
    execution = MemoryExecution(made, "{}", VirtualClock())

    result = run_invocation(made, LostStore(execution), clock=VirtualClock(), random=lambda: 0.5)

    assert result == InvocationResult("lost")
    assert len(execution.events) == 1
