"""How a list is searched by what no index finds in its order: among a few if there are few, else by stretches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Q, QuerySet

from durable_engine.models import Callback, CallbackStatus, Execution, Timer, TimerKind
from durable_engine.models.execution import LIVE_STATUSES
from durable_engine.queries.any_of import AnyOf
from durable_engine.queries.filters import ExecutionFilters, matching, with_text
from durable_engine.queries.paging import Walk

FEW: Final = 500
MOST_WALKED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Search:
    """The executions that match; with a `walk` they have to be looked for in it."""

    rows: QuerySet[Execution]
    walk: Walk | None = None


def search(filters: ExecutionFilters) -> Search:
    """Return how to look for what matches, in at most three small queries."""
    for ids in _narrow(filters):
        few = list(ids[: FEW + 1])
        if len(few) <= FEW:
            return Search(Execution.objects.visible().filter(matching(filters), AnyOf(F("id"), few)))
    rows = Execution.objects.visible().filter(matching(filters))
    waiting = None if filters.waiting in _WAITING else filters.waiting
    helped = replace(filters, text=None, version=None, tags=(), waiting=waiting, root=None)
    if helped.status and helped.function:
        # Either has an index in the order of the list, both together have none.
        of_function = replace(helped, status=None)
        helped = of_function if _is_short(of_function) else replace(helped, function=None)
    if helped == filters:
        return Search(rows)
    return Search(rows, Walk(Execution.objects.visible().filter(matching(helped)), MOST_WALKED))


def _is_short(filters: ExecutionFilters) -> bool:
    """Whether all of a list may be looked through."""
    return not Execution.objects.filter(matching(filters)).order_by("-created_at")[MOST_WALKED:].exists()


def _narrow(filters: ExecutionFilters) -> list[QuerySet[Any, UUID]]:
    """The ids that one filter alone allows, where an index has them; not in the order of the list."""
    found: list[QuerySet[Any, UUID]] = []
    if filters.text:
        found.append(_ids(with_text(filters.text)))
    if filters.tags:
        found.append(_ids(Q(tags__contains=dict(filters.tags))))
    if filters.waiting in _WAITING:
        found.append(_WAITING[filters.waiting]())
    return found[:2]


def _ids(condition: Q) -> QuerySet[Execution, UUID]:
    return Execution.objects.filter(condition).order_by().values_list("pk", flat=True)


def _of_timers(kind: TimerKind) -> QuerySet[Timer, UUID]:
    return Timer.objects.filter(kind=kind).order_by().values_list("execution_id", flat=True)


def _of_callbacks() -> QuerySet[Callback, UUID]:
    open_ones = Callback.objects.filter(status=CallbackStatus.STARTED)
    return open_ones.order_by().values_list("execution_id", flat=True)


def _of_children() -> QuerySet[Execution, UUID | None]:
    open_ones = Execution.objects.filter(status__in=LIVE_STATUSES, parent_execution_id__isnull=False)
    return open_ones.order_by().values_list("parent_execution_id", flat=True)


_WAITING: Final[Mapping[str | None, Callable[[], QuerySet[Any, Any]]]] = {
    "timer": lambda: _of_timers(TimerKind.WAIT),
    "retry": lambda: _of_timers(TimerKind.RETRY),
    "condition": lambda: _of_timers(TimerKind.CONDITION),
    "callback": _of_callbacks,
    "child": _of_children,
}
