"""An invocation of a handler that runs elsewhere, from the worker's side: what it is sent, and what its answer does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final, Literal

from django.core import signing
from django.db import transaction
from uuid_utils.compat import uuid7

from durable_engine.core.ports import Batch, Outcome
from durable_engine.models import Execution, ExecutionStatus
from durable_engine.queries.arns import execution_arn
from durable_engine.queries.remote_operations import (
    Fold,
    RemoteOperation,
    execution_operation,
    keep_fold,
    take_fold,
    wire_operations,
)
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.checkpoint_tokens import CheckpointToken, make_checkpoint_token
from durable_engine.services.checkpoints import check_current
from durable_engine.services.children import tell_parent_on_commit
from durable_engine.services.exceptions import InvalidInput
from durable_engine.services.remote_batches import failure
from durable_engine.services.validation import MAX_INPUT_BYTES, checked_error, checked_text
from durable_engine.storage import remote
from durable_engine.storage.leases import Claim
from durable_engine.storage.locks import lock_execution

# What one request or answer may hold of the state; the handler asks for the rest.
MAX_PAGE_BYTES: Final = 5_000_000
MAX_PAGE_OPERATIONS: Final = 1000
MARKER_SALT: Final = "durable_engine.services.remote_invocations"
LONGEST_MARKER: Final = 2048

Ended = Literal["closed", "suspended", "goes on", "failed", "lost"]


class BadAnswer(Exception):
    """The handler answered what no handler may; the invocation has failed. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """One invocation to send. `body` is JSON; `signal` is how far the handler knows of what came from outside."""

    body: bytes
    signal: int


@dataclass(frozen=True, slots=True)
class RemoteEnd:
    """What became of the execution. `wake_in` is the seconds until its earliest timer."""

    ended: Ended
    wake_in: float | None = None


@dataclass(frozen=True, slots=True)
class StatePage:
    """Some operations in wire form, and the marker of those behind them; an empty text when there are none."""

    operations: list[dict[str, Any]]
    next_marker: str


def begin_remote_invocation(claim: Claim) -> RemoteCall | None:
    """Fire due timers and return what the handler is sent; None when the execution is no longer ours."""
    with transaction.atomic():
        execution = _ours(claim)
        if execution is None:
            return None
        _, pending = remote.fire_due_timers(execution)
        fold = take_fold(execution.pk)
        token = CheckpointToken(execution.pk, execution.fence, execution.batch, fold.last_event_id)
        page = _page(fold, pending, after=0, most=MAX_PAGE_OPERATIONS, spent=fold.input_bytes)
        envelope = {
            "DurableExecutionArn": execution_arn(execution.function, execution.name, execution.pk),
            "CheckpointToken": make_checkpoint_token(token),
            "InitialExecutionState": {
                "Operations": [execution_operation(fold), *page.operations],
                "NextMarker": page.next_marker,
            },
            "UpdatedOperationIds": fold.completed_outside(),
        }
        signal = execution.signal
    keep_fold(fold)
    return RemoteCall(json.dumps(envelope, ensure_ascii=False, default=_milliseconds).encode(), signal)


@transaction.atomic
def end_remote_invocation(claim: Claim, signal: int, answer: Mapping[str, Any]) -> RemoteEnd:
    """Do what the handler's answer says: end the execution, or let go of it until something happens.

    When something came from outside since `signal`, the next invocation has begun and is ours: it "goes on".

    Raises:
        BadAnswer: it can't be; nothing has changed.
    """
    status, outcome = _checked_answer(answer)
    execution = _ours(claim)
    if execution is None:
        return RemoteEnd("lost")
    if outcome is not None:
        remote.close(execution, Batch(), outcome)
        tell_parent_on_commit(execution)
        return RemoteEnd("closed")
    if execution.signal == signal and not take_fold(execution.pk).has_something_to_wait_for():
        raise BadAnswer(f"Cannot return {status} status with no pending operations.")
    written = remote.suspend(execution, signal, uuid7(), claim.invocation_seconds)
    return RemoteEnd("goes on" if written.status == ExecutionStatus.RUNNING else "suspended", written.wake_in)


