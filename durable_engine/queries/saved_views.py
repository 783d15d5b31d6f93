"""The saved views that a person sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db.models import F, Q

from durable_engine.models import SavedView

EXECUTIONS: Final = "executions"
APPROVALS: Final = "approvals"


@dataclass(frozen=True, slots=True)
class SavedViewRow:
    """One view. `owner` is the name of who keeps it."""

    id: UUID
    name: str
    query: str
    is_shared: bool
    owner_id: int
    owner: str


def views_for(user_id: int, page: str = EXECUTIONS) -> list[SavedViewRow]:
    """Return one's own views of a list and those that others share, by name."""
    mine = Q(owner_id=user_id) | Q(is_shared=True)
    rows = SavedView.objects.filter(mine, page=page).annotate(owner_name=F("owner__username"))
    fields = ("id", "name", "query", "is_shared", "owner_id", "owner_name")
    return [SavedViewRow(*row) for row in rows.order_by("name", "id").values_list(*fields)]
