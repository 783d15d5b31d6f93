"""The signals that end an invocation early. None is an Exception, so a handler's `except Exception` keeps no zombie."""

from __future__ import annotations

from collections.abc import Sequence

from durable_engine.core.history import OperationState
from durable_engine.core.ports import NewSuccessor
from durable_engine.sdk.exceptions import SuspendExecution


class ReleaseExecution(SuspendExecution):
    """This process was asked to stop: hand the execution over."""


class PauseExecution(SuspendExecution):
    """An operator has to look at it. `kind` and `reason` are those of the store port."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class ContinueAsNew(SuspendExecution):
    """End the execution, and let its successor begin."""

    def __init__(self, successor: NewSuccessor) -> None:
        super().__init__("continuing as a new execution")
        self.successor = successor


class StoreFailed(BaseException):
    """The store raised an error that is not the handler's business; it is the cause of this signal."""


def waiting(states: Sequence[OperationState]) -> str:
    """Return what is waited for, in words."""
    more = f" and {len(states) - 3} more" if len(states) > 3 else ""
    return f"waiting for {', '.join(map(str, states[:3]))}{more}"


def swallowed(suspended_at: Sequence[OperationState]) -> str:
    """Return what to tell people about a handler that kept the suspend signal to itself."""
    where = ", ".join(map(str, suspended_at[:3])) or "continue_as_new"
    return (
        f"The handler swallowed the signal that suspends it at {where}, and ran on.\n"
        "Look around that call for a bare `except:` or `except BaseException:`, or a `finally:` that returns or "
        "raises; catch Exception instead. Deploy the fix, then resume."
    )
