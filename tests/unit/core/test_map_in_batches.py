"""`map_in_batches`, on the replay machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from durable_engine.sdk import (
    BatchResult,
    CompletionConfig,
    DurableContext,
    MapConfig,
    RetryPresets,
    StepConfig,
    StepContext,
    ValidationError,
    map_in_batches,
    registry,
)
from durable_engine.sdk.execution import durable_execution
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.runner import DurableFunctionTestRunner
from tests.unit.core.conftest import Run

ONCE = StepConfig(RetryPresets.none())


def doubling(context: DurableContext, item: int, index: int, inputs: Sequence[int]) -> Any:
    """Fails for negative items."""

    def body(step: StepContext) -> list[int]:
        if item < 0:
            raise ValueError(f"{item} is negative")
        return [item * 2, index, len(inputs)]

    return context.step(body, "double", ONCE)


def mapped(run: Run, inputs: Any, **options: Any) -> tuple[MemoryExecution, BatchResult[Any]]:
    results: list[BatchResult[Any]] = []

    def handler(event: Any, context: DurableContext) -> None:
        results.append(map_in_batches(context, inputs, doubling, batch_size=3, **options))

    execution = run(handler)
    assert execution.status == "SUCCEEDED", execution.events[-1]
    return execution, results[-1]


def names(execution: MemoryExecution, subtype: str) -> list[str]:
    started = [event for event in execution.events if event.event_type == "ContextStarted"]
    return sorted(event.name or "" for event in started if event.subtype == subtype)


def test_items_have_the_indexes_the_names_and_the_inputs_of_the_whole(run: Run) -> None:
    execution, result = mapped(run, [10, 20, 30, 40, 50], name="sizes")

    assert result.get_results() == [[20, 0, 5], [40, 1, 5], [60, 2, 5], [80, 3, 5], [100, 4, 5]]
    assert [item.index for item in result.all] == [0, 1, 2, 3, 4]
    assert result.completion_reason == "ALL_COMPLETED"
    assert names(execution, "Map") == ["sizes 0-2", "sizes 3-4"]
    assert names(execution, "MapIteration") == [f"map-item-{index}" for index in range(5)]


def test_branches_are_named_by_the_namer_with_the_index_of_the_whole(run: Run) -> None:
    config = MapConfig(item_namer=lambda item, index: f"{item}@{index}")

    execution, _ = mapped(run, (7, 8, 9, 10), config=config)

    assert names(execution, "MapIteration") == ["10@3", "7@0", "8@1", "9@2"]


def test_nothing_is_complete_at_once(run: Run) -> None:
    execution, result = mapped(run, [])

    assert (result.all, result.completion_reason) == ([], "ALL_COMPLETED")
    assert names(execution, "Map") == []


@pytest.mark.parametrize(
    ("criteria", "inputs", "started", "reason"),
    [
        # The first failure ends it, and no further batch begins.
        (CompletionConfig(), [1, 2, 3, -4, 5, 6, 7], 6, "FAILURE_TOLERANCE_EXCEEDED"),
        (CompletionConfig(tolerated_failure_count=1), [-1, 2, 3, 4, 5, 6, 7], 7, "ALL_COMPLETED"),
        # One is tolerated in all, not in each batch.
        (CompletionConfig(tolerated_failure_count=1), [-1, 2, 3, -4, 5, 6, 7], 6, "FAILURE_TOLERANCE_EXCEEDED"),
        (CompletionConfig(tolerated_failure_percentage=25), [-1, 2, 3, -4, 5, 6, 7, 8], 8, "ALL_COMPLETED"),
        (
            CompletionConfig(tolerated_failure_percentage=20),
            [-1, 2, 3, -4, 5, 6, 7, 8],
            6,
            "FAILURE_TOLERANCE_EXCEEDED",
        ),
        (CompletionConfig.all_completed(), [-1, -2, -3, -4], 4, "ALL_COMPLETED"),
        # Enough of them, across batches; failures alone do not stop it.
        (CompletionConfig(min_successful=5), [-1, 2, 3, -4, 5, 6, 7, 8, 9, 10], 9, "MIN_SUCCESSFUL_REACHED"),
        (CompletionConfig(min_successful=3), [1, 2, 3, 4, 5], 3, "MIN_SUCCESSFUL_REACHED"),
        (CompletionConfig(min_successful=3), [1, 2, 3], 3, "ALL_COMPLETED"),
        (CompletionConfig(min_successful=4), [-1, -2, -3, -4], 4, "ALL_COMPLETED"),
    ],
)
def test_the_criteria_are_about_all_inputs(
    run: Run, criteria: CompletionConfig, inputs: list[int], started: int, reason: str
) -> None:
    _, result = mapped(run, inputs, config=MapConfig(max_concurrency=1, completion_config=criteria))

    assert result.completion_reason == reason
    assert result.total_count <= started
    assert (started - 1) // 3 == (result.total_count - 1) // 3, "it ended in another batch"


def test_after_a_crash_complete_batches_are_read_and_their_branches_not_run_again() -> None:
    ran: list[int] = []
    branches: list[int] = []

    def item(context: DurableContext, value: int, index: int, inputs: Sequence[int]) -> int:
        def note(step: StepContext) -> int:
            ran.append(index)
            return value

        branches.append(index)
        return context.step(note, "note")

    with registry.isolated():

        @durable_execution(name="batches")
        def handler(event: Any, context: DurableContext) -> Any:
            result = map_in_batches(context, list(range(9)), item, batch_size=3)
            return sum(value or 0 for value in result.get_results())

    runner = DurableFunctionTestRunner(handler)
    events = len(runner.run().events)
    ran.clear()
    branches.clear()
    runner = DurableFunctionTestRunner(handler)
    runner.crash_before(events - 5)  # in the last batch

    assert json.loads(runner.run().result or "") == 36
    assert set(ran) == set(range(9))
    assert [index for index in range(6) if branches.count(index) != 1] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"inputs": iter([1])}, "inputs must be a list or a tuple"),
        ({"config": MapConfig(completion_config=CompletionConfig(min_successful=2))}, "min_successful is 2"),
        (
            {"config": MapConfig(completion_config=CompletionConfig(should_complete=lambda status: None))},  # type: ignore[arg-type,return-value]
            "should_complete cannot be used here",
        ),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_by_name(run: Run, options: dict[str, Any], problem: str) -> None:
    arguments: dict[str, Any] = {"inputs": [1], **options}

    def handler(event: Any, context: DurableContext) -> str:
        with pytest.raises(ValidationError, match=problem):
            map_in_batches(context, func=doubling, **arguments)
        return "refused"

    assert run(handler).status == "SUCCEEDED"
