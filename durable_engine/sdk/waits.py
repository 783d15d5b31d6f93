"""When to look again, and when to stop looking: the strategies of `wait_for_condition`."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from durable_engine.sdk.config import JitterStrategy, check_serdes
from durable_engine.sdk.durations import MAX_SECONDS, Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError, WaitForConditionError
from durable_engine.sdk.serdes import SerDes

__all__ = [
    "JitterStrategy",
    "WaitForConditionConfig",
    "WaitForConditionDecision",
    "WaitStrategy",
    "WaitStrategyConfig",
    "WaitStrategyFunction",
    "create_wait_strategy",
]

T = TypeVar("T")
Lengths = Duration | timedelta


@dataclass(frozen=True, slots=True)
class WaitForConditionDecision:
    """A wait strategy's answer."""

    should_continue: bool
    delay: Duration = Duration()

    @property
    def delay_seconds(self) -> float:
        """The delay before the next check, in seconds."""
        return self.delay.seconds

    @classmethod
    def continue_waiting(cls, delay: Lengths) -> WaitForConditionDecision:
        """Check again after a delay."""
        return cls(True, Duration(seconds_of(delay, "WaitForConditionDecision.continue_waiting(delay)")))

    @classmethod
    def stop_polling(cls) -> WaitForConditionDecision:
        """The condition is met: the state is the result."""
        return cls(False)


WaitStrategyFunction = Callable[[Any, int], WaitForConditionDecision]
"""`(state, checks made so far, this one included) -> WaitForConditionDecision`. Must not have side effects."""


@dataclass(frozen=True)
class WaitStrategyConfig(Generic[T]):
    """Checks with growing delays between them.

    `should_continue_polling` gets the state of each check and says whether the condition is still to come. After
    `max_attempts` checks the wait has failed.
    """

    should_continue_polling: Callable[[T], bool]
    max_attempts: int = 60
    initial_delay: Lengths = Duration(5)
    max_delay: Lengths = Duration(300)
    backoff_rate: float = 1.5
    jitter_strategy: JitterStrategy = JitterStrategy.FULL

    def __post_init__(self) -> None:
        attempts: object = self.max_attempts
        if not callable(self.should_continue_polling):
            raise ValidationError(
                "WaitStrategyConfig.should_continue_polling must be a function (state) -> bool, "
                f"not {self.should_continue_polling!r}"
            )
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise ValidationError(
                f"WaitStrategyConfig.max_attempts must be a whole number of 1 or more, not {attempts!r}"
            )
        for length in ("initial_delay", "max_delay"):
            seconds_of(getattr(self, length), f"WaitStrategyConfig.{length}")
        if not self.backoff_rate > 0:
            raise ValidationError(f"WaitStrategyConfig.backoff_rate must be more than 0, not {self.backoff_rate}")
        if not isinstance(self.jitter_strategy, JitterStrategy):
            raise ValidationError(
                f"WaitStrategyConfig.jitter_strategy must be a JitterStrategy, not {self.jitter_strategy!r}"
            )

    @property
    def initial_delay_seconds(self) -> float:
        """`initial_delay` in seconds."""
        return seconds_of(self.initial_delay, "initial_delay")

    @property
    def max_delay_seconds(self) -> float:
        """`max_delay` in seconds."""
        return seconds_of(self.max_delay, "max_delay")

    def base_delay(self, attempt: int) -> float:
        """Return the seconds before jitter after that many checks."""
        longest = self.max_delay_seconds
        try:
            grown = self.initial_delay_seconds * self.backoff_rate ** (attempt - 1)
        except OverflowError:
            return longest
        return min(grown, longest)


class WaitStrategy(Generic[T]):
    """A strategy made from a config: call it with `(state, checks made)`."""

    def __init__(self, config: WaitStrategyConfig[T]) -> None:
        self.config = config

    def __call__(self, state: T, attempt: int) -> WaitForConditionDecision:
        """Decide with the process's own random numbers."""
        return self.decide(state, attempt, random_module.random)

    def decide(self, state: T, attempt: int, random: Callable[[], float]) -> WaitForConditionDecision:
        """Decide with jitter from `random`.

        Raises:
            WaitForConditionError: the condition is not met, and this was the last check.
        """
        config = self.config
        if not config.should_continue_polling(state):
            return WaitForConditionDecision.stop_polling()
        if attempt >= config.max_attempts:
            raise WaitForConditionError(f"the condition was not met in {attempt} checks")
        delay = config.jitter_strategy.apply_jitter(config.base_delay(attempt), random)
        return WaitForConditionDecision(True, Duration(round(min(delay, MAX_SECONDS), 3)))


def create_wait_strategy(config: WaitStrategyConfig[T]) -> WaitStrategy[T]:
    """Return a strategy with exponential back-off; at most 60 checks by default."""
    return WaitStrategy(config)


@dataclass(frozen=True)
class WaitForConditionConfig(Generic[T]):
    """Options of `wait_for_condition`: when to check again, and the state that the first check is given."""

    wait_strategy: Callable[[T, int], WaitForConditionDecision]
    initial_state: T
    serdes: SerDes[T] | None = None

    def __post_init__(self) -> None:
        if not callable(self.wait_strategy):
            raise ValidationError(
                "WaitForConditionConfig.wait_strategy must be a function (state, attempt) -> WaitForConditionDecision, "
                f"not {self.wait_strategy!r}; see create_wait_strategy"
            )
        check_serdes(self.serdes, "WaitForConditionConfig.serdes")
