"""Writes the audit, in the transaction of the action it records: an action without its entry can't happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from durable_engine.models import AuditEntry
from durable_engine.services.actors import Actor

LABEL_LENGTH = AuditEntry._meta.get_field("actor").max_length


def record_audit(
    actor: Actor,
    action: str,
    *,
    execution_id: UUID,
    operation_id: str | None = None,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record one action. `details` are small facts for people, never a payload."""
    record_audit_of_many(actor, action, [execution_id], operation_id=operation_id, reason=reason, details=details)


def record_audit_of_many(
    actor: Actor,
    action: str,
    execution_ids: Sequence[UUID],
    *,
    operation_id: str | None = None,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record one action on each of several executions, in one statement."""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            user_id=actor.user_id,
            actor=actor.label[:LABEL_LENGTH],
            channel=actor.channel,
            action=action,
            execution_id=execution_id,
            operation_id=operation_id,
            reason=reason,
            details=dict(details or {}),
        )
        for execution_id in execution_ids
    )
