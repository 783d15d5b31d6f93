"""`map_in_batches`: `map` over thousands of items, one batch after the other, so that replay reads a batch at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from durable_engine.sdk.concurrency import BatchItem, BatchResult, CompletionReason
from durable_engine.sdk.config import CompletionConfig, MapConfig
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.exceptions import ValidationError

T = TypeVar("T")
U = TypeVar("U")

STOPS = (CompletionReason.FAILURE_TOLERANCE_EXCEEDED, CompletionReason.MIN_SUCCESSFUL_REACHED)


def map_in_batches(
    context: DurableContext,
    inputs: Sequence[U],
    func: Callable[[DurableContext, U, int, Sequence[U]], T],
    *,
    batch_size: int = 100,
    name: str | None = None,
    config: MapConfig | None = None,
) -> BatchResult[T]:
    """Run `func(context, item, index, inputs)` for each input, `batch_size` of them at a time; return one result.

    Each batch is a `map`, named after the indexes it covers; the next one begins when it is complete. A batch that is
    complete is read as one result on replay, so an execution that has done 9,900 of 10,000 items resumes like one that
    has a hundred. Indexes, names of branches and the criteria of the `CompletionConfig` are those of all inputs.

    Raises:
        ValidationError: an argument cannot be used, for example a `should_complete`, which would see one batch only.
    """
    options = config or MapConfig()
    _check(inputs, batch_size, options.completion_config)
    items: list[BatchItem[T]] = []
    for first in range(0, len(inputs), batch_size):
        batch = inputs[first : first + batch_size]
        done = context.map(
            batch,
            _from(func, first, inputs),
            name=f"{name or 'batch'} {first}-{first + len(batch) - 1}",
            config=replace(
                options,
                completion_config=_left_over(options.completion_config, items, len(batch), len(inputs)),
                item_namer=_namer(options, first),
            ),
        )
        items += [replace(item, index=first + item.index) for item in done.all]
        if done.completion_reason in STOPS:
            return BatchResult(items, done.completion_reason)
        if _has_enough(options.completion_config, items) and first + batch_size < len(inputs):
            return BatchResult(items, CompletionReason.MIN_SUCCESSFUL_REACHED)
    return BatchResult(items, CompletionReason.ALL_COMPLETED)


def _from(
    func: Callable[[DurableContext, U, int, Sequence[U]], T], first: int, inputs: Sequence[U]
) -> Callable[[DurableContext, U, int, Sequence[U]], T]:
    return lambda context, item, index, _: func(context, item, first + index, inputs)


def _namer(options: MapConfig, first: int) -> Callable[[object, int], str]:
    if (namer := options.item_namer) is None:
        return lambda item, index: f"map-item-{first + index}"
    return lambda item, index: namer(item, first + index)


def _left_over(criteria: CompletionConfig, items: Sequence[BatchItem[T]], batch: int, total: int) -> CompletionConfig:
    """Return what the criteria, which are about all inputs, leave for the next batch."""
    result = BatchResult(items, CompletionReason.ALL_COMPLETED)
    tolerated = [criteria.tolerated_failure_count] if criteria.tolerated_failure_count is not None else []
    if criteria.tolerated_failure_percentage is not None:
        tolerated.append(math.floor(criteria.tolerated_failure_percentage * total / 100))
    wanted = None if criteria.min_successful is None else criteria.min_successful - result.success_count
    if wanted is not None and wanted > batch:
        wanted = None
    if tolerated:
        return CompletionConfig(wanted, max(0, min(tolerated) - result.failure_count))
    if criteria.min_successful is None:
        return criteria  # the first failure ends it
    return CompletionConfig(wanted) if wanted is not None else CompletionConfig.all_completed()


def _has_enough(criteria: CompletionConfig, items: Sequence[BatchItem[T]]) -> bool:
    wanted = criteria.min_successful
    return wanted is not None and BatchResult(items, CompletionReason.ALL_COMPLETED).success_count >= wanted


def _check(inputs: Sequence[object], batch_size: object, criteria: CompletionConfig) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValidationError(f"batch_size must be a whole number of 1 or more, not {batch_size!r}")
    if not isinstance(inputs, (list, tuple)):
        raise ValidationError(f"inputs must be a list or a tuple, not {type(inputs).__name__}")
    if criteria.should_complete is not None:
        raise ValidationError("CompletionConfig.should_complete cannot be used here: it would see one batch only")
    if criteria.min_successful is not None and criteria.min_successful > len(inputs):
        raise ValidationError(
            f"CompletionConfig.min_successful is {criteria.min_successful}, and there are {len(inputs)} inputs"
        )
