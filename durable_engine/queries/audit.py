"""Who did what, newest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from durable_engine.models import AuditEntry
from durable_engine.queries.paging import Page, page_of


@dataclass(frozen=True, slots=True)
class AuditView:
    """One action. `user_id` is None for programs and after the user is deleted; `actor` stays."""

    id: UUID
    at: datetime
    user_id: int | None
    actor: str
    channel: str
    action: str
    execution_id: UUID | None
    operation_id: str | None
    reason: str
    details: Mapping[str, Any]


_FIELDS = tuple(AuditView.__dataclass_fields__)


def list_audit_entries(
    cursor: str | None = None, limit: int = 50, *, execution_id: UUID | None = None
) -> Page[AuditView]:
    """Return a page of actions, newest first, of one execution if it is given."""
    rows = AuditEntry.objects.all() if execution_id is None else AuditEntry.objects.filter(execution_id=execution_id)
    listed = rows.values_list(*_FIELDS, named=True)
    return page_of(listed, cursor, limit, field="at", descending=True, make=lambda row: AuditView(*row))
