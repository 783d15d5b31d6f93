"""The execution that an action is about: locked, found as the caller saw it, and in a state that the action bears."""

from __future__ import annotations

from uuid import UUID

from durable_engine.models import Execution
from durable_engine.queries.executions import revision_of
from durable_engine.queries.refusals import Refusal
from durable_engine.services.exceptions import ActionRefused, ExecutionNotFound, StaleRevision
from durable_engine.storage.locks import lock_execution


def locked_execution(execution_id: UUID, seen_revision: str | None) -> Execution:
    """Lock an execution until the end of the transaction and return it as it now stands.

    Raises:
        ExecutionNotFound: there is no such execution.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    execution = lock_execution(execution_id)
    if execution is None:
        raise ExecutionNotFound(execution_id)
    revision = revision_of(execution)
    if seen_revision is not None and seen_revision != revision:
        raise StaleRevision(execution_id, execution.status, revision)
    return execution


def refuse(refusal: Refusal | None) -> None:
    """Raise what a rule of `queries.refusals` found.

    Raises:
        ActionRefused: with its reason and fix.
    """
    if refusal is not None:
        raise ActionRefused(refusal.reason, fix=refusal.fix)
