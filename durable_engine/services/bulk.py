"""One action on many executions: choose and freeze them, look at what it would do, try it on a few, carry it out.

Each execution is acted on by the service of the action, in a transaction of its own that also records what became of
it: exactly once, whatever crashes. The scheduler does it; nothing here waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from durable_engine import dispatch
from durable_engine.models import BulkAction, BulkItem, BulkItemStatus, BulkStatus, Execution
from durable_engine.queries.bulk_options import BulkOptions, needs_operation, options_revision
from durable_engine.queries.filters import ExecutionFilters, matching
from durable_engine.services import executions
from durable_engine.services.actors import Actor
from durable_engine.services.audit import LABEL_LENGTH, record_audit
from durable_engine.services.bulk_options import check_complete, checked_options, operation_for
from durable_engine.services.copies import fork_execution, redrive_execution, rerun_execution, rewind_execution
from durable_engine.services.deletions import delete_execution
from durable_engine.services.exceptions import ActionRefused, BulkActionNotFound, DurableServiceError, InvalidInput
from durable_engine.services.operations import complete_operation, skip_all_waits
from durable_engine.services.starts import StartedExecution
from durable_engine.services.validation import checked_reason
from durable_engine.storage import bulk
from durable_engine.storage.clock import ClockTimestamp
from durable_engine.storage.locks import lock_execution
from durable_engine.storage.server import is_away

MAX_ITEMS: Final = 100_000

logger = logging.getLogger(__name__)

PERMISSIONS: Final[Mapping[str, str]] = {
    "stop": "durable_engine.stop_execution",
    "pause": "durable_engine.operate_execution",
    "resume": "durable_engine.operate_execution",
    "retry": "durable_engine.operate_execution",
    "skip": "durable_engine.operate_execution",
    "complete": "durable_engine.operate_execution",
    "redrive": "durable_engine.operate_execution",
    "rewind": "durable_engine.operate_execution",
    "fork": "durable_engine.start_execution",
    "rerun": "durable_engine.start_execution",
    "delete": "durable_engine.delete_execution",
}
"""The actions that exist for many, and the right that each needs; whoever starts, continues or cancels one has it."""


@transaction.atomic
def create_bulk_action(
    action: str,
    *,
    actor: Actor,
    execution_ids: Sequence[UUID] | None = None,
    filters: ExecutionFilters | None = None,
    reason: str = "",
    options: BulkOptions | None = None,
) -> UUID:
    """Freeze the executions that an action is for: those listed, or all that match now. Nothing is done to them yet.

    `queries.bulk.bulk_preview` tells what would happen; `start_bulk_action` begins. A draft that nobody starts is
    deleted after a day. `options` that are not known yet can be given with `change_bulk_options`.

    Listed ones keep their order, those that match are taken newest first.

    Raises:
        InvalidInput: no such action, no execution or more than 100,000 of them, or options that it can't have.
    """
    if action not in PERMISSIONS:
        raise InvalidInput("action", f"{action!r} does not exist for many.", f"Choose of {', '.join(PERMISSIONS)}.")
    if (execution_ids is None) == (filters is None):
        raise InvalidInput("execution_ids", "give a list of executions or a filter.")
    bulk_action = BulkAction.objects.create(
        action=action,
        options=checked_options(action, options or BulkOptions()).to_json(),
        selection={} if filters is None else _plain(filters),
        reason=checked_reason(reason),
        user_id=actor.user_id,
        actor=actor.label[:LABEL_LENGTH],
        channel=actor.channel,
    )
    bulk_action.total = _freeze(bulk_action, execution_ids, filters)
    if not bulk_action.total:
        raise InvalidInput("execution_ids", "there is no such execution.", "Choose at least one.")
    if bulk_action.total > MAX_ITEMS:
        raise InvalidInput("filters", f"more than {MAX_ITEMS:,} executions match.", "Narrow the filter.")
    bulk_action.save(update_fields=["total"])
    return bulk_action.pk


@transaction.atomic
def change_bulk_options(bulk_action_id: UUID, options: BulkOptions) -> None:
    """Give a bulk action that nobody has started other options.

    Raises:
        BulkActionNotFound: there is none with this id.
        ActionRefused: it was started or cancelled already.
        InvalidInput: options that it can't have.
    """
    bulk_action = _locked(bulk_action_id, BulkStatus.DRAFT)
    checked = checked_options(bulk_action.action, options)
    BulkAction.objects.filter(pk=bulk_action_id).update(options=checked.to_json())


@transaction.atomic
def start_bulk_action(
    bulk_action_id: UUID,
    *,
    actor: Actor,
    canary: int | None = None,
    reason: str | None = None,
    seen_options: str | None = None,
) -> None:
    """Begin; with `canary`, only the first so many: then it is held until somebody continues or cancels it.

    `reason` takes the place of the one it was drawn up with. `seen_options` is the `options_revision` that the person
    has seen the preview of.

    Raises:
        BulkActionNotFound: there is none with this id.
        ActionRefused: it was started or cancelled already, its options have changed, or its operation isn't named.
        InvalidInput: `canary` is not a whole number from 1, or the reason can't be accepted.
    """
    if canary is not None and (type(canary) is not int or canary < 1):
        raise InvalidInput("canary", f"{canary!r} is not a number of executions.", "Give a whole number from 1.")
    bulk_action = _locked(bulk_action_id, BulkStatus.DRAFT)
    if seen_options is not None and seen_options != options_revision(bulk_action.options):
        raise ActionRefused("Somebody has changed what it would do since you looked.", fix="Look at it again.")
    check_complete(bulk_action.action, BulkOptions.of_json(bulk_action.options))
    if reason is not None:
        bulk_action.reason = checked_reason(reason)
    BulkAction.objects.filter(pk=bulk_action_id).update(
        status=BulkStatus.RUNNING,
        stop_after=canary if canary is not None and canary < bulk_action.total else None,
        started_at=ClockTimestamp(),
        reason=bulk_action.reason,
        # Whoever starts it acts, whoever drew it up.
        user_id=actor.user_id,
        actor=actor.label[:LABEL_LENGTH],
        channel=actor.channel,
    )
    _record(actor, "start_bulk_action", bulk_action, canary=canary)


@transaction.atomic
def continue_bulk_action(bulk_action_id: UUID, *, actor: Actor) -> None:
    """Let a bulk action that is held after its first few do the rest.

    Raises:
        BulkActionNotFound: there is none with this id.
        ActionRefused: it isn't held.
    """
    bulk_action = _locked(bulk_action_id, BulkStatus.HELD)
    BulkAction.objects.filter(pk=bulk_action_id).update(status=BulkStatus.RUNNING, stop_after=None)
    _record(actor, "continue_bulk_action", bulk_action)


@transaction.atomic
def cancel_bulk_action(bulk_action_id: UUID, *, actor: Actor, reason: str = "") -> None:
    """Let a bulk action do nothing more. What it has done stays done.

    Raises:
        BulkActionNotFound: there is none with this id.
        ActionRefused: it is done or cancelled already.
    """
    reason = checked_reason(reason)
    bulk_action = _locked(bulk_action_id, BulkStatus.DRAFT, BulkStatus.RUNNING, BulkStatus.HELD)
    BulkAction.objects.filter(pk=bulk_action_id).update(status=BulkStatus.CANCELLED, finished_at=ClockTimestamp())
    cancelled = bulk.cancel_items(bulk_action_id)
    _record(actor, "cancel_bulk_action", bulk_action, reason=reason, cancelled=cancelled)


@transaction.atomic
def carry_out_item(bulk_action_id: UUID, position: int) -> bool:
    """Act on one execution and record what became of it, in one transaction. For the sweep; returns whether it did."""
    item = bulk.lock_item(bulk_action_id, position)
    if item is None or _is_held(item.execution_id):
        return False
    status, message, result_id = _acted_on(item)
    BulkItem.objects.filter(bulk_action_id=bulk_action_id, position=position).update(
        status=status, message=message.replace("\x00", ""), result_id=result_id, done_at=ClockTimestamp()
    )
    return True


def _freeze(bulk_action: BulkAction, execution_ids: Sequence[UUID] | None, filters: ExecutionFilters | None) -> int:
    if execution_ids is not None:
        return bulk.freeze_listed(bulk_action, list(dict.fromkeys(execution_ids))[: MAX_ITEMS + 1])
    chosen = Execution.objects.visible().filter(matching(filters or ExecutionFilters())).order_by("-created_at", "-pk")
    return bulk.freeze_matching(bulk_action, chosen, MAX_ITEMS + 1)


def _is_held(execution_id: UUID) -> bool:
    """Lock the execution; whether somebody else has: its turn comes again, and no timer waits for them meanwhile."""
    return lock_execution(execution_id, skip_locked=True) is None and Execution.objects.filter(pk=execution_id).exists()


def _acted_on(item: BulkItem) -> tuple[BulkItemStatus, str, UUID | None]:
    try:
        # A savepoint: what a refused action has changed goes, and the outcome is still recorded.
        with transaction.atomic():
            return BulkItemStatus.DONE, "", _act(item)
    except DurableServiceError as refusal:
        return BulkItemStatus.REFUSED, str(refusal), None
    except Exception as problem:
        if is_away(problem):
            raise
        logger.exception("bulk action %s, execution %s", item.bulk_action_id, item.execution_id)
        return BulkItemStatus.FAILED, f"{type(problem).__name__}: {problem}", None


def _act(item: BulkItem) -> UUID | None:
    bulk_action = item.bulk_action
    options = BulkOptions.of_json(bulk_action.options)
    actor = Actor(bulk_action.actor, bulk_action.user_id, bulk_action.channel)
    target: tuple[UUID | str, ...] = (item.execution_id,)
    if needs_operation(bulk_action.action):
        target = (item.execution_id, operation_for(item.execution_id, bulk_action.action, options))
    service, arguments = _SERVICES[bulk_action.action], options.arguments(bulk_action.action)
    started = service(*target, actor=actor, reason=bulk_action.reason, **arguments)
    return None if started is None else started.id


_SERVICES: Final[Mapping[str, Callable[..., StartedExecution | None]]] = {
    "stop": executions.stop_execution,
    "pause": executions.pause_execution,
    "resume": executions.resume_execution,
    "retry": executions.retry_all_now,
    "skip": skip_all_waits,
    "complete": complete_operation,
    "redrive": redrive_execution,
    "rewind": rewind_execution,
    "fork": fork_execution,
    "rerun": rerun_execution,
    "delete": delete_execution,
}


def _locked(bulk_action_id: UUID, *wanted: BulkStatus) -> BulkAction:
    bulk_action = BulkAction.objects.select_for_update(of=("self",)).filter(pk=bulk_action_id).first()
    if bulk_action is None:
        raise BulkActionNotFound(bulk_action_id)
    if bulk_action.status not in wanted:
        raise ActionRefused(f"The bulk action is {BulkStatus(bulk_action.status).label.lower()}.")
    return bulk_action


def _record(actor: Actor, action: str, bulk_action: BulkAction, *, reason: str = "", **facts: object) -> None:
    details = {"bulk_action_id": str(bulk_action.pk), "action": bulk_action.action, "executions": bulk_action.total}
    details |= BulkOptions.of_json(bulk_action.options).facts
    reason = reason or bulk_action.reason
    record_audit(actor, action, execution_id=None, reason=reason, details=details | facts)
    transaction.on_commit(lambda: dispatch.poke_scheduler(0), robust=True)


def _plain(filters: ExecutionFilters) -> dict[str, Any]:
    """For people: what is narrowed, in words."""
    values = asdict(filters) | {"tags": ", ".join(":".join(tag) for tag in filters.tags)}
    return {name: str(value) for name, value in values.items() if value not in {None, ""}}
