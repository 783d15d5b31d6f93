"""parallel and map: names, nesting, concurrency, completion, results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_durable_execution_sdk_python import (
    BatchCompletionError,
    BatchResult,
    ChildContextError,
    CompletionOutcome,
    DurableContext,
    ParallelBranch,
    StepContext,
    complete_batch,
    continue_batch,
    durable_execution,
    durable_parallel_branch,
)
from aws_durable_execution_sdk_python.config import (
    CompletionConfig,
    Duration,
    MapConfig,
    NestingType,
    ParallelConfig,
    StepConfig,
)
from aws_durable_execution_sdk_python.retries import RetryPresets

ONCE = StepConfig(retry_strategy=RetryPresets.none())


def shown(batch: BatchResult[Any]) -> Any:
    """What of a batch is the same on both sides: results by index, since those that are None may be left out."""
    items = [[item.index, item.status.name, item.result] for item in batch.all]
    errors = [[error.type.rpartition(".")[2] if error.type else None, error.message] for error in batch.get_errors()]
    counts = [batch.success_count, batch.failure_count, batch.started_count, batch.total_count]
    return {
        "items": items,
        "errors": errors,
        "counts": counts,
        "reason": batch.completion_reason.value,
        "status": batch.status.name,
        "has_failure": batch.has_failure,
    }


def step_of(name: str, value: Any = None) -> Any:
    return lambda context: context.step(lambda step: value or name, name=name)


def failing(name: str) -> Any:
    def fail(step: StepContext) -> None:
        raise ValueError(f"{name} is broken")

    return lambda context: context.step(fail, name=name, config=ONCE)


@durable_parallel_branch(name="decorated")
def decorated(context: DurableContext, value: int) -> Any:
    return context.step(lambda step: value, name="decorated step")


@durable_execution
def named_branches(event: Any, context: DurableContext) -> Any:
    def waiting(branch: DurableContext) -> str:
        branch.wait(Duration.from_seconds(2), name="pause")
        return str(branch.step(lambda step: "waited", name="after"))

    branches = [
        ParallelBranch(step_of("reserve"), name="stock"),
        step_of("bill"),
        decorated(3),
        ParallelBranch(waiting, name="waits"),
    ]
    return shown(context.parallel(branches, name="all"))


@durable_execution
def fails_fast(event: Any, context: DurableContext) -> Any:
    config = ParallelConfig(max_concurrency=1)
    batch = context.parallel([step_of("a"), failing("b"), step_of("c")], name="all", config=config)
    context.step(lambda step: shown(batch), name="note")
    context.wait(Duration.from_seconds(1), name="pause")
    batch.throw_if_error()


def double(context: DurableContext, item: int, index: int, items: Sequence[int]) -> Any:
    def body(step: StepContext) -> int:
        if item == 3:
            raise ValueError("3 is odd")
        return 2 * item + len(items)

    return context.step(body, name=f"double {index}", config=ONCE)


@durable_execution
def tolerant_map(event: Any, context: DurableContext) -> Any:
    config = MapConfig(
        completion_config=CompletionConfig.all_completed(), item_namer=lambda item, index: f"item {item}-{index}"
    )
    batch = context.map([1, 2, 3, 4], double, name="items", config=config)
    try:
        batch.throw_if_error()
    except ChildContextError as error:
        return [shown(batch), error.message]


@durable_execution
def flat_map(event: Any, context: DurableContext) -> Any:
    config = MapConfig(
        nesting_type=NestingType.FLAT, completion_config=CompletionConfig(tolerated_failure_percentage=50)
    )
    batch = context.map([1, 3, 5], double, name="items", config=config)
    context.wait(Duration.from_seconds(1), name="pause")
    return shown(batch)


@durable_execution
def strict_map(event: Any, context: DurableContext) -> Any:
    """The default of map: the first failure ends it."""
    return shown(context.map([1, 3, 5], double, name="items", config=MapConfig(max_concurrency=1)))


@durable_execution
def tolerated_count(event: Any, context: DurableContext) -> Any:
    config = MapConfig(max_concurrency=1, completion_config=CompletionConfig(tolerated_failure_count=1))
    return shown(context.map([3, 1, 3, 2], double, name="items", config=config))


@durable_execution
def first_successful(event: Any, context: DurableContext) -> Any:
    config = ParallelConfig(max_concurrency=1, completion_config=CompletionConfig.first_successful())
    return shown(context.parallel([failing("a"), step_of("b"), step_of("c")], name="race", config=config))


@durable_execution
def custom_completion(event: Any, context: DurableContext) -> Any:
    def enough(status: Any) -> Any:
        return complete_batch() if status.success_count >= 2 else continue_batch()

    def too_few(status: Any) -> Any:
        return complete_batch(CompletionOutcome.FAILED) if status.completed_count >= 1 else continue_batch()

    config = MapConfig(max_concurrency=1, completion_config=CompletionConfig(should_complete=enough))
    most = context.map([3, 1, 2, 4], double, name="most", config=config)
    config = MapConfig(max_concurrency=1, completion_config=CompletionConfig(should_complete=too_few))
    few = context.map([1, 2], double, name="few", config=config)
    try:
        few.throw_if_error()
    except BatchCompletionError as error:
        return [shown(most), shown(few), type(error).__name__]


@durable_execution
def empty_batches(event: Any, context: DurableContext) -> Any:
    return [shown(context.parallel([], name="no branches")), shown(context.map([], double, name="no items"))]


@durable_execution
def nested_batches(event: Any, context: DurableContext) -> Any:
    def inner(branch: DurableContext) -> Any:
        return shown(branch.map([1, 2], double, name="inner"))

    batch = context.parallel([ParallelBranch(inner, name="maps"), step_of("other")], name="outer")
    return shown(batch)


@durable_execution
def large_map(event: Any, context: DurableContext) -> Any:
    def item(branch: DurableContext, letter: str, index: int, letters: Sequence[str]) -> Any:
        return branch.step(lambda step: letter * 150_000, name=f"letter {letter}")

    config = MapConfig(max_concurrency=1)
    batch = context.map(["a", "b"], item, name="letters", config=config)
    context.wait(Duration.from_seconds(1), name="pause")
    return [[len(item.result or "") for item in batch.all], batch.completion_reason.value, batch.total_count]
