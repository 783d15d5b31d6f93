"""One invocation of a handler: replay its history, run what is new, and end it in exactly one way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from durable_engine.core import payloads
from durable_engine.core.context import ReplayContext
from durable_engine.core.errors import error_object
from durable_engine.core.history import OperationState
from durable_engine.core.invocation import Invocation
from durable_engine.core.ports import InvocationStore, LeaseLost, MonotonicClock, Outcome, RandomSource, Snapshot
from durable_engine.core.suspension import PauseExecution, ReleaseExecution, StoreFailed, swallowed
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

Ended = Literal["closed", "suspended", "paused", "released", "lost"]

TOO_LARGE = "Store the data elsewhere and return where it is."
HANDLER_SERDES = "Return JSON built-ins, or give @durable_execution(serdes=ExtendedTypeSerDes())."


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """How an invocation ended. `tainted`: a body was abandoned in this process, which should be recycled."""

    ended: Ended
    tainted: bool = False


def run_invocation(
    handler: DurableHandler,
    store: InvocationStore,
    *,
    clock: MonotonicClock,
    random: RandomSource,
    arn: str | None = None,
) -> InvocationResult:
    """Run a handler over its history until it ends, suspends, is paused, handed over, or no longer ours.

    `arn` names the execution to the handler, its serdes and its log records; the execution id when not given.

    Raises:
        Exception: what the store raised, or the handler's `InvocationError`; nothing was recorded for it, and the
            caller treats the invocation as crashed.
    """
    tainted = False
    try:
        snapshot: Snapshot | None = store.load()
        while snapshot is not None:
            invocation = Invocation(handler, store, snapshot, clock, random, arn)
            ended, snapshot = _run_once(invocation)
            tainted = tainted or invocation.tainted
    except LeaseLost:
        return InvocationResult("lost", tainted)
    return InvocationResult(ended, tainted)


def _run_once(invocation: Invocation) -> tuple[Ended, Snapshot | None]:
    context = ReplayContext(invocation)
    result: Any = None
    error: BaseException | None = None
    try:
        result = invocation.handler.func(_input_of(invocation), context)
    except BaseException as raised:  # noqa: BLE001 - every way out is an ending; re-raised below where it is not ours
        error = raised
    if invocation.signal is None and (error is None or isinstance(error, Exception)):
        try:
            context.check_all_reached("the handler")
        except PauseExecution as diverged:
            error = diverged
    if invocation.signal is not None:
        return _end_by_signal(invocation, invocation.signal, error)
    return _end_by_outcome(invocation, result, error)


def _end_by_signal(
    invocation: Invocation, signal: BaseException, error: BaseException | None
) -> tuple[Ended, Snapshot | None]:
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
    if not isinstance(error, SuspendExecution) and invocation.suspended_at is not None:
        store.pause(batch, "suspension", swallowed(invocation.suspended_at))
        return "paused", None
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
    invocation.store.close(invocation.take_batch(), outcome)
    return "closed", None


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


def _input_of(invocation: Invocation) -> Any:
    """Return what the handler is given; pauses when it cannot be read, fails a new execution whose input is wrong."""
    started = invocation.history.input
    text = started.payload if started is not None else None
    state = OperationState("0", "EXECUTION", None, "input", None)
    state.event_id = started.event_id if started is not None else 0
    try:
        value = json.loads(text) if text else {}
    except ValueError as error:
        invocation.pause_undecodable(state, error)
    try:
        return parse_input(invocation.handler.input, value)
    except ValidationError as error:
        # Half-done work is not thrown away because a deploy changed the input's class.
        if invocation.operations:
            invocation.pause_undecodable(state, error)
        raise
