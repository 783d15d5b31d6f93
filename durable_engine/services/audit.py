"""Writes the audit, in the transaction of the action it records: an action without its entry can't happen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from durable_engine.models import AuditEntry
from durable_engine.services.actors import Actor
from durable_engine.storage.audit import AuditFacts

LABEL_LENGTH = AuditEntry._meta.get_field("actor").max_length


def audit_facts(actor: Actor, action: str, *, reason: str = "", details: Mapping[str, Any] | None = None) -> AuditFacts:
    """Return an entry for a statement that writes it itself."""
    return AuditFacts(
        actor.user_id, actor.label[:LABEL_LENGTH], actor.channel, action, reason, json.dumps(dict(details or {}))
    )


def record_audit(
    actor: Actor,
    action: str,
    *,
    execution_id: UUID | None = None,
    operation_id: str | None = None,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Record one action, on an execution or not. `details` are small facts for people, never a payload."""
    record_audit_of_many(actor, action, [execution_id], operation_id=operation_id, reason=reason, details=details)


def record_audit_of_many(
    actor: Actor,
    action: str,
    execution_ids: Sequence[UUID | None],
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
