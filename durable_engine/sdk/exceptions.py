"""Every error a handler author, a caller or the replay machine raises, by who has to react.

Names and branches are those of the AWS Durable Execution SDK for Python, and a few of our own below them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class TerminationReason(StrEnum):
    """Why an unrecoverable error ended the invocation."""

    UNHANDLED_ERROR = "UNHANDLED_ERROR"
    INVOCATION_ERROR = "INVOCATION_ERROR"
    EXECUTION_ERROR = "EXECUTION_ERROR"
    CHECKPOINT_FAILED = "CHECKPOINT_FAILED"
    NON_DETERMINISTIC_EXECUTION = "NON_DETERMINISTIC_EXECUTION"
    STEP_INTERRUPTED = "STEP_INTERRUPTED"
    SERIALIZATION_ERROR = "SERIALIZATION_ERROR"


class DurableExecutionsError(Exception):
    """The root of all errors of this library."""


class UnrecoverableError(DurableExecutionsError):
    """An error that no retry strategy is asked about."""

    def __init__(self, message: str, termination_reason: TerminationReason = TerminationReason.UNHANDLED_ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.termination_reason = termination_reason


class ExecutionError(UnrecoverableError):
    """Raise it to fail the whole execution without a retry, also from inside a step body."""

    def __init__(self, message: str, termination_reason: TerminationReason = TerminationReason.EXECUTION_ERROR) -> None:
        super().__init__(message, termination_reason)


class NonDeterministicExecutionError(ExecutionError):
    """The handler's code no longer matches its history.

    The engine itself pauses such an execution instead of failing it; the replay check and the testing kit raise this.
    """

    def __init__(self, message: str, step_id: str | None = None) -> None:
        super().__init__(message, TerminationReason.NON_DETERMINISTIC_EXECUTION)
        self.step_id = step_id


class InvocationError(UnrecoverableError):
    """Raise it outside a step to abandon this invocation: it counts as a crash and the handler is replayed."""

    def __init__(
        self, message: str, termination_reason: TerminationReason = TerminationReason.INVOCATION_ERROR
    ) -> None:
        super().__init__(message, termination_reason)

    def is_retryable(self) -> bool:
        """Whether another invocation may succeed."""
        return True


class StepInterruptedError(InvocationError):
    """A step's attempt was started and its process ended before the outcome was recorded."""

    def __init__(self, message: str, step_id: str | None = None) -> None:
        super().__init__(message, TerminationReason.STEP_INTERRUPTED)
        self.step_id = step_id


class RetryableSerDesError(InvocationError):
    """Raise it in a `SerDes` when its storage is away for a moment: the invocation is abandoned and replayed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, TerminationReason.SERIALIZATION_ERROR)


class ValidationError(DurableExecutionsError):
    """An argument or option cannot be used; the message names it and says what to give instead.

    Raised before anything is recorded.
    """


class InvalidStateError(DurableExecutionsError):
    """The call is not possible at this place, for example a durable operation inside a step body."""


class SerDesError(DurableExecutionsError):
    """A value could not be turned into text or back; the message names its type, its place and the fix.

    An operation whose result could not be stored raises it, as it is recorded, in the place of its own error class.
    """

    def __init__(
        self,
        message: str,
        error_type: str | None = None,
        data: str | None = None,
        stack_trace: Sequence[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_type = error_type or type(self).__name__
        self.data = data
        self.stack_trace = list(stack_trace) if stack_trace is not None else None


class PayloadTooLargeError(DurableExecutionsError):
    """A result is larger than what a history may hold; the message names the size, the limit and the fix."""


class StepTimeoutError(DurableExecutionsError, TimeoutError):
    """A step's body was still running at its `StepConfig(timeout=…)`."""


class DurableOperationError(DurableExecutionsError):
    """A durable operation failed, as its history records it.

    `error_type` is the class name of the error below it, `data` its machine-readable text, `stack_trace` its frames.
    """

    def __init__(
        self,
        message: str,
        error_type: str | None = None,
        data: str | None = None,
        stack_trace: Sequence[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_type = error_type
        self.data = data
        self.stack_trace = list(stack_trace) if stack_trace is not None else None

    @staticmethod
    def from_error_fields(
        class_name: str,
        message: str,
        error_type: str | None = None,
        data: str | None = None,
        stack_trace: Sequence[str] | None = None,
    ) -> DurableOperationError:
        """Build the error class of that name; an unknown name gives the base class."""
        cls = OPERATION_ERRORS.get(class_name, DurableOperationError)
        return cls(message, error_type, data, stack_trace)


class StepError(DurableOperationError):
    """A step failed after its last attempt."""


class InvokeError(DurableOperationError):
    """An invoked function failed, timed out or was stopped."""


class ChildContextError(DurableOperationError):
    """The body of a child context raised."""


class BatchCompletionError(DurableOperationError):
    """`CompletionConfig.should_complete` ended a batch as failed."""


class WaitForConditionError(DurableOperationError):
    """A condition was not met within its attempts, or its check raised."""


class CallbackError(DurableOperationError):
    """A callback did not succeed."""


class CallbackExternalError(CallbackError):
    """The outside completed the callback with a failure."""


class CallbackTimeoutError(CallbackError):
    """The callback's timeout or heartbeat timeout passed."""


class CallbackKeyTakenError(CallbackError):
    """The callback was not opened: another open callback of the function has its key."""


class CallbackSubmitterError(CallbackError):
    """The submitter step of `wait_for_callback` failed after its last attempt."""


OPERATION_ERRORS: dict[str, type[DurableOperationError]] = {
    cls.__name__: cls
    for cls in (
        DurableOperationError,
        StepError,
        InvokeError,
        ChildContextError,
        BatchCompletionError,
        WaitForConditionError,
        CallbackError,
        CallbackExternalError,
        CallbackTimeoutError,
        CallbackKeyTakenError,
        CallbackSubmitterError,
    )
}


class SuspendExecution(BaseException):
    """Ends the invocation until something outside happens; let it pass.

    Not an `Exception`, so `except Exception` leaves it alone. A handler that swallows it with a bare `except:` meets
    it again at its next durable operation, and is paused when it never lets it out.
    """


class OrphanedChildException(BaseException):
    """Ends a branch that its batch has left behind: it may run on for a while, and can record nothing more.

    Not an `Exception`, so `except Exception` leaves it alone.
    """
