"""Requests that a client repeats because it did not hear the answer: known by the token it made for the request.

The token is in the audit entry of the action, so it was done if and only if the action was.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Value

from durable_engine.models import AuditEntry
from durable_engine.storage.clock import ClockTimestamp

REMEMBERED_FOR: Final = timedelta(minutes=15)


def was_done(action: str, execution_id: UUID, client_token: str | None) -> bool:
    """Whether a request with this token was carried out in the last 15 minutes. The execution must be locked."""
    if client_token is None:
        return False
    recent = AuditEntry.objects.filter(
        execution_id=execution_id, action=action, at__gt=ClockTimestamp() - Value(REMEMBERED_FOR)
    )
    return recent.filter(details__client_token=client_token).exists()


def marked(client_token: str | None) -> dict[str, str]:
    """Return what the audit entry of the action has to carry."""
    return {} if client_token is None else {"client_token": client_token}
