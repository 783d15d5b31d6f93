"""Delete executions that have ended, by hand and when their retention is over. What the audit tells of them stays."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from durable_engine.models import Execution
from durable_engine.queries.refusals import not_deleted
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.exceptions import ActionRefused
from durable_engine.services.targets import locked_execution, refuse
from durable_engine.services.validation import checked_reason
from durable_engine.storage import deletions


@transaction.atomic
def delete_execution(execution_id: UUID, *, actor: Actor, reason: str = "", seen_revision: str | None = None) -> None:
    """Delete an execution that has ended, with its history; its name is free again unless another one has it.

    Executions that it invoked or that came of it stay.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: it is live, its parent hasn't been told of its end yet, or ids of its callbacks complete
            callbacks of a live execution that goes on from it.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason = checked_reason(reason)
    execution = locked_execution(execution_id, seen_revision)
    refuse(not_deleted(execution))
    if execution.parent_execution_id is not None and not execution.parent_notified:
        raise ActionRefused("The execution that invoked it hasn't been told of its end yet.", fix="Try again soon.")
    if deletions.has_callbacks_in_use(execution_id):
        raise ActionRefused(
            f"People hold ids of its callbacks, which execution {execution.superseded_by} waits for.",
            fix="Delete it when that one has ended.",
        )
    details = {"function": execution.function, "name": execution.name, "status": execution.status}
    record_audit(actor, "delete_execution", execution_id=execution_id, reason=reason, details=details)
    _delete([execution_id])


@transaction.atomic
def delete_expired_executions(default_retention_seconds: float | None) -> bool:
    """Delete some of the executions whose retention is over; returns whether there may be more. For the sweep.

    The retention is that of the version they ran with, or the default; None keeps them for ever.
    """
    ids, is_full = deletions.lock_expired(default_retention_seconds)
    _delete(ids)
    return is_full


def _delete(execution_ids: list[UUID]) -> None:
    # By the ORM, so that what installed apps hang on executions goes, or refuses, as they declared it.
    if execution_ids:
        Execution.objects.filter(pk__in=execution_ids).delete()
