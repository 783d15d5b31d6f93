from __future__ import annotations

import json
from typing import Any

import pytest

from durable_engine.sdk import (
    DurableContext,
    Duration,
    ExecutionError,
    InvalidStateError,
    JsonSerDes,
    RetryPresets,
    StepContext,
    StepError,
    TransactionConfig,
    ValidationError,
    durable_step,
)
from durable_engine.testing.memory_execution import MemoryExecution
from tests.unit.core.conftest import Run

ONCE = TransactionConfig(RetryPresets.none())


def result_of(execution: MemoryExecution) -> Any:
    assert execution.status == "SUCCEEDED", execution.events[-1]
    return json.loads(execution.events[-1].payload or "null")


def test_its_body_is_given_what_a_step_is_given_and_its_result_is_what_replay_makes_of_it(run: Run) -> None:
    seen = []

    @durable_step
    def pay(step: StepContext, amount: int) -> tuple[int, int]:
        seen.append((step.attempt, step.operation_id, step.idempotency_key.partition(":")[2]))
        return amount, step.attempt

    def handler(event: Any, context: DurableContext) -> Any:
        # JSON has no tuples, so a value that was handed on as it is would show.
        paid = context.transaction(pay(7), config=TransactionConfig(serdes=JsonSerDes()))
        context.wait(Duration(1))
        return type(paid).__name__

    execution = run(handler)

    assert result_of(execution) == "list"
    assert seen == [(1, "1", "1")]
    assert [(event.subtype, event.name) for event in execution.events[1:3]] == [("Transaction", "pay")] * 2


def test_tags_and_status_text_of_the_handler_are_recorded_with_the_next_operation(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.tag(order="A-1")
        context.transaction(lambda step: None, "pay")

    assert run(handler).tags == {"order": "A-1"}


def test_a_failure_is_tried_again_by_its_strategy_and_then_raised(run: Run) -> None:
    attempts = []

    def body(step: StepContext) -> None:
        attempts.append(step.attempt)
        raise LookupError("no such account")

    def handler(event: Any, context: DurableContext) -> Any:
        with pytest.raises(StepError) as raised:
            context.transaction(body, "pay", TransactionConfig(RetryPresets.fixed(Duration(1))))
        return [raised.value.error_type, str(raised.value)]

    assert result_of(run(handler)) == ["LookupError", "no such account"]
    assert attempts == [1, 2, 3, 4, 5]


def test_an_execution_error_fails_the_execution_at_once(run: Run) -> None:
    def body(step: StepContext) -> None:
        raise ExecutionError("closed account")

    execution = run(lambda event, context: context.transaction(body))

    assert (execution.status, execution.error_type) == ("FAILED", "ExecutionError")


def test_a_result_that_cannot_be_stored_is_not_tried_again(run: Run) -> None:
    execution = run(lambda event, context: context.transaction(lambda step: object(), "pay"))

    failed = [event for event in execution.events if event.event_type == "StepFailed"]
    assert len(failed) == 1
    assert json.loads(failed[0].error or "")["ErrorType"] == "SerDesError"


def test_its_body_may_not_use_the_context(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        def body(step: StepContext) -> None:
            with pytest.raises(InvalidStateError, match="inside the body of operation 1"):
                context.step(lambda inner: None)

        context.transaction(body)
        return "refused"

    assert result_of(run(handler)) == "refused"


@pytest.mark.parametrize("options", [{"retry_strategy": 3}, {"serdes": "json"}])
def test_an_option_that_cannot_be_used_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"TransactionConfig.{next(iter(options))}"):
        TransactionConfig(**options)


def test_arguments_that_cannot_be_used_are_named(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        with pytest.raises(ValidationError, match="func must be a function"):
            context.transaction("pay")  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="config must be a TransactionConfig"):
            context.transaction(lambda step: None, "pay", 3)  # type: ignore[arg-type]
        return "refused"

    assert result_of(run(handler)) == "refused"
