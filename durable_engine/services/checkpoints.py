"""What a handler that runs elsewhere asks of us while it runs: record this, and tell me what is new.

A checkpoint is one transaction. Its token says which batch comes next, under which lease; both are compared with the
locked execution, so a token is good once, and never after somebody else was given the execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from durable_engine import dispatch
from durable_engine.models import Execution, ExecutionStatus
from durable_engine.queries.remote_operations import Fold, keep_fold, take_fold, wire_operations
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.checkpoint_tokens import CheckpointToken, make_checkpoint_token
from durable_engine.services.children import tell_parent_on_commit
from durable_engine.services.exceptions import DurableServiceError
from durable_engine.services.operation_updates import OperationUpdate
from durable_engine.services.remote_batches import RemoteBatch
from durable_engine.storage import remote
from durable_engine.storage.locks import lock_execution

ENDED_UNDER_IT: Final = (ExecutionStatus.PAUSED, ExecutionStatus.STOPPED, ExecutionStatus.TIMED_OUT)


class StaleCheckpointToken(DurableServiceError):
    """The token was used already, or its invocation is over. Nothing was recorded."""

    def __init__(self) -> None:
        # The SDKs of AWS know that an invocation may be repeated by these very words.
        super().__init__("Invalid checkpoint token", field="CheckpointToken")


@dataclass(frozen=True, slots=True)
class CheckpointAnswer:
    """`token` is that of the next checkpoint, None when there can be none; `operations` what has changed, wire form."""

    token: str | None
    operations: Sequence[dict[str, Any]] = field(default=())


def record_checkpoint(
    token: CheckpointToken, updates: Sequence[OperationUpdate], *, client_token: str | None = None
) -> CheckpointAnswer:
    """Record all updates or none, and return every operation that has changed since the token was given out.

    Timers that are due fire first, so a running invocation sees them. Repeated with the same `client_token`, because
    its answer was lost, it gives the answer again.

    Raises:
        StaleCheckpointToken: it was used, or the lease is another's.
        InvalidInput: an update breaks a rule; nothing is recorded.
    """
    with transaction.atomic():
        execution = lock_execution(token.execution_id)
        if execution is None:
            raise StaleCheckpointToken
        if _was_taken_away(execution, token):
            return CheckpointAnswer(None)
        is_repeated = _is_repeated(execution, token, client_token)
        if not is_repeated and not _is_current(execution, token):
            raise StaleCheckpointToken
        answer, fold = _recorded(execution, token, () if is_repeated else updates, client_token, is_repeated)
    if fold is not None:
        keep_fold(fold)
    return answer


def check_current(token: CheckpointToken) -> None:
    """Raise StaleCheckpointToken unless the invocation that the token was given to still runs."""
    live = Execution.objects.filter(pk=token.execution_id, fence=token.fence, status=ExecutionStatus.RUNNING)
    if not live.filter(batch__gte=token.batch).exists():
        raise StaleCheckpointToken


def _recorded(
    execution: Execution,
    token: CheckpointToken,
    updates: Sequence[OperationUpdate],
    client_token: str | None,
    is_repeated: bool,
) -> tuple[CheckpointAnswer, Fold | None]:
    fold = take_fold(execution.pk)
    fired, pending = remote.fire_due_timers(execution)
    fold.read_on()
    maker = RemoteBatch(fold, fold.in_back_off() - pending)
    batch = maker.made_of(updates)
    remote.drop_timers(execution, maker.cancelled)
    if maker.outcome is not None:
        remote.close(execution, batch, maker.outcome)
        tell_parent_on_commit(execution)
        return CheckpointAnswer(None), None
    if not is_repeated:
        remote.record(execution, batch)
        Execution.objects.filter(pk=execution.pk).update(checkpoint_client_token=client_token)
    for child in batch.children:
        dispatch.publish_on_commit([UUID(child.execution_id)], queue=child.target.queue)
    fold.read_on()
    ready = fold.in_back_off() - pending - {timer.operation_id for timer in batch.timers}
    # A back-off that is over leaves no event. Whoever repeats a request is told again of every one.
    news = dict.fromkeys([*fold.changed_after(token.seen), *(ready if is_repeated else ready & fired)])
    next_token = CheckpointToken(execution.pk, token.fence, token.batch + 1, fold.last_event_id)
    operations = wire_operations(fold, news, ready, callback_id_for)
    return CheckpointAnswer(make_checkpoint_token(next_token), operations), fold


def _is_current(execution: Execution, token: CheckpointToken) -> bool:
    return (execution.status, execution.fence, execution.batch) == (
        ExecutionStatus.RUNNING,
        token.fence,
        token.batch,
    )


def _is_repeated(execution: Execution, token: CheckpointToken, client_token: str | None) -> bool:
    """Whether this very request was carried out last, and its answer got lost."""
    return client_token is not None and (
        execution.status,
        execution.fence,
        execution.batch,
        execution.checkpoint_client_token,
    ) == (ExecutionStatus.RUNNING, token.fence, token.batch + 1, client_token)


def _was_taken_away(execution: Execution, token: CheckpointToken) -> bool:
    """Whether the execution was paused, stopped or timed out under the invocation, whose token was the newest one."""
    return execution.status in ENDED_UNDER_IT and (execution.fence, execution.batch) == (token.fence + 1, token.batch)
