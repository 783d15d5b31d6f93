"""The options of durable operations. Checked when they are made, so a mistake shows before anything runs."""

from __future__ import annotations

import math
import random as random_module
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, StrEnum
from typing import Any, Generic, TypeVar

from durable_engine.sdk.concurrency import CompletionDecision, CompletionStatus
from durable_engine.sdk.durations import Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.serdes import SerDes
from durable_engine.sdk.types import RetryDecision

__all__ = [
    "CallbackConfig",
    "ChildConfig",
    "CompletionConfig",
    "Duration",
    "InvokeConfig",
    "JitterStrategy",
    "MapConfig",
    "NestingType",
    "ParallelBranch",
    "ParallelConfig",
    "RetryStrategyFunction",
    "StepConfig",
    "StepSemantics",
    "TransactionConfig",
    "WaitForCallbackConfig",
]

T = TypeVar("T")
P = TypeVar("P")
R = TypeVar("R")

MAX_TENANT_ID = 256
MAX_KEY_LENGTH = 256

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

    def finalize_delay(self, seconds: float) -> int:
        """Return the delay with jitter in whole seconds, at least 1, as the AWS SDK has it; ours keeps fractions."""
        return max(1, math.ceil(self.apply_jitter(seconds)))


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
class TransactionConfig:
    """Options of `transaction`. No `retry_strategy` means `RetryPresets.default()`: 6 attempts."""

    retry_strategy: RetryStrategyFunction | None = None
    serdes: SerDes[Any] | None = None

    def __post_init__(self) -> None:
        if self.retry_strategy is not None and not callable(self.retry_strategy):
            raise ValidationError(
                "TransactionConfig.retry_strategy must be a function (error, attempts) -> RetryDecision, "
                f"not {self.retry_strategy!r}; see RetryPresets and create_retry_strategy"
            )
        check_serdes(self.serdes, "TransactionConfig.serdes")


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
    the text that was sent, unless `serdes` decodes it. `key`, of 1 to 256 characters, is another name by which the
    outside completes it: one that both sides know anyway, such as an order number. Of one function only one callback
    with a key is open at a time.
    """

    timeout: Duration | timedelta = Duration()
    heartbeat_timeout: Duration | timedelta = Duration()
    serdes: SerDes[Any] | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        seconds_of(self.timeout, f"{type(self).__name__}.timeout")
        seconds_of(self.heartbeat_timeout, f"{type(self).__name__}.heartbeat_timeout")
        check_serdes(self.serdes, f"{type(self).__name__}.serdes")
        check_key(self.key, f"{type(self).__name__}.key")

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


@dataclass(frozen=True)
class InvokeConfig(Generic[P, R]):
    """Options of `invoke`. Payload and result are JSON, unless `serdes_payload` and `serdes_result` say otherwise.

    What `serdes_payload` makes is the input of another function, so it must be JSON text too. `tenant_id`, of 1 to 256
    characters, is shown to the invoked function as `context.execution_context.tenant_id`.
    """

    serdes_payload: SerDes[P] | None = None
    serdes_result: SerDes[R] | None = None
    tenant_id: str | None = None

    def __post_init__(self) -> None:
        check_serdes(self.serdes_payload, "InvokeConfig.serdes_payload")
        check_serdes(self.serdes_result, "InvokeConfig.serdes_result")
        tenant_id: object = self.tenant_id
        if tenant_id is None:
            return
        if not isinstance(tenant_id, str) or not 1 <= len(tenant_id) <= MAX_TENANT_ID or not tenant_id.isprintable():
            raise ValidationError(
                f"InvokeConfig.tenant_id must be 1 to {MAX_TENANT_ID} printable characters, not {tenant_id!r}"
            )


class NestingType(Enum):
    """Whether each branch of a batch has a context of its own in the history.

    FLAT records none: fewer events, and no outcome of a branch before the whole batch is complete.
    """

    NESTED = "NESTED"
    FLAT = "FLAT"


@dataclass(frozen=True)
class CompletionConfig:
    """When a batch is complete, tested whenever a branch has ended.

    Too many failures end it first: more than `tolerated_failure_count`, or more than `tolerated_failure_percentage` of
    all branches; without any of the fields the first failure does. `min_successful` ends it once so many succeeded;
    alone, it lets failures pass.

    `should_complete` decides instead of them. It is given a `CompletionStatus` before the first branch starts and at
    each change, and answers `complete_batch()`, `complete_batch(CompletionOutcome.FAILED)` or `continue_batch()`. It
    must depend on nothing else, and keep its answer as the batch goes on.
    """

    min_successful: int | None = None
    tolerated_failure_count: int | None = None
    tolerated_failure_percentage: float | None = None
    should_complete: Callable[[CompletionStatus], CompletionDecision] | None = None

    def __post_init__(self) -> None:
        _check_number(self.min_successful, "CompletionConfig.min_successful", int, 1)
        _check_number(self.tolerated_failure_count, "CompletionConfig.tolerated_failure_count", int, 0)
        percentage = self.tolerated_failure_percentage
        _check_number(percentage, "CompletionConfig.tolerated_failure_percentage", (int, float), 0, 100)
        if self.should_complete is None:
            return
        if not callable(self.should_complete):
            raise ValidationError(
                "CompletionConfig.should_complete must be a function (CompletionStatus) -> CompletionDecision, "
                f"not {self.should_complete!r}"
            )
        if (self.min_successful, self.tolerated_failure_count, percentage) != (None, None, None):
            raise ValidationError(
                "CompletionConfig.should_complete decides alone: leave out min_successful and tolerated_failure_*"
            )

    @classmethod
    def first_successful(cls) -> CompletionConfig:
        """Complete with the first success."""
        return cls(min_successful=1)

    @classmethod
    def all_completed(cls) -> CompletionConfig:
        """Complete when every branch has ended, however many failed."""
        return cls(tolerated_failure_percentage=100)

    @classmethod
    def all_successful(cls) -> CompletionConfig:
        """Complete when every branch has succeeded, or with the first failure."""
        return cls(tolerated_failure_count=0, tolerated_failure_percentage=0)


@dataclass(frozen=True)
class ParallelBranch(Generic[T]):
    """A function of `parallel` with a name of its own: `ParallelBranch(func, name="reserve stock")`."""

    func: Callable[[Any], T]
    name: str | None = None

    def __call__(self, context: Any) -> T:
        """Run the function."""
        return self.func(context)


@dataclass(frozen=True)
class ParallelConfig:
    """Options of `parallel`.

    `max_concurrency` bounds the branches under way; one that waits keeps its place. Without it all are, and as many
    bodies run at a time as a batch has threads (64). `serdes` stores the `BatchResult`, and the results of the branches
    unless `item_serdes` is given. A `BatchResult` above 256 KiB is not stored but rebuilt from the branches;
    `summary_generator` makes the short text kept for people.
    """

    max_concurrency: int | None = None
    completion_config: CompletionConfig = field(default_factory=CompletionConfig.all_successful)
    serdes: SerDes[Any] | None = None
    item_serdes: SerDes[Any] | None = None
    summary_generator: Callable[[Any], str] | None = None
    nesting_type: NestingType = NestingType.NESTED

    def __post_init__(self) -> None:
        name = type(self).__name__
        _check_number(self.max_concurrency, f"{name}.max_concurrency", int, 1)
        if not isinstance(self.completion_config, CompletionConfig):
            raise ValidationError(
                f"{name}.completion_config must be a CompletionConfig, not {self.completion_config!r}"
            )
        check_serdes(self.serdes, f"{name}.serdes")
        check_serdes(self.item_serdes, f"{name}.item_serdes")
        if self.summary_generator is not None and not callable(self.summary_generator):
            raise ValidationError(f"{name}.summary_generator must be a function, not {self.summary_generator!r}")
        if not isinstance(self.nesting_type, NestingType):
            raise ValidationError(f"{name}.nesting_type must be a NestingType, not {self.nesting_type!r}")


@dataclass(frozen=True)
class MapConfig(ParallelConfig):
    """Options of `map`: those of `parallel`, and `item_namer`, a function (item, index) that names the branches.

    Its `completion_config` has no criteria: the first failure ends the batch, as in `parallel`.
    """

    completion_config: CompletionConfig = field(default_factory=CompletionConfig)
    item_namer: Callable[[Any, int], str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.item_namer is not None and not callable(self.item_namer):
            raise ValidationError(
                f"MapConfig.item_namer must be a function (item, index) -> str, not {self.item_namer!r}"
            )


def check_key(key: object, argument: str) -> None:
    """Refuse what can't be the key of a callback.

    Raises:
        ValidationError: names the argument and the fix.
    """
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_KEY_LENGTH and key.isprintable()):
        raise ValidationError(f"{argument} must be 1 to {MAX_KEY_LENGTH} printable characters, not {str(key)[:80]!r}")


def check_serdes(serdes: object, argument: str) -> None:
    """Refuse what is not an instance of a SerDes.

    Raises:
        ValidationError: names the argument and the fix.
    """
    if serdes is not None and not isinstance(serdes, SerDes):
        raise ValidationError(f"{argument} must be an instance of a SerDes subclass, not {serdes!r}")


def _check_number(
    value: object, argument: str, kind: type | tuple[type, ...], least: float, most: float = float("inf")
) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:  # type: ignore[operator]
        noun = "a whole number" if kind is int else "a number"
        bounds = f"of at least {least:g}" if most == float("inf") else f"from {least:g} to {most:g}"
        raise ValidationError(f"{argument} must be {noun} {bounds}, not {value!r}")
