"""One branch of a batch: run its body, judge how it ended, read what is recorded of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from durable_engine.core import payloads
from durable_engine.core.errors import error_text
from durable_engine.core.history import FAILED, SUCCEEDED, OperationState
from durable_engine.core.operations.base import Scope, calling, speaking
from durable_engine.core.operations.child import check_ended, fitted, rebuild
from durable_engine.core.strand import CURRENT, Strand
from durable_engine.core.suspension import PauseExecution, ReleaseExecution, swallowed
from durable_engine.sdk.concurrency import BatchItem, BatchItemStatus
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.exceptions import (
    ExecutionError,
    InvocationError,
    OrphanedChildException,
    SuspendExecution,
)
from durable_engine.sdk.serdes import SerDes
from durable_engine.sdk.types import ErrorObject

# Where a branch stands in its batch, beside SUCCEEDED and FAILED.
UNSTARTED = ""
RUNNING = "RUNNING"  # in a thread, or about to be
WAITING = "WAITING"  # suspended: it holds its place, and no thread
RELEASED = "RELEASED"  # left to another process
ENDED = "ENDED"  # by what ends the whole invocation, or left behind


class Branch:
    """One branch and how far it is. `state` is its context in the history; None when the batch is flat."""

    __slots__ = ("body", "error", "id", "index", "name", "state", "status", "strand", "value", "waits_for")

    def __init__(self, index: int, id: str, name: str, body: Callable[[DurableContext], Any]) -> None:
        self.index = index
        self.id = id
        self.name = name
        self.body = body
        self.state: OperationState | None = None
        self.status = UNSTARTED
        self.strand: Strand | None = None
        self.waits_for: Sequence[OperationState] = ()
        self.value: Any = None
        self.error: ErrorObject | None = None

    def __str__(self) -> str:
        return f"branch {self.id} {self.name!r}"

    def item(self) -> BatchItem[Any]:
        """Return it as the result of its batch has it."""
        if self.status == SUCCEEDED:
            return BatchItem(self.index, BatchItemStatus.SUCCEEDED, self.value)
        if self.status == FAILED:
            return BatchItem(self.index, BatchItemStatus.FAILED, error=self.error)
        return BatchItem(self.index, BatchItemStatus.STARTED)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run of a body ended: `text` is what is recorded of its result, or of its error when it failed."""

    status: str
    text: str | None = None
    value: Any = None
    details: dict[str, object] | None = None


def run_body(context: Scope, branch: Branch, serdes: SerDes[Any] | None) -> Ending:
    """Run the body of a branch in the thread at hand, and say how it ended. Records nothing itself.

    Raises:
        BaseException: what ends the whole invocation.
    """
    token = CURRENT.set(context.strand)
    value: Any = None
    error: BaseException | None = None
    try:
        with speaking(context), calling(context, branch.state):
            value = branch.body(context)
    except BaseException as raised:  # noqa: BLE001 - every way out is an ending; raised again where it is not ours
        error = raised
    finally:
        CURRENT.reset(token)
    try:
        signal = context.invocation.signal or context.strand.signal
        if signal is not None:
            return _ended_by_signal(context.strand, signal, error)
        return _ended(context, branch, serdes, value, error)
    except (PauseExecution, OrphanedChildException):
        return Ending(ENDED)


def read_recorded(scope: Scope, branch: Branch, state: OperationState, serdes: SerDes[Any] | None) -> None:
    """Take over the recorded outcome of a branch that has one."""
    branch.state = state
    if state.status == SUCCEEDED:
        rebuilt = state.replay_children
        branch.value = rebuild(scope, state, branch.body, serdes) if rebuilt else scope.strand.read(state, serdes)
    elif state.status == FAILED:
        try:
            branch.error = ErrorObject.from_text(state.error)
        except (ValueError, AttributeError) as error:
            scope.strand.pause_undecodable(state, error)
    else:
        return
    branch.status = state.status


def _ended_by_signal(strand: Strand, signal: BaseException, error: BaseException | None) -> Ending:
    if isinstance(signal, ReleaseExecution):
        return Ending(RELEASED)
    if isinstance(signal, PauseExecution) or not isinstance(signal, SuspendExecution):
        return Ending(ENDED)
    if not isinstance(error, SuspendExecution):
        strand.pause("suspension", swallowed(strand.suspended_at))
    return Ending(WAITING)


def _ended(
    context: Scope, branch: Branch, serdes: SerDes[Any] | None, value: Any, error: BaseException | None
) -> Ending:
    if isinstance(error, SuspendExecution):
        error = ExecutionError("the branch raised SuspendExecution itself; use context.wait or a callback")
    if error is not None and not isinstance(error, Exception):
        raise error
    if isinstance(error, InvocationError) and error.is_retryable():
        raise error
    check_ended(context, str(branch))
    if error is None:
        try:
            what = f"the result of {branch}"
            text, value = payloads.encoded(value, serdes, branch.id, context.invocation.arn, what)
            text, details = fitted(text, value, None)
            return Ending(SUCCEEDED, text, value, details)
        except InvocationError:
            raise
        except Exception as unusable:  # noqa: BLE001 - a result that cannot be stored is the outcome
            error = unusable
    return Ending(FAILED, error_text(error))
