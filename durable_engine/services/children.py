"""Tell the execution that invoked another one how that ended."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from durable_engine import dispatch
from durable_engine.models import Execution
from durable_engine.storage import children
from durable_engine.storage.children import Told
from durable_engine.storage.connection import EngineConnection


def tell_parent(connection: EngineConnection, execution_id: UUID) -> bool:
    """Give the parent of an execution that has ended its outcome, and wake it. Returns whether anybody was told.

    Does nothing for an execution without a parent, and nothing when called again.
    """
    # Without waiting: a worker goes on with whatever is ready, and the sweep is not in a hurry.
    return _hinted(children.tell_parent(connection, execution_id), wait=False)


def tell_parent_on_commit(execution: Execution) -> None:
    """Tell the parent when the current transaction, which ends the execution, has been committed.

    If the process dies before it can, the scheduler does it.
    """
    if execution.parent_execution_id is not None:
        _tell_on_commit(execution.pk)


def move_children(source: Execution, successor_id: UUID, operation_ids: Sequence[str]) -> None:
    """Let a locked execution that goes on as another one hear there how its open invokes end, or ended already."""
    for ended in children.move_children(source.pk, successor_id, operation_ids):
        _tell_on_commit(ended)


def _tell_on_commit(execution_id: UUID) -> None:
    transaction.on_commit(lambda: _hinted(children.tell_parent_from_outside(execution_id)), robust=True)


def _hinted(told: Told | None, *, wait: bool = True) -> bool:
    if told is not None and told.wants_hint:
        dispatch.publish([told.execution_id], queue=told.queue, wait=wait)
    return told is not None