@transaction.atomic
def put_off_remote_invocation(claim: Claim, seconds: float) -> None:
    """Let an execution wait whose handler could not be reached. Nothing is recorded, and it counts as no crash."""
    execution = _ours(claim)
    if execution is not None:
        remote.put_off(execution, seconds)


def remote_state(token: CheckpointToken, marker: str, most: int) -> StatePage:
    """Return a page of the operations, for the invocation that the token was given to.

    Raises:
        StaleCheckpointToken: it is over.
        InvalidInput: the marker is none of this invocation.
    """
    check_current(token)
    after = _read_marker(token, marker) if marker else 0
    with transaction.atomic():
        fold = take_fold(token.execution_id)
        pending = remote.operations_with_timers(token.execution_id)
        page = _page(fold, pending, after=after, most=most, spent=0)
    keep_fold(fold)
    return page


def _page(fold: Fold, pending: set[str], *, after: int, most: int, spent: int) -> StatePage:
    chosen: list[RemoteOperation] = []
    needed = _needed(fold, after)
    for operation in islice(needed, most):
        spent += operation.data_bytes
        if chosen and spent > MAX_PAGE_BYTES:
            return _made(fold, pending, chosen)
        chosen.append(operation)
    return _made(fold, pending, chosen, is_last=next(needed, None) is None)


def _made(fold: Fold, pending: set[str], chosen: list[RemoteOperation], *, is_last: bool = False) -> StatePage:
    ready = fold.in_back_off() - pending
    operations = wire_operations(fold, [each.id for each in chosen], ready, callback_id_for)
    position = [str(fold.execution_id), chosen[-1].first_event_id if chosen else 0]
    return StatePage(operations, "" if is_last else signing.dumps(position, salt=MARKER_SALT))


def _needed(fold: Fold, after: int) -> Iterator[RemoteOperation]:
    """What replay needs, in the order it began; what is inside a context that has ended is told by that one."""
    return (each for each in fold.operations.values() if each.first_event_id > after and not fold.is_pruned(each))


def _read_marker(token: CheckpointToken, marker: str) -> int:
    try:
        execution_id, position = signing.loads(marker[:LONGEST_MARKER], salt=MARKER_SALT)
    except (signing.BadSignature, ValueError):
        raise InvalidInput("Marker", "is not one of ours.") from None
    if execution_id != str(token.execution_id):
        raise InvalidInput("Marker", "is of another execution.")
    return int(position)


def _ours(claim: Claim) -> Execution | None:
    execution = lock_execution(claim.execution_id)
    is_ours = execution is not None and (execution.fence, execution.status) == (claim.fence, ExecutionStatus.RUNNING)
    return execution if is_ours else None


def _checked_answer(answer: Mapping[str, Any]) -> tuple[str, Outcome | None]:
    status, result, error = answer.get("Status"), answer.get("Result"), answer.get("Error")
    try:
        if status == "SUCCEEDED" and error is None:
            text = checked_text("null" if result is None else result, field="Result", limit=MAX_INPUT_BYTES)
            return status, Outcome("SUCCEEDED", payload=text or "null")
        if status == "FAILED" and result is None:
            return status, failure(None if error is None else checked_error(error, field="Error"))
    except InvalidInput as problem:
        raise BadAnswer(str(problem)) from None
    if status == "PENDING":
        return status, None
    if status in {"SUCCEEDED", "FAILED"}:
        unwanted = "an Error" if status == "SUCCEEDED" else "a Result"
        raise BadAnswer(f"Cannot provide {unwanted} for {status} status.")
    raise BadAnswer(f"Status must be SUCCEEDED, FAILED or PENDING, not {str(status)[:80]!r}.")


def _milliseconds(value: object) -> int:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    message = f"{type(value).__name__} can't be written as JSON"
    raise TypeError(message)
