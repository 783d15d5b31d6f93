"""The signals that end an invocation early. None is an Exception, so a handler's `except Exception` keeps no zombie."""

from __future__ import annotations

from durable_engine.core.history import OperationState
from durable_engine.sdk.exceptions import SuspendExecution


class ReleaseExecution(SuspendExecution):
    """This process was asked to stop: hand the execution over."""


class PauseExecution(SuspendExecution):
    """An operator has to look at it. `kind` and `reason` are those of the store port."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class StoreFailed(BaseException):
    """The store raised an error that is not the handler's business; it is the cause of this signal."""


def swallowed(suspended_at: OperationState) -> str:
    """Return what to tell people about a handler that kept the suspend signal to itself."""
    return (
        f"The handler swallowed the signal that suspends it at {suspended_at}, and ran on.\n"
        "Look around that call for a bare `except:` or `except BaseException:`, or a `finally:` that returns or "
        "raises; catch Exception instead. Deploy the fix, then resume."
    )
