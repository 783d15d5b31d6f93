"""Whether and when to try again: strategies for steps, and `with_retry` for a group of operations."""

from __future__ import annotations

import random as random_module
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from durable_engine.sdk.config import ChildConfig, JitterStrategy, RetryStrategyFunction
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.durations import MAX_SECONDS, Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.types import RetryDecision

__all__ = [
    "JitterStrategy",
    "LinearRetryStrategyConfig",
    "RetryDecision",
    "RetryPresets",
    "RetryStrategy",
    "RetryStrategyConfig",
    "WithRetryConfig",
    "create_linear_retry_strategy",
    "create_retry_strategy",
    "with_retry",
]

T = TypeVar("T")
Lengths = Duration | timedelta
FIVE_SECONDS = Duration(5)
SHORTEST_WAIT = Duration(0.001)


@dataclass(frozen=True)
class RetryStrategyConfig:
    """Exponential back-off. `max_attempts` counts the first try.

    `retryable_errors` are parts of messages, or patterns searched in them; `retryable_error_types` are classes. An
    error that matches either is retried; with neither, every error is; an empty list matches nothing.
    """

    max_attempts: int = 3
    initial_delay: Lengths = Duration(5)
    max_delay: Lengths = Duration(300)
    backoff_rate: float = 2.0
    jitter_strategy: JitterStrategy = JitterStrategy.FULL
    retryable_errors: Sequence[str | re.Pattern[str]] | None = None
    retryable_error_types: Sequence[type[BaseException]] | None = None

    def __post_init__(self) -> None:
        _check_common(self, ("initial_delay", "max_delay"))
        if not self.backoff_rate > 0:
            raise ValidationError(f"RetryStrategyConfig.backoff_rate must be more than 0, not {self.backoff_rate}")

    @property
    def initial_delay_seconds(self) -> float:
        """`initial_delay` in seconds."""
        return seconds_of(self.initial_delay, "initial_delay")

    @property
    def max_delay_seconds(self) -> float:
        """`max_delay` in seconds."""
        return seconds_of(self.max_delay, "max_delay")

    def base_delay(self, attempts_made: int) -> float:
        """Return the seconds before jitter after that many attempts."""
        longest = self.max_delay_seconds
        try:
            grown = self.initial_delay_seconds * self.backoff_rate ** (attempts_made - 1)
        except OverflowError:
            return longest
        return min(grown, longest)


@dataclass(frozen=True)
class LinearRetryStrategyConfig:
    """Delays that grow by the same amount each time; filters as in `RetryStrategyConfig`."""

    max_attempts: int = 6
    initial_delay: Lengths = Duration(1)
    increment: Lengths = Duration(1)
    max_delay: Lengths = Duration(300)
    jitter_strategy: JitterStrategy = JitterStrategy.FULL
    retryable_errors: Sequence[str | re.Pattern[str]] | None = None
    retryable_error_types: Sequence[type[BaseException]] | None = None

    def __post_init__(self) -> None:
        _check_common(self, ("initial_delay", "increment", "max_delay"))

    @property
    def initial_delay_seconds(self) -> float:
        """`initial_delay` in seconds."""
        return seconds_of(self.initial_delay, "initial_delay")

    @property
    def increment_seconds(self) -> float:
        """`increment` in seconds."""
        return seconds_of(self.increment, "increment")

    @property
    def max_delay_seconds(self) -> float:
        """`max_delay` in seconds."""
        return seconds_of(self.max_delay, "max_delay")

    def base_delay(self, attempts_made: int) -> float:
        """Return the seconds before jitter after that many attempts."""
        grown = self.initial_delay_seconds + self.increment_seconds * (attempts_made - 1)
        return min(grown, self.max_delay_seconds)


class RetryStrategy:
    """A strategy made from a config: call it with `(error, attempts made)`."""

    def __init__(self, config: RetryStrategyConfig | LinearRetryStrategyConfig) -> None:
        self.config = config
        self.max_attempts = config.max_attempts

    def __call__(self, error: Exception, attempts_made: int) -> RetryDecision:
        """Decide with the process's own random numbers."""
        return self.decide(error, attempts_made, random_module.random)

    def decide(self, error: Exception, attempts_made: int, random: Callable[[], float]) -> RetryDecision:
        """Decide with jitter from `random`."""
        if attempts_made >= self.max_attempts or not self._is_retryable(error):
            return RetryDecision.no_retry()
        delay = self.config.jitter_strategy.apply_jitter(self.config.base_delay(attempts_made), random)
        return RetryDecision(True, Duration(round(min(delay, MAX_SECONDS), 3)))

    def _is_retryable(self, error: Exception) -> bool:
        messages, types = self.config.retryable_errors, self.config.retryable_error_types
        if messages is None and types is None:
            return True
        text = str(error)
        if any(part in text if isinstance(part, str) else part.search(text) for part in messages or ()):
            return True
        return isinstance(error, tuple(types or ()))


def create_retry_strategy(config: RetryStrategyConfig | None = None) -> RetryStrategy:
    """Return a strategy with exponential back-off; 3 attempts by default."""
    return RetryStrategy(config or RetryStrategyConfig())


