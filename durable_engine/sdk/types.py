"""What the engine hands to a handler's functions, and the words for operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from durable_engine.sdk.durations import Duration, seconds_of


class OperationType(StrEnum):
    """The kinds of durable operation."""

    EXECUTION = "EXECUTION"
    CONTEXT = "CONTEXT"
    STEP = "STEP"
    WAIT = "WAIT"
    CALLBACK = "CALLBACK"
    CHAINED_INVOKE = "CHAINED_INVOKE"


class OperationSubType(StrEnum):
    """What an operation is, more precisely: which call of the context made it."""

    STEP = "Step"
    WAIT = "Wait"
    CALLBACK = "Callback"
    RUN_IN_CHILD_CONTEXT = "RunInChildContext"
    WAIT_FOR_CALLBACK = "WaitForCallback"
    WAIT_FOR_CONDITION = "WaitForCondition"
    MAP = "Map"
    MAP_ITERATION = "MapIteration"
    PARALLEL = "Parallel"
    PARALLEL_BRANCH = "ParallelBranch"
    CHAINED_INVOKE = "ChainedInvoke"


class OperationStatus(StrEnum):
    """Where an operation stands. PENDING: a retry is not due yet; READY: it is."""

    STARTED = "STARTED"
    PENDING = "PENDING"
    READY = "READY"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    STOPPED = "STOPPED"


class LoggerInterface(Protocol):
    """What a logger must offer to stand behind `context.logger`; `logging.Logger` does."""

    def debug(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level DEBUG."""

    def info(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level INFO."""

    def warning(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level WARNING."""

    def error(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level ERROR."""

    def exception(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level ERROR with the traceback of the exception being handled."""


@dataclass(frozen=True)
class StepContext:
    """Given to the body of a step.

    `attempt` counts from 1. `idempotency_key` is the same at every attempt and replay of this step and different for
    every other one: hand it to a payment provider, so that a body that runs twice pays once.
    """

    logger: LoggerInterface
    attempt: int
    operation_id: str = ""
    idempotency_key: str = ""


@dataclass(frozen=True)
class WaitForCallbackContext:
    """Given to the submitter of `wait_for_callback`, which runs as a step."""

    logger: LoggerInterface
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """A retry strategy's answer."""

    should_retry: bool
    delay: Duration = Duration()

    @property
    def delay_seconds(self) -> float:
        """The delay before the next attempt, in seconds."""
        return self.delay.seconds

    @classmethod
    def retry(cls, delay: Duration | timedelta) -> RetryDecision:
        """Try again after a delay."""
        return cls(True, Duration(seconds_of(delay, "RetryDecision.retry(delay)")))

    @classmethod
    def no_retry(cls) -> RetryDecision:
        """Give up: the step has failed."""
        return cls(False)
