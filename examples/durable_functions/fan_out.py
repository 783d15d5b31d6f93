"""Fan-out and fan-in with partial failures: quotes from many suppliers at once, and the best of those that came."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durable_engine import (
    CompletionConfig,
    DurableContext,
    MapConfig,
    ParallelBranch,
    RetryStrategyConfig,
    StepConfig,
    StepContext,
    create_retry_strategy,
    durable_execution,
    durable_step,
)

MAX_SUPPLIERS = 200

# A line that breaks is tried again; a supplier that is silent is not asked twice.
ON_BROKEN_LINES = create_retry_strategy(RetryStrategyConfig(max_attempts=3, retryable_error_types=[ConnectionError]))


@dataclass(frozen=True)
class QuotesInput:
    """What the start form asks for. Every `silent_every`-th supplier gives no quote; 0: all do."""

    article: str = "mug-blue"
    suppliers: int = 12
    silent_every: int = 4
    seconds: float = 3

    def __post_init__(self) -> None:
        if not 1 <= self.suppliers <= MAX_SUPPLIERS:
            raise ValueError(f"suppliers must be 1 to {MAX_SUPPLIERS}")
        if not 0 <= self.seconds <= 3600:
            raise ValueError("seconds must be 0 to 3600")


@durable_execution(name="fan-out", input=QuotesInput)
def fan_out(wanted: QuotesInput, context: DurableContext) -> dict[str, Any]:
    """Look up the article and ask all suppliers at the same time, six at once; take the best quote.

    A supplier that fails does not stop the others; half of them have to answer. A supplier takes its time: its branch
    waits without holding a thread.
    """
    numbers = range(1, wanted.suppliers + 1)
    facts = context.parallel(
        [
            ParallelBranch(lambda inner: inner.step(look_up(wanted.article)), name="description"),
            ParallelBranch(lambda inner: inner.step(count_stock(wanted.article)), name="stock"),
        ],
        name="article",
    )
    facts.throw_if_error()

    def ask(inner: DurableContext, number: int, index: int, all_numbers: Sequence[int]) -> int:
        inner.wait(timedelta(seconds=wanted.seconds * (1 + index % 3) / 3 + 0.001), name="supplier thinks")
        return inner.step(quote(wanted, number), config=StepConfig(ON_BROKEN_LINES))

    quotes = context.map(
        numbers,
        ask,
        name="quotes",
        config=MapConfig(
            max_concurrency=6,
            completion_config=CompletionConfig(tolerated_failure_percentage=50),
            item_namer=lambda number, index: f"supplier-{number}",
        ),
    )
    best = min(quotes.succeeded(), key=lambda item: (item.result or 0, item.index), default=None)
    if best is None:
        return {"article": wanted.article, "outcome": "nobody delivers"}
    return {
        "article": facts.get_results(),
        "outcome": "ordered",
        "supplier": best.index + 1,
        "cents": context.step(order(best.index + 1, best.result or 0)),
        "quotes": quotes.success_count,
        "silent": [error.message for error in quotes.get_errors()],
    }


class SupplierSilent(Exception):
    """A supplier did not answer."""


@durable_step
def look_up(step: StepContext, article: str) -> str:
    """Stand in for a catalogue."""
    return article.replace("-", " ")


@durable_step
def count_stock(step: StepContext, article: str) -> int:
    """Stand in for a warehouse."""
    return zlib.crc32(article.encode()) % 50


@durable_step
def quote(step: StepContext, wanted: QuotesInput, number: int) -> int:
    """Stand in for a supplier's service; returns a price in cents."""
    if wanted.silent_every and number % wanted.silent_every == 0:
        raise SupplierSilent(f"supplier {number} does not answer")
    return 900 + zlib.crc32(f"{wanted.article}{number}".encode()) % 300


@durable_step
def order(step: StepContext, number: int, cents: int) -> int:
    """Stand in for the order, which the supplier knows again by `step.idempotency_key`."""
    return cents
