"""The options of durable operations. Checked when they are made, so a mistake shows before anything runs."""

from __future__ import annotations

import random as random_module
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, Generic, TypeVar

from durable_engine.sdk.durations import Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.serdes import SerDes
from durable_engine.sdk.types import RetryDecision

__all__ = [
    "CallbackConfig",
    "ChildConfig",
    "Duration",
    "JitterStrategy",
    "RetryStrategyFunction",
    "StepConfig",
    "StepSemantics",
    "WaitForCallbackConfig",
]

T = TypeVar("T")

RetryStrategyFunction = Callable[[Exception, int], RetryDecision]
"""`(error, attempts made so far, this one included) -> RetryDecision`. Must not have side effects."""


class JitterStrategy(StrEnum):
    """How a delay is spread, so that many retries do not come at once."""

    NONE = "NONE"
    FULL = "FULL"
    HALF = "HALF"

    def apply_jitter(self, seconds: float, random: Callable[[], float] = random_module.random) -> float:
        """Return the delay itself, a random part of it (FULL), or half of it plus a random part of the rest (HALF)."""
        if self is JitterStrategy.FULL:
            return seconds * random()
        if self is JitterStrategy.HALF:
            return seconds / 2 + seconds / 2 * random()
        return seconds


class StepSemantics(Enum):
    """What a crash inside a step's body means for the attempt it interrupted."""

    AT_MOST_ONCE_PER_RETRY = "AT_MOST_ONCE_PER_RETRY"
    AT_LEAST_ONCE_PER_RETRY = "AT_LEAST_ONCE_PER_RETRY"


@dataclass(frozen=True)
class StepConfig:
    """Options of `step`.

    No `retry_strategy` means `RetryPresets.default()`: 6 attempts. `timeout` limits one attempt; its body is
    abandoned and the strategy is asked. `count_interrupted`: an at-least-once attempt whose process died counts
    against the strategy's `max_attempts`; False lets it run again without limit.
    """

    retry_strategy: RetryStrategyFunction | None = None
    step_semantics: StepSemantics = StepSemantics.AT_LEAST_ONCE_PER_RETRY
    serdes: SerDes[Any] | None = None
    timeout: Duration | timedelta | None = None
    count_interrupted: bool = True

    def __post_init__(self) -> None:
        if self.retry_strategy is not None and not callable(self.retry_strategy):
            raise ValidationError(
                f"StepConfig.retry_strategy must be a function (error, attempts) -> RetryDecision, "
                f"not {self.retry_strategy!r}; see RetryPresets and create_retry_strategy"
            )
        if not isinstance(self.step_semantics, StepSemantics):
            raise ValidationError(f"StepConfig.step_semantics must be a StepSemantics, not {self.step_semantics!r}")
        if self.timeout is not None:
            seconds_of(self.timeout, "StepConfig.timeout", more_than_zero=True)
        check_serdes(self.serdes, "StepConfig.serdes")


@dataclass(frozen=True)
class ChildConfig(Generic[T]):
    """Options of `run_in_child_context`.

    A result above 256 KiB is not stored: on replay the body runs again over the recorded results of its operations,
    and `summary_generator` makes the short text kept in its place. `is_virtual` groups operations without recording
    a context of its own.
    """

    serdes: SerDes[T] | None = None
    sub_type: str | None = None
    summary_generator: Callable[[T], str] | None = None
    is_virtual: bool = False

    def __post_init__(self) -> None:
        check_serdes(self.serdes, "ChildConfig.serdes")
        if self.sub_type is not None and not 1 <= len(self.sub_type) <= 32:
            raise ValidationError(f"ChildConfig.sub_type must have 1 to 32 characters, not {len(self.sub_type)}")


@dataclass(frozen=True)
class CallbackConfig:
    """Options of `create_callback`; a timeout of 0 means none.

    `timeout` counts from the start, `heartbeat_timeout` from the start and again from each heartbeat. The result is
    the text that was sent, unless `serdes` decodes it.
    """

    timeout: Duration | timedelta = Duration()
    heartbeat_timeout: Duration | timedelta = Duration()
    serdes: SerDes[Any] | None = None

    def __post_init__(self) -> None:
        seconds_of(self.timeout, f"{type(self).__name__}.timeout")
        seconds_of(self.heartbeat_timeout, f"{type(self).__name__}.heartbeat_timeout")
        check_serdes(self.serdes, f"{type(self).__name__}.serdes")

    @property
    def timeout_seconds(self) -> float:
        """The timeout in seconds; 0 means none."""
        return seconds_of(self.timeout, "timeout")

    @property
    def heartbeat_timeout_seconds(self) -> float:
        """The heartbeat timeout in seconds; 0 means none."""
        return seconds_of(self.heartbeat_timeout, "heartbeat_timeout")


@dataclass(frozen=True)
class WaitForCallbackConfig(CallbackConfig):
    """Options of `wait_for_callback`; `retry_strategy` is for its submitter step."""

    retry_strategy: RetryStrategyFunction | None = None


def check_serdes(serdes: object, argument: str) -> None:
    """Refuse what is not an instance of a SerDes.

    Raises:
        ValidationError: names the argument and the fix.
    """
    if serdes is not None and not isinstance(serdes, SerDes):
        raise ValidationError(f"{argument} must be an instance of a SerDes subclass, not {serdes!r}")
