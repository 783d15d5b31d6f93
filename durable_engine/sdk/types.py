"""What the engine hands to a handler's functions, and the words for operations."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

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
    PATCHED = "Patched"
    TRANSACTION = "Transaction"


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


class InvocationStatus(StrEnum):
    """How an execution stands after an invocation.

    SUCCEEDED, FAILED and PENDING are those of the AWS SDK; TIMED_OUT and STOPPED, which it shows as FAILED, are told by
    the testing kit, RETRY by plugins: the invocation failed, and another one follows.
    """

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PENDING = "PENDING"
    TIMED_OUT = "TIMED_OUT"
    STOPPED = "STOPPED"
    RETRY = "RETRY"


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


@dataclass(frozen=True)
class WaitForConditionCheckContext:
    """Given to the check of `wait_for_condition`. `attempt` counts the checks, from 1."""

    logger: LoggerInterface
    attempt: int


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


@dataclass(frozen=True)
class ErrorObject:
    """An error as a history keeps it; `type` is the class name of the exception."""

    message: str | None = None
    type: str | None = None
    data: str | None = None
    stack_trace: Sequence[str] | None = None

    @classmethod
    def from_exception(cls, error: BaseException) -> ErrorObject:
        """Describe an exception: its message, its class name, and what it carries of an operation that failed."""
        stack = getattr(error, "stack_trace", None)
        return cls(str(error), type(error).__name__, getattr(error, "data", None), stack)

    @classmethod
    def from_message(cls, message: str) -> ErrorObject:
        """Build one that has a message and nothing else."""
        return cls(message)

    def to_dict(self) -> dict[str, Any]:
        """Return it in the form of the wire, without the fields that it does not have."""
        fields = {
            "ErrorMessage": self.message,
            "ErrorType": self.type,
            "ErrorData": self.data,
            "StackTrace": None if self.stack_trace is None else list(self.stack_trace),
        }
        return {key: value for key, value in fields.items() if value is not None}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> ErrorObject:
        """Build it from the form of the wire."""
        return cls(
            fields.get("ErrorMessage"), fields.get("ErrorType"), fields.get("ErrorData"), fields.get("StackTrace")
        )

    def to_text(self) -> str:
        """Return it as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_text(cls, text: str | None) -> ErrorObject | None:
        """Read it from JSON text."""
        return None if text is None else cls.from_dict(json.loads(text))
