"""One invocation of a handler: replay its history, run what is new, and end it in exactly one way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Any, Literal

from durable_engine.core import payloads
from durable_engine.core.context import ReplayContext
from durable_engine.core.errors import error_object
from durable_engine.core.history import OperationState
from durable_engine.core.invocation import Invocation
from durable_engine.core.operations.base import speaking
from durable_engine.core.ports import (
    Batch,
    EventTimes,
    InvocationStore,
    LeaseLost,
    MonotonicClock,
    Outcome,
    RandomSource,
    Snapshot,
)
from durable_engine.core.strand import CURRENT, Strand
from durable_engine.core.suspension import ContinueAsNew, PauseExecution, ReleaseExecution, StoreFailed, swallowed
from durable_engine.sdk.exceptions import (
    ExecutionError,
    InvocationError,
    SerDesError,
    SuspendExecution,
    ValidationError,
)
from durable_engine.sdk.inputs import parse_input
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.serdes import DEFAULT_JSON_SERDES
from durable_engine.sdk.types import ErrorObject, InvocationStatus

Ended = Literal["closed", "suspended", "paused", "released", "lost"]

# How long the end of an invocation waits for bodies that a completed batch has left behind.
LEFT_BEHIND_SECONDS = 1.0

TOO_LARGE = "Store the data elsewhere and return where it is."
HANDLER_SERDES = "Return JSON built-ins, or give @durable_execution(serdes=ExtendedTypeSerDes())."


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """How an invocation ended. `tainted`: a body still runs in this process, which should be recycled."""

    ended: Ended
    tainted: bool = False


def run_invocation(
    handler: DurableHandler,
    store: InvocationStore,
    *,
    clock: MonotonicClock,
    random: RandomSource,
    arn: str | None = None,
    on_thread_end: Callable[[], None] = lambda: None,
    context_type: type[ReplayContext] = ReplayContext,
    event_times: EventTimes | None = None,
) -> InvocationResult:
    """Run a handler over its history until it ends, suspends, is paused, handed over, or no longer ours.

    `arn` names the execution to the handler, its serdes and its log records; the execution id when not given.
    `on_thread_end` is called in each thread that ran bodies, before it ends. The handler is given a `context_type`.
    Its plugins are called only where `event_times` can be asked.

    Raises:
        Exception: what the store raised, or the handler's `InvocationError`; nothing was recorded for it, and the
            caller treats the invocation as crashed.
    """
    tainted = False
    left_behind: list[Thread] = []
    try:
        with handler.environment():
            handler = handler.loaded()
            snapshot: Snapshot | None = store.load()
            while snapshot is not None:
                invocation = Invocation(handler, store, snapshot, clock, random, arn, on_thread_end, event_times)
                left_behind = invocation.left_behind = [thread for thread in left_behind if thread.is_alive()]
                try:
                    ended, snapshot = _run_observed(invocation, context_type)
                finally:
                    # A branch that was left behind and lives on must not take the next pass for its own.
                    invocation.abandon(LeaseLost("the invocation has ended"))
                tainted = tainted or invocation.tainted
    except LeaseLost:
        return InvocationResult("lost", tainted or _outlives(left_behind))
    return InvocationResult(ended, tainted or _outlives(left_behind))


def _outlives(threads: Sequence[Thread]) -> bool:
    """Whether a body still runs after a short grace. What had to be recorded is recorded: nobody waits for this."""
    deadline = time.monotonic() + LEFT_BEHIND_SECONDS
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0.0))
    return any(thread.is_alive() for thread in threads)


def _run_observed(invocation: Invocation, context_type: type[ReplayContext]) -> tuple[Ended, Snapshot | None]:
    """Run once, and tell plugins of it. A process that dies tells them nothing."""
    plugins = invocation.plugins
    if plugins is None:
        return _run_once(invocation, context_type)
    plugins.start()
    try:
        ended = _run_once(invocation, context_type)
    except (Exception, LeaseLost) as error:
        plugins.finish(InvocationStatus.RETRY, ErrorObject.from_exception(error))
        raise
    outcome = invocation.outcome
    status = InvocationStatus.PENDING if outcome is None else InvocationStatus(outcome.status)
    plugins.finish(status, None if outcome is None else ErrorObject.from_text(outcome.error), outcome)
    return ended


def _run_once(invocation: Invocation, context_type: type[ReplayContext]) -> tuple[Ended, Snapshot | None]:
    strand = Strand(invocation)
    context = context_type(strand)
    result: Any = None
    error: BaseException | None = None
    token = CURRENT.set(strand)
    try:
        with speaking(context):
            result = invocation.handler.func(_input_of(strand), context)
    except BaseException as raised:  # noqa: BLE001 - every way out is an ending; re-raised below where it is not ours
        error = raised
    finally:
        CURRENT.reset(token)
    if strand.ending is None and (error is None or isinstance(error, Exception)):
        try:
            context.check_all_reached("the handler")
        except PauseExecution as diverged:
            error = diverged
    if (signal := strand.ending) is not None:
        return _end_by_signal(strand, signal, error)
    return _end_by_outcome(invocation, result, error)


def _end_by_signal(strand: Strand, signal: BaseException, error: BaseException | None) -> tuple[Ended, Snapshot | None]:
    invocation = strand.invocation
    store, batch = invocation.store, invocation.take_batch()
    if isinstance(signal, PauseExecution):
        store.pause(batch, signal.kind, signal.reason)
        return "paused", None
    if isinstance(signal, ReleaseExecution):
        store.release(batch)
        return "released", None
    if isinstance(signal, StoreFailed):
        raise signal.__cause__ or signal
    if not isinstance(signal, SuspendExecution):
        raise signal
    if not isinstance(error, SuspendExecution):
        store.pause(batch, "suspension", swallowed(strand.suspended_at))
        return "paused", None
    if isinstance(signal, ContinueAsNew):
        _close(invocation, batch, Outcome("SUCCEEDED", payload="null", successor=signal.successor))
        return "closed", None
    return "suspended", store.suspend(batch)


def _end_by_outcome(invocation: Invocation, result: Any, error: BaseException | None) -> tuple[Ended, Snapshot | None]:
    if isinstance(error, InvocationError) and error.is_retryable():
        raise error
    if isinstance(error, SuspendExecution):
        error = ExecutionError("the handler raised SuspendExecution itself; use context.wait or a callback")
    if error is None:
        try:
            outcome = Outcome("SUCCEEDED", payload=_result_text(invocation, result))
        except InvocationError:
            raise
        except Exception as unusable:  # noqa: BLE001 - a result that cannot be stored is the outcome
            error = unusable
    if error is not None:
        if not isinstance(error, Exception):
            raise error
        outcome = _failed(error)
    _close(invocation, invocation.take_batch(), outcome)
    return "closed", None


def _close(invocation: Invocation, batch: Batch, outcome: Outcome) -> None:
    invocation.store.close(batch, outcome)
    invocation.outcome = outcome


def _failed(error: Exception) -> Outcome:
    recorded = error_object(error)
    return Outcome(
        "FAILED",
        error=json.dumps(recorded),
        error_type=recorded["ErrorType"],
        error_message=recorded["ErrorMessage"],
    )


def _result_text(invocation: Invocation, result: Any) -> str:
    what = f"the result of the handler {invocation.handler.name!r}"
    serdes = invocation.serdes or DEFAULT_JSON_SERDES
    try:
        text, _ = payloads.encoded(result, serdes, "", invocation.arn, what)
    except SerDesError as error:
        if invocation.serdes is not None:
            raise
        raise SerDesError(f"{error}. {HANDLER_SERDES}") from error
    payloads.check_size(text, payloads.MAX_RESULT_BYTES, what, TOO_LARGE)
    return text


def _input_of(strand: Strand) -> Any:
    """Return what the handler is given; pauses when it cannot be read, fails a new execution whose input is wrong."""
    invocation = strand.invocation
    started = invocation.history.input
    text = started.payload if started is not None else None
    state = OperationState("0", "EXECUTION", None, "input", None)
    state.event_id = started.event_id if started is not None else 0
    try:
        value = json.loads(text) if text else {}
    except ValueError as error:
        strand.pause_undecodable(state, error)
    try:
        return parse_input(invocation.handler.input, value)
    except ValidationError as error:
        # Half-done work is not thrown away because a deploy changed the input's class.
        if invocation.operations:
            strand.pause_undecodable(state, error)
        raise
