"""Bulk actions for people: what one would do, how far it is, and what became of each execution. No locks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject

from durable_engine.models import BulkAction, BulkItem, BulkItemStatus, Execution, Timer, TimerKind
from durable_engine.models.visible import narrowed_viewer_id
from durable_engine.queries.any_of import AnyOf
from durable_engine.queries.bulk_options import BulkOptions, needs_operation
from durable_engine.queries.masking import masked_keys_of_many
from durable_engine.queries.named_operations import FoundOperation, chosen_operation, found_operations
from durable_engine.queries.paging import MAX_LIMIT, Page, page_of
from durable_engine.queries.refusals import RULES, Refusal

UNNAMED: Final = Refusal("It is not said yet on which operation.", "Name it first.")
GONE: Final = Refusal("There is no such execution any more.")
# Of what the execution has to wait for the action to apply, and what is said when it does not.
WAITED_FOR: Final = {
    "retry": (TimerKind.RETRY, Refusal("No step of the execution is waiting for a retry.")),
    "skip": (TimerKind.WAIT, Refusal("No wait of the execution is under way.")),
}
# Of so many executions the histories are read for a preview.
MOST_READ: Final = 5_000
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
    """What a bulk action would do if it were carried out now; an estimate, as executions go on meanwhile.

    `unseen` executions were not looked at: where histories have to be read, only those of the first ones are.
    """

    would_act: int
    refused: Sequence[RefusedGroup]
    unseen: int = 0


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
    """Return what a bulk action would do to the executions it has not come to; None if there is none.

    Three queries; five for an action on an operation.
    """
    row = _bulk_actions().filter(pk=bulk_action_id).values_list("action", "options").first()
    if row is None:
        return None
    action, options = row
    items = BulkItem.objects.filter(bulk_action_id=bulk_action_id, status=BulkItemStatus.PENDING)
    total = items.count()
    if needs_operation(action):
        groups = _by_operation(items, action, BulkOptions.of_json(options))
    else:
        groups = _by_status(items, action)
        groups += Counter({GONE: total - groups.total()})
    refused = [RefusedGroup(*refusal, count) for refusal, count in groups.most_common() if refusal is not None]
    return BulkPreview(groups[None], refused, unseen=total - groups.total())


def masked_keys_of_bulk(bulk_action_id: UUID) -> frozenset[str]:
    """Return the keys that are hidden in payloads of any of its executions. One query."""
    items = BulkItem.objects.filter(bulk_action_id=bulk_action_id).order_by()
    return masked_keys_of_many(items.values_list("function", flat=True))


def _bulk_actions() -> QuerySet[BulkAction]:
    """All of them; to people who don't see every execution only those that they made themselves."""
    user_id = narrowed_viewer_id()
    return BulkAction.objects.all() if user_id is None else BulkAction.objects.filter(user_id=user_id)


def _by_status(items: QuerySet[BulkItem], action: str) -> Counter[Refusal | None]:
    """How many executions there are by what is said of them; those that are gone are not among them."""
    executions = Execution.objects.filter(pk__in=items.values("execution_id"))
    kind, _ = WAITED_FOR.get(action, WAITED_FOR["retry"])
    waits = Exists(Timer.objects.filter(execution_id=OuterRef("pk"), kind=kind))
    grouped = (
        executions.annotate(went_on=Q(superseded_by__isnull=False), waits=waits)
        .values_list("status", "went_on", "waits")
        .annotate(n=Count("pk"))
        .order_by("status")
    )
    found: Counter[Refusal | None] = Counter()
    for *standing, count in grouped:
        found[_refusal(action, *standing)] += count
    return found


def _by_operation(items: QuerySet[BulkItem], action: str, options: BulkOptions) -> Counter[Refusal | None]:
    """The same of the first executions, whose histories are read; gone ones are among them."""
    if not options.operation:
        return Counter({UNNAMED: items.count()})
    ids = list(items.order_by("position").values_list("execution_id", flat=True)[:MOST_READ])
    rows = Execution.objects.filter(AnyOf(F("pk"), ids)).values_list("pk", "status", "superseded_by")
    standing = {pk: _Standing(status, superseded_by) for pk, status, superseded_by in rows}
    operations = found_operations(ids, options)
    return Counter(_refusal_at(action, standing.get(pk), options, operations.get(pk, ())) for pk in ids)


def _refusal_at(
    action: str, standing: _Standing | None, options: BulkOptions, operations: Sequence[FoundOperation]
) -> Refusal | None:
    if standing is None:
        return GONE
    if (refusal := _refusal(action, standing.status, standing.superseded_by is not None, waits=True)) is not None:
        return refusal
    chosen = chosen_operation(action, standing.status, options, operations)
    return chosen if isinstance(chosen, Refusal) else None


def _refusal(action: str, status: str, went_on: bool, waits: bool) -> Refusal | None:
    # What is run again starts anew, however the one before stands.
    rule = RULES.get(action)
    refusal = None if rule is None else rule(_Standing(status, SUPERSEDED if went_on else None))
    if refusal is not None and str(SUPERSEDED) in refusal.reason:
        return Refusal("The execution goes on as another one already.", refusal.fix)
    return WAITED_FOR[action][1] if refusal is None and action in WAITED_FOR and not waits else refusal
