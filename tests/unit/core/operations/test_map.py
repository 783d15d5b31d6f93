from __future__ import annotations

from typing import Any

import pytest

from durable_engine.sdk import (
    BatchItemStatus,
    ChildContextError,
    CompletionConfig,
    CompletionOutcome,
    CompletionStatus,
    DurableContext,
    Duration,
    MapConfig,
    ValidationError,
    complete_batch,
    continue_batch,
)
from tests.unit.core.conftest import Run
from tests.unit.core.operations.test_parallel import result_of


def test_the_function_is_given_item_index_and_inputs(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        return context.map(("a", "b"), lambda inner, item, index, items: [item, index, list(items)]).get_results()

    assert result_of(run(handler)) == [["a", 0, ["a", "b"]], ["b", 1, ["a", "b"]]]


def test_results_stand_where_their_inputs_stood(run: Run) -> None:
    def half(inner: DurableContext, item: int, index: int, items: Any) -> int | None:
        if item == 3:
            raise ValueError("not three")
        return item // 2 or None

    def handler(event: Any, context: DurableContext) -> Any:
        results = context.map([2, 1, 3, 8], half, config=MapConfig(completion_config=CompletionConfig.all_completed()))
        context.wait(Duration(1))
        return results.get_results()

    assert result_of(run(handler)) == [1, None, None, 4]


def test_items_are_named_by_number_or_by_the_namer(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.map(["a"], lambda inner, item, index, items: None, "plain")
        config = MapConfig(item_namer=lambda item, index: f"{item}-{index}")
        context.map(["a", "b"], lambda inner, item, index, items: None, "named", config)

    events = run(handler).events

    names = [event.name for event in events if event.subtype == "MapIteration" and event.event_type == "ContextStarted"]
    assert names == ["map-item-0", "a-0", "b-1"]


def succeeding_until(limit: int) -> Any:
    def item(context: DurableContext, value: int, index: int, values: Any) -> int:
        if value >= limit:
            raise ValueError(f"{value} is too much")
        return value

    return item


CRITERIA = [
    (CompletionConfig(), 2, "FAILURE_TOLERANCE_EXCEEDED", 3),
    (CompletionConfig(), 5, "ALL_COMPLETED", 5),
    (CompletionConfig(tolerated_failure_count=1), 2, "FAILURE_TOLERANCE_EXCEEDED", 4),
    (CompletionConfig(tolerated_failure_count=1), 4, "ALL_COMPLETED", 5),
    (CompletionConfig(tolerated_failure_percentage=40), 3, "ALL_COMPLETED", 5),
    (CompletionConfig(tolerated_failure_percentage=39), 3, "FAILURE_TOLERANCE_EXCEEDED", 5),
    (CompletionConfig(min_successful=2), 5, "MIN_SUCCESSFUL_REACHED", 2),
    (CompletionConfig(min_successful=5), 5, "ALL_COMPLETED", 5),
    (CompletionConfig(min_successful=3), 1, "ALL_COMPLETED", 5),
    (CompletionConfig(min_successful=3, tolerated_failure_count=0), 1, "FAILURE_TOLERANCE_EXCEEDED", 2),
    (CompletionConfig.all_completed(), 0, "ALL_COMPLETED", 5),
    (CompletionConfig.all_successful(), 0, "FAILURE_TOLERANCE_EXCEEDED", 1),
    (CompletionConfig.first_successful(), 5, "MIN_SUCCESSFUL_REACHED", 1),
]


@pytest.mark.parametrize(("completion", "limit", "reason", "started"), CRITERIA)
def test_a_batch_is_complete_by_its_criteria(
    run: Run, completion: CompletionConfig, limit: int, reason: str, started: int
) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        config = MapConfig(max_concurrency=1, completion_config=completion)
        batch = context.map(range(5), succeeding_until(limit), config=config)
        return [batch.completion_reason, batch.total_count]

    assert result_of(run(handler)) == [reason, started]


def test_a_function_decides_by_what_each_branch_has_come_to(run: Run) -> None:
    asked: list[list[str | None]] = []

    def should_complete(status: CompletionStatus) -> Any:
        asked.append([item.status for item in status.items])
        failed = status.items[1].status is BatchItemStatus.FAILED
        return complete_batch(CompletionOutcome.FAILED) if failed else continue_batch()

    def handler(event: Any, context: DurableContext) -> Any:
        config = MapConfig(max_concurrency=1, completion_config=CompletionConfig(should_complete=should_complete))
        batch = context.map(range(3), succeeding_until(1), config=config)
        return [batch.completion_reason, batch.status, batch.total_count]

    assert result_of(run(handler)) == ["CUSTOM_COMPLETION_FAILED", "FAILED", 2]
    assert asked[0] == [None, None, None]
    assert asked[-1] == ["SUCCEEDED", "FAILED", None]


def test_a_function_that_ends_the_batch_before_it_begins_starts_no_branch(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        config = MapConfig(completion_config=CompletionConfig(should_complete=lambda status: complete_batch()))
        batch = context.map(range(3), succeeding_until(9), config=config)
        return [batch.completion_reason, batch.total_count]

    assert result_of(run(handler)) == ["CUSTOM_COMPLETION_SUCCEEDED", 0]


@pytest.mark.parametrize("answer", [True, None])
def test_a_function_that_gives_no_decision_fails_the_batch_with_a_word_about_it(run: Run, answer: Any) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        config = MapConfig(completion_config=CompletionConfig(should_complete=lambda status: answer))
        with pytest.raises(ChildContextError, match="must return complete_batch"):
            context.map(range(3), succeeding_until(9), "decided", config)
        return "caught"

    execution = run(handler)

    assert result_of(execution) == "caught"
    assert [event.event_type for event in execution.events if event.name == "decided"] == [
        "ContextStarted",
        "ContextFailed",
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda context: context.map((i for i in "ab"), print), "inputs must be a list or a tuple"),
        (lambda context: context.map([1], None), "func must be a function"),
        (
            lambda context: context.map([1], print, config=MapConfig(item_namer=lambda item, index: "")),
            "name: '' must be 1 to 256",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_recorded(run: Run, call: Any, message: str) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        with pytest.raises(ValidationError, match=message):
            call(context)

    assert len(run(handler).events) == 3
