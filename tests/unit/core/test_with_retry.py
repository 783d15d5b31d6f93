"""`with_retry`, on the replay machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_engine.sdk import (
    ChildContextError,
    DurableContext,
    Duration,
    ExecutionError,
    RetryDecision,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    ValidationError,
    WithRetryConfig,
    with_retry,
)
from durable_engine.testing.memory_execution import MemoryExecution
from tests.unit.core.conftest import Run

FIXED = RetryPresets.fixed(Duration(1))
ONCE = StepConfig(RetryPresets.none())


def result_of(execution: MemoryExecution) -> Any:
    assert execution.status == "SUCCEEDED", execution.events[-1]
    return json.loads(execution.events[-1].payload or "null")


def types(execution: MemoryExecution) -> list[str]:
    return [event.event_type for event in execution.events]


def failing(step: StepContext) -> None:
    raise ValueError("no luck")


def hopeless(context: DurableContext, attempt: int) -> None:
    context.step(failing, f"try {attempt}", ONCE)


def test_given_up_in_a_child_context_it_is_the_error_of_that(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str | None:
        with pytest.raises(ChildContextError) as raised:
            with_retry(context, hopeless, WithRetryConfig(FIXED), "group")
        return raised.value.error_type

    execution = run(handler)

    assert result_of(execution) == "StepError"
    assert types(execution).count("StepFailed") == 5
    waits = [event.name for event in execution.events if event.event_type == "WaitStarted"]
    assert waits == ["group-backoff-1", "group-backoff-2", "group-backoff-3", "group-backoff-4"]


def test_without_a_child_context_it_is_the_last_attempts_own(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str | None:
        config = WithRetryConfig(FIXED, wrap_with_run_in_child_context=False)
        with pytest.raises(StepError) as raised:
            with_retry(context, hopeless, config)
        return raised.value.error_type

    execution = run(handler)

    assert result_of(execution) == "ValueError"
    assert "ContextStarted" not in types(execution)


def test_a_delay_that_jitter_makes_nothing_of_is_waited_all_the_same(run: Run) -> None:
    delays = iter([0.0, 7.0, 0.0, 0.0, 3.0])

    def strategy(error: Exception, attempts: int) -> RetryDecision:
        return RetryDecision.retry(Duration(next(delays)))

    def work(context: DurableContext, attempt: int) -> int:
        if attempt < 3:
            hopeless(context, attempt)
        return attempt

    assert result_of(run(lambda event, context: with_retry(context, work, WithRetryConfig(strategy)))) == 3


def test_an_execution_error_of_the_body_is_up_to_the_strategy(run: Run) -> None:
    def work(context: DurableContext, attempt: int) -> int:
        if attempt == 1:
            raise ExecutionError("not yet")
        return attempt

    assert result_of(run(lambda event, context: with_retry(context, work, WithRetryConfig(FIXED)))) == 2


@pytest.mark.parametrize("options", [{"retry_strategy": 3}, {"child_context_config": ONCE}])
def test_an_option_that_cannot_be_used_is_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"WithRetryConfig.{next(iter(options))}"):
        WithRetryConfig(**options)
