"""Change the tags by which an execution is found."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from durable_engine.models import Execution
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.targets import locked_execution
from durable_engine.services.validation import checked_reason, checked_tags


@transaction.atomic
def change_tags(
    execution_id: UUID,
    *,
    actor: Actor,
    tags: Mapping[str, str],
    reason: str = "",
    seen_revision: str | None = None,
) -> None:
    """Give an execution, live or ended, these tags in place of those it has.

    Raises:
        ExecutionNotFound: there is no such execution.
        InvalidInput: the tags or the reason can't be accepted.
        StaleRevision: `seen_revision` was given and the execution has moved on.
    """
    reason, wanted = checked_reason(reason), checked_tags(tags)
    execution = locked_execution(execution_id, seen_revision)
    Execution.objects.filter(pk=execution_id).update(tags=wanted)
    changed = sorted(key for key in wanted.keys() | execution.tags.keys() if wanted.get(key) != execution.tags.get(key))
    record_audit(actor, "change_tags", execution_id=execution_id, reason=reason, details={"changed": changed})
