"""What the AWS package calls otherwise than we do at its root and in `execution`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

from durable_engine.sdk import execution
from durable_engine.sdk.registry import DurableHandler

__all__ = [
    "DurableExecutionInvocationInput",
    "DurableExecutionInvocationOutput",
    "__version__",
    "durable_execution",
]

# Of the AWS package whose behaviour this is.
__version__ = "2.0.1"


@overload
def durable_execution(func: Callable[..., Any], /) -> DurableHandler: ...


@overload
def durable_execution(
    *, boto3_client: object = None, **options: Any
) -> Callable[[Callable[..., Any]], DurableHandler]: ...


def durable_execution(
    func: Callable[..., Any] | None = None, /, *, boto3_client: object = None, **options: Any
) -> DurableHandler | Callable[[Callable[..., Any]], DurableHandler]:
    """Register a handler as `durable_engine.durable_execution` does, whose options it takes too.

    `boto3_client` has no use here: the engine is called directly.
    """
    return execution.durable_execution(func, **options) if func else execution.durable_execution(**options)


@dataclass(frozen=True)
class DurableExecutionInvocationInput:
    """The event that AWS Lambda hands to its SDK. Here for annotations: no handler is given one."""

    durable_execution_arn: str
    checkpoint_token: str
    initial_execution_state: Any


@dataclass(frozen=True)
class DurableExecutionInvocationOutput:
    """What the SDK of AWS answers Lambda. Here for annotations."""

    status: execution.InvocationStatus
    result: str | None = None
    error: Any = None