def create_linear_retry_strategy(config: LinearRetryStrategyConfig | None = None) -> RetryStrategy:
    """Return a strategy whose delays grow by the same amount each time; 6 attempts by default."""
    return RetryStrategy(config or LinearRetryStrategyConfig())


class RetryPresets:
    """Ready-made strategies. Attempts count the first try."""

    @classmethod
    def none(cls) -> RetryStrategy:
        """One attempt."""
        return create_retry_strategy(RetryStrategyConfig(max_attempts=1))

    @classmethod
    def default(cls) -> RetryStrategy:
        """6 attempts, 5 s doubling up to 60 s, full jitter: what a step without a strategy uses."""
        return create_retry_strategy(RetryStrategyConfig(max_attempts=6, max_delay=Duration(60)))

    @classmethod
    def transient(cls) -> RetryStrategy:
        """3 attempts, 5 s doubling, half jitter."""
        return create_retry_strategy(RetryStrategyConfig(jitter_strategy=JitterStrategy.HALF))

    @classmethod
    def resource_availability(cls) -> RetryStrategy:
        """5 attempts, 5 s doubling up to 5 minutes, full jitter."""
        return create_retry_strategy(RetryStrategyConfig(max_attempts=5))

    @classmethod
    def critical(cls) -> RetryStrategy:
        """10 attempts, 1 s growing by half up to 60 s, no jitter."""
        return create_retry_strategy(
            RetryStrategyConfig(
                max_attempts=10,
                initial_delay=Duration(1),
                max_delay=Duration(60),
                backoff_rate=1.5,
                jitter_strategy=JitterStrategy.NONE,
            )
        )

    @classmethod
    def linear(cls) -> RetryStrategy:
        """6 attempts, after 1, 2, 3, 4 and 5 s, no jitter."""
        return create_linear_retry_strategy(LinearRetryStrategyConfig(jitter_strategy=JitterStrategy.NONE))

    @classmethod
    def fixed(cls, interval: Lengths = FIVE_SECONDS) -> RetryStrategy:
        """5 attempts with the same interval between them, no jitter."""
        return create_linear_retry_strategy(
            LinearRetryStrategyConfig(
                max_attempts=5,
                initial_delay=interval,
                increment=Duration(0),
                max_delay=interval,
                jitter_strategy=JitterStrategy.NONE,
            )
        )


@dataclass(frozen=True)
class WithRetryConfig:
    """Options of `with_retry`; no strategy means 3 attempts with the defaults of `RetryStrategyConfig`."""

    retry_strategy: RetryStrategyFunction | None = None
    wrap_with_run_in_child_context: bool = True
    child_context_config: ChildConfig[object] | None = None

    def __post_init__(self) -> None:
        if self.retry_strategy is not None and not callable(self.retry_strategy):
            raise ValidationError(
                "WithRetryConfig.retry_strategy must be a function (error, attempts) -> RetryDecision, "
                f"not {self.retry_strategy!r}"
            )
        if self.child_context_config is not None and not isinstance(self.child_context_config, ChildConfig):
            raise ValidationError(
                f"WithRetryConfig.child_context_config must be a ChildConfig, not {self.child_context_config!r}"
            )


def with_retry(
    context: DurableContext,
    func: Callable[[DurableContext, int], T],
    config: WithRetryConfig | None = None,
    name: str | None = None,
) -> T:
    """Run `func(context, attempt)` until it succeeds or its strategy gives up, with durable waits in between.

    The strategy must decide the same way for the same error on every replay.

    Raises:
        ChildContextError: given up; without the wrapping child context, the error of the last attempt itself.
    """
    options = config or WithRetryConfig()
    strategy = options.retry_strategy or create_retry_strategy()

    def attempts(inner: DurableContext) -> T:
        attempt = 1
        while True:
            try:
                return func(inner, attempt)
            except Exception as error:
                decision = strategy(error, attempt)
                if not decision.should_retry:
                    raise
            # Also for no delay at all: jitter decides anew on replay, and must find the same operations.
            delay = max(decision.delay, SHORTEST_WAIT)
            inner.wait(delay, name=f"{name}-backoff-{attempt}" if name else None)
            attempt += 1

    if not options.wrap_with_run_in_child_context:
        return attempts(context)
    child_config: ChildConfig[T] | None = options.child_context_config  # type: ignore[assignment]
    return context.run_in_child_context(attempts, name=name, config=child_config)


def _check_common(config: RetryStrategyConfig | LinearRetryStrategyConfig, lengths: Sequence[str]) -> None:
    kind = type(config).__name__
    attempts: object = config.max_attempts
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise ValidationError(f"{kind}.max_attempts must be a whole number of 1 or more, not {attempts!r}")
    for length in lengths:
        seconds_of(getattr(config, length), f"{kind}.{length}")
    if not isinstance(config.jitter_strategy, JitterStrategy):
        raise ValidationError(f"{kind}.jitter_strategy must be a JitterStrategy, not {config.jitter_strategy!r}")
