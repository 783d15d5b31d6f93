"""Bulk actions for people: what one would do, how far it is, and what became of each execution. No locks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject

from durable_engine.models import BulkAction, BulkItem, BulkItemStatus, Execution, Timer, TimerKind
from durable_engine.models.visible import narrowed_viewer_id
from durable_engine.queries.paging import MAX_LIMIT, Page, page_of
from durable_engine.queries.refusals import RULES, Refusal

GONE: Final = Refusal("There is no such execution any more.")
# Of what the execution has to wait for the action to apply, and what is said when it does not.
WAITED_FOR: Final = {
    "retry": (TimerKind.RETRY, Refusal("No step of the execution is waiting for a retry.")),
    "skip": (TimerKind.WAIT, Refusal("No wait of the execution is under way.")),
}
SUPERSEDED: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class BulkActionView:
    """A bulk action as it stands. `stop_after` is the position at which it is held; `counts` are items by status."""

    id: UUID
    action: str
    options: Mapping[str, Any]
    selection: Mapping[str, str]
    reason: str
    status: str
    total: int
    stop_after: int | None
    actor: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many executions it is through with, whatever became of them."""
        return sum(self.counts.values()) - self.counts.get(BulkItemStatus.PENDING, 0)


@dataclass(frozen=True, slots=True)
class BulkItemView:
    """One execution of a bulk action, and what became of it. `result_id` is the execution that came of it."""

    position: int
    execution_id: UUID
    function: str
    name: str
    status: str
    message: str
    result_id: UUID | None
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class RefusedGroup:
    """Executions to which the action does not apply, for the same reason."""

    reason: str
    fix: str
    count: int


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """What a bulk action would do if it were carried out now; an estimate, as executions go on meanwhile."""

    would_act: int
    refused: Sequence[RefusedGroup]


@dataclass(frozen=True, slots=True)
class _Standing:
    status: str
    superseded_by: UUID | None


_FIELDS: Final = tuple(name for name in BulkActionView.__dataclass_fields__ if name != "counts")
_ITEM_FIELDS: Final = tuple(BulkItemView.__dataclass_fields__)


def bulk_action(bulk_action_id: UUID) -> BulkActionView | None:
    """Return one bulk action with its counts; None if there is none. One query: a refresh needs no more."""
    items = BulkItem.objects.filter(bulk_action_id=OuterRef("pk")).order_by().values("status")
    counted = ArraySubquery(items.annotate(n=Count("position")).values(pair=JSONObject(status="status", n="n")))
    rows = _bulk_actions().filter(pk=bulk_action_id).annotate(counted=counted)
    row = rows.values_list(*_FIELDS, "counted").first()
    if row is None:
        return None
    *columns, pairs = row
    return replace(BulkActionView(*columns), counts={pair["status"]: pair["n"] for pair in pairs})


def list_bulk_actions(cursor: str | None = None, limit: int = 50) -> Page[BulkActionView]:
    """Return a page of bulk actions, newest first, without their counts."""
    rows = _bulk_actions().values_list(*_FIELDS, named=True)
    return page_of(rows, cursor, limit, field="created_at", descending=True, make=lambda row: BulkActionView(*row))


def bulk_items(
    bulk_action_id: UUID, *, after: int = 0, limit: int = 50, status: str | None = None
) -> list[BulkItemView]:
    """Return items in their order, from after a position, of one status if it is given."""
    rows = BulkItem.objects.filter(bulk_action_id=bulk_action_id, position__gt=after)
    rows = rows if status is None else rows.filter(status=status)
    listed = rows.order_by("position").values_list(*_ITEM_FIELDS)[: max(1, min(limit, MAX_LIMIT))]
    return [BulkItemView(*row) for row in listed]


def bulk_preview(bulk_action_id: UUID) -> BulkPreview | None:
    """Return what a bulk action would do to the executions it has not come to; None if there is none. Two queries."""
    action = _bulk_actions().filter(pk=bulk_action_id).values_list("action", flat=True).first()
    if action is None:
        return None
    would_act = 0
    refused: dict[Refusal, int] = {}
    for count, refusal in _groups(bulk_action_id, action):
        if refusal is None:
            would_act += count
        else:
            refused[refusal] = refused.get(refusal, 0) + count
    groups = [RefusedGroup(refusal.reason, refusal.fix, count) for refusal, count in refused.items()]
    return BulkPreview(would_act, sorted(groups, key=lambda group: -group.count))


def _bulk_actions() -> QuerySet[BulkAction]:
    """All of them; to people who don't see every execution only those that they made themselves."""
    user_id = narrowed_viewer_id()
    return BulkAction.objects.all() if user_id is None else BulkAction.objects.filter(user_id=user_id)


def _groups(bulk_action_id: UUID, action: str) -> list[tuple[int, Refusal | None]]:
    mine = BulkItem.objects.filter(bulk_action_id=bulk_action_id, status=BulkItemStatus.PENDING)
    executions = Execution.objects.filter(pk__in=mine.values("execution_id"))
    kind, _ = WAITED_FOR.get(action, WAITED_FOR["retry"])
    waits = Exists(Timer.objects.filter(execution_id=OuterRef("pk"), kind=kind))
    grouped = (
        executions.annotate(went_on=Q(superseded_by__isnull=False), waits=waits)
        .values_list("status", "went_on", "waits")
        .annotate(n=Count("pk"))
        .order_by("status")
    )
    found = [(count, _refusal(action, *standing)) for *standing, count in grouped]
    gone = mine.count() - sum(count for count, _ in found)
    return [*found, (gone, GONE)] if gone else found


def _refusal(action: str, status: str, went_on: bool, waits: bool) -> Refusal | None:
    # What is run again starts anew, however the one before stands.
    rule = RULES.get(action)
    refusal = None if rule is None else rule(_Standing(status, SUPERSEDED if went_on else None))
    if refusal is not None and str(SUPERSEDED) in refusal.reason:
        return Refusal("The execution goes on as another one already.", refusal.fix)
    return WAITED_FOR[action][1] if refusal is None and action in WAITED_FOR and not waits else refusal
