"""Who looked at masked fields, and why."""

from __future__ import annotations

from uuid import UUID

from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.validation import checked_reason


def reveal_payload(execution_id: UUID, what: str, *, actor: Actor, reason: str = "") -> None:
    """Record that somebody is shown the masked fields of a payload; show it only after this has returned.

    Raises:
        InvalidInput: the reason can't be accepted.
    """
    record_audit(
        actor, "reveal_payload", execution_id=execution_id, reason=checked_reason(reason), details={"what": what[:100]}
    )
