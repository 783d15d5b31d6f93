"""What the service API refuses, in the types AWS clients know, and how what the services refuse becomes one of them."""

from __future__ import annotations

from typing import Final

from durable_engine.services.exceptions import (
    CallbackClosed,
    DurableServiceError,
    ExecutionAlreadyStarted,
    StaleRevision,
)


class ApiError(Exception):
    """A refusal: `code` is the type a client turns into its exception, `status` the HTTP status."""

    def __init__(self, code: str, status: int, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.retry_after = retry_after


def invalid_parameter(message: str) -> ApiError:
    """A parameter has a value that can't be accepted."""
    return ApiError("InvalidParameterValueException", 400, message)


def not_found(message: str) -> ApiError:
    """What the request names does not exist."""
    return ApiError("ResourceNotFoundException", 404, message)


def conflict(message: str) -> ApiError:
    """The state of the execution does not allow it."""
    return ApiError("ResourceConflictException", 409, message)


def access_denied(message: str) -> ApiError:
    """The key is good and may not do this."""
    return ApiError("AccessDeniedException", 403, message)


def too_many(message: str, *, retry_after: int = 1) -> ApiError:
    """Later."""
    return ApiError("TooManyRequestsException", 429, message, retry_after=retry_after)


def too_large(limit: int) -> ApiError:
    """The body is over the limit of its route."""
    return ApiError(
        "RequestTooLargeException", 413, f"The body has more than {limit:,} bytes, which is the limit here."
    )


_BY_TYPE: Final = {
    ExecutionAlreadyStarted: "DurableExecutionAlreadyStartedException",
    CallbackClosed: "CallbackTimeoutException",
    StaleRevision: "StaleRevisionException",
}
_BY_STATUS: Final = {404: "ResourceNotFoundException", 409: "ResourceConflictException"}
# The status that the model of AWS gives the type, where ours differs.
_STATUS: Final = {"CallbackTimeoutException": 400}


def error_of(problem: DurableServiceError) -> ApiError:
    """Return how a client is told what a service refused."""
    code = _BY_TYPE.get(type(problem)) or _BY_STATUS.get(problem.status_code, "InvalidParameterValueException")
    status = _STATUS.get(code, problem.status_code if problem.status_code in _BY_STATUS else 400)
    # Who was first is for those who may see the execution, not for whoever holds a callback id.
    message = f"The callback is closed: {problem.status}." if isinstance(problem, CallbackClosed) else str(problem)
    return ApiError(code, status, message)
