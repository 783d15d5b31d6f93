"""Exceptions of the AWS package that nothing here raises, so that handlers which name them can be imported."""

from __future__ import annotations

from durable_engine.sdk.exceptions import DurableExecutionsError, InvocationError, SuspendExecution

__all__ = [
    "BackgroundThreadError",
    "BotoClientError",
    "CheckpointError",
    "GetExecutionStateError",
    "OrderedLockError",
    "TimedSuspendExecution",
]


class BotoClientError(InvocationError):
    """A call of the service failed: here the engine is called directly."""


class CheckpointError(BotoClientError):
    """A checkpoint could not be sent: here the worker tries again by itself."""


class GetExecutionStateError(BotoClientError):
    """The history could not be read: here the worker tries again by itself."""


class OrderedLockError(DurableExecutionsError):
    """A lock of the AWS SDK's own was broken."""


class TimedSuspendExecution(SuspendExecution):
    """The invocation ends until a time: here every suspension is a `SuspendExecution`."""


class BackgroundThreadError(BaseException):
    """The thread that sends checkpoints failed: here there is none."""
