"""What `parallel` and `map` return, and the words in which a batch is told when to complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from durable_engine.sdk.exceptions import BatchCompletionError, ChildContextError, SerDesError, ValidationError
from durable_engine.sdk.types import ErrorObject

T = TypeVar("T")


class BatchItemStatus(StrEnum):
    """Where one branch stood when its batch was complete. STARTED: it had begun, and was left behind."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STARTED = "STARTED"


class CompletionReason(StrEnum):
    """Why a batch was complete. The two CUSTOM ones come from `CompletionConfig.should_complete`."""

    ALL_COMPLETED = "ALL_COMPLETED"
    MIN_SUCCESSFUL_REACHED = "MIN_SUCCESSFUL_REACHED"
    FAILURE_TOLERANCE_EXCEEDED = "FAILURE_TOLERANCE_EXCEEDED"
    CUSTOM_COMPLETION_SUCCEEDED = "CUSTOM_COMPLETION_SUCCEEDED"
    CUSTOM_COMPLETION_FAILED = "CUSTOM_COMPLETION_FAILED"


class CompletionOutcome(StrEnum):
    """What a batch that `should_complete` ended counts as."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class CompletionDecision:
    """The answer of a `should_complete` function; made by `complete_batch` and `continue_batch`."""

    complete: bool
    outcome: CompletionOutcome | None = None


def complete_batch(outcome: CompletionOutcome = CompletionOutcome.SUCCEEDED) -> CompletionDecision:
    """Complete the batch now: no further branch starts, and those that run are left behind."""
    return CompletionDecision(True, CompletionOutcome(outcome))


def continue_batch() -> CompletionDecision:
    """Go on."""
    return CompletionDecision(False)


@dataclass(frozen=True, slots=True)
class CompletionItemStatus:
    """One branch as `should_complete` sees it. `status` is None before it starts, `result` that of a succeeded one."""

    index: int
    name: str | None
    status: BatchItemStatus | None
    result: Any = None


@dataclass(frozen=True, slots=True)
class CompletionStatus:
    """How far a batch is. `items` has one entry a branch, in the order of the inputs."""

    success_count: int
    failure_count: int
    total_count: int
    items: Sequence[CompletionItemStatus]

    @property
    def completed_count(self) -> int:
        """How many branches succeeded or failed."""
        return self.success_count + self.failure_count

    @property
    def started_count(self) -> int:
        """How many branches have begun and not ended."""
        return sum(item.status is BatchItemStatus.STARTED for item in self.items)


@dataclass(frozen=True, slots=True)
class BatchItem(Generic[T]):
    """One branch of a batch: `result` when it succeeded, `error` as recorded when it failed."""

    index: int
    status: BatchItemStatus
    result: T | None = None
    error: ErrorObject | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plain dict, in the form of the AWS SDK."""
        error = None if self.error is None else self.error.to_dict()
        return {"index": self.index, "status": self.status.value, "result": self.result, "error": error}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BatchItem[T]:
        """Build it from the form of `to_dict`."""
        error = data.get("error")
        return cls(
            data["index"],
            BatchItemStatus(data["status"]),
            data.get("result"),
            ErrorObject.from_dict(error) if error else None,
        )


@dataclass(frozen=True, slots=True)
class BatchResult(Generic[T]):
    """The branches that had started when the batch was complete, in the order of the inputs.

    Branches start in the order of the inputs, so `all[i]` is input `i`; those that never started are not in it.
    """

    all: Sequence[BatchItem[T]]
    completion_reason: CompletionReason

    def succeeded(self) -> list[BatchItem[T]]:
        """Return the items that succeeded."""
        return [item for item in self.all if item.status is BatchItemStatus.SUCCEEDED]

    def failed(self) -> list[BatchItem[T]]:
        """Return the items that failed."""
        return [item for item in self.all if item.status is BatchItemStatus.FAILED]

    def started(self) -> list[BatchItem[T]]:
        """Return the items that had neither succeeded nor failed when the batch was complete."""
        return [item for item in self.all if item.status is BatchItemStatus.STARTED]

    def get_results(self) -> list[T | None]:
        """Return one result an item: position `i` is input `i`, None where it has none.

        For the results of the items that succeeded alone: `[item.result for item in batch.succeeded()]`.
        """
        return [item.result for item in self.all]

    def get_errors(self) -> list[ErrorObject]:
        """Return the errors of the items that failed."""
        return [item.error for item in self.all if item.error is not None]

    @property
    def status(self) -> BatchItemStatus:
        """FAILED when an item failed, else SUCCEEDED; a `should_complete` that ended the batch decides alone."""
        if self.completion_reason is CompletionReason.CUSTOM_COMPLETION_SUCCEEDED:
            return BatchItemStatus.SUCCEEDED
        failed = self.has_failure or self.completion_reason is CompletionReason.CUSTOM_COMPLETION_FAILED
        return BatchItemStatus.FAILED if failed else BatchItemStatus.SUCCEEDED

    @property
    def has_failure(self) -> bool:
        """Whether an item failed."""
        return any(item.status is BatchItemStatus.FAILED for item in self.all)

    @property
    def success_count(self) -> int:
        """How many items succeeded."""
        return len(self.succeeded())

    @property
    def failure_count(self) -> int:
        """How many items failed."""
        return len(self.failed())

    @property
    def started_count(self) -> int:
        """How many items had neither succeeded nor failed."""
        return len(self.started())

    @property
    def total_count(self) -> int:
        """How many items had started."""
        return len(self.all)

    def throw_if_error(self) -> None:
        """Raise when the batch failed; the caller decides whether a failed item matters.

        Raises:
            ChildContextError: the error of the first item that failed.
            SerDesError: that error is a result that could not be stored.
            BatchCompletionError: no item failed, but `should_complete` ended the batch as failed.
        """
        first = next(iter(self.failed()), None)
        if first is not None:
            error = first.error or ErrorObject()
            cls = SerDesError if error.type == SerDesError.__name__ else ChildContextError
            raise cls(error.message or "", error.type, error.data, error.stack_trace)
        if self.completion_reason is CompletionReason.CUSTOM_COMPLETION_FAILED:
            raise BatchCompletionError("should_complete ended the batch as failed")

    def to_dict(self) -> dict[str, Any]:
        """Return it as a plain dict, in the form of the AWS SDK."""
        return {"all": [item.to_dict() for item in self.all], "completionReason": self.completion_reason.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BatchResult[T]:
        """Build it from the form of `to_dict`.

        Raises:
            ValidationError: it has another form.
        """
        try:
            items = [BatchItem[T].from_dict(item) for item in data["all"]]
            return cls(items, CompletionReason(data["completionReason"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ValidationError(f"not a batch result: {str(data)[:80]!r} ({error!r})") from error
