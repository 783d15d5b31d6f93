"""Who did what, newest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from durable_engine.models import AuditEntry
from durable_engine.queries.paging import Page, page_of
from durable_engine.storage import audit

EXPORT_BATCH: Final = 1_000


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


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """What the audit is narrowed to. `actor` is the whole label; `since` is the first moment, `until` the one after."""

    actor: str | None = None
    action: str | None = None
    channel: str | None = None
    execution_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    def condition(self) -> Q:
        """Return it as the ORM takes it."""
        given = {
            "actor": self.actor,
            "action": self.action,
            "channel": self.channel,
            "execution_id": self.execution_id,
            "at__gte": self.since,
            "at__lt": self.until,
        }
        return Q(**{name: value for name, value in given.items() if value is not None})


def list_audit_entries(
    cursor: str | None = None,
    limit: int = 50,
    *,
    execution_id: UUID | None = None,
    filters: AuditFilters | None = None,
) -> Page[AuditView]:
    """Return a page of actions, newest first, of one execution if it is given, or of those that match."""
    condition = (filters or AuditFilters(execution_id=execution_id)).condition()
    listed = AuditEntry.objects.filter(condition).values_list(*_FIELDS, named=True)
    return page_of(listed, cursor, limit, field="at", descending=True, make=lambda row: AuditView(*row))


def all_audit_entries(filters: AuditFilters, most: int) -> Iterator[AuditView]:
    """Yield what matches, newest first, up to `most`, read a thousand at a time."""
    cursor: str | None = None
    while most > 0:
        page = list_audit_entries(cursor, min(EXPORT_BATCH, most), filters=filters)
        yield from page.items
        most -= len(page.items)
        cursor = page.next
        if cursor is None:
            return


def audited_actions() -> list[str]:
    """Return the names of all actions in the audit, sorted: by jumps over the index, however long the audit is."""
    return audit.distinct_actions()
