"""Concurrency limits for people: who has the places that an execution waits for. No locks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q

from durable_engine.models import Execution, ExecutionStatus, Slot
from durable_engine.models.visible import visible_condition
from durable_engine.queries.executions import ExecutionSummary

MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class PlaceHolder:
    """An execution that takes up a place of a limit, and since when. `is_visible`: who looks may see it."""

    execution_id: UUID
    function: str
    name: str
    status: str
    since: datetime
    is_visible: bool = True


@dataclass(frozen=True, slots=True)
class LimitInUse:
    """A limit of which places are taken, or for which executions wait. `key` is the function, or function/key."""

    key: str
    taken: int
    blocked: int


def limits_in_use(most: int = MOST_SHOWN) -> list[LimitInUse]:
    """Return the limits that are in use, those that most executions wait for first, at most `most`. Two queries."""
    waiting = (
        Execution.objects.visible()
        .filter(status=ExecutionStatus.PENDING, ready_at=None, concurrency_key__isnull=False)
        .values_list("concurrency_key")
    )
    blocked = dict(waiting.annotate(n=Count("pk")).order_by("-n")[:most])
    holders = Execution.objects.visible().filter(pk=OuterRef("execution_id"))
    running = Q(until_closed=False) & Exists(holders.filter(status=ExecutionStatus.RUNNING, fence=OuterRef("fence")))
    live = Q(until_closed=True) & Exists(holders.filter(closed_at=None))
    held = Slot.objects.filter(running | live).values_list("limit_key").annotate(n=Count("number"))
    taken = dict(held.order_by("-n")[:most])
    keys = sorted({*taken, *blocked}, key=lambda key: (-blocked.get(key, 0), -taken.get(key, 0), key))
    return [LimitInUse(key, taken.get(key, 0), blocked.get(key, 0)) for key in keys[:most]]


def is_blocked(execution: Execution | ExecutionSummary) -> bool:
    """Whether an execution waits for a place of its concurrency limit."""
    is_pending = execution.status == ExecutionStatus.PENDING
    return is_pending and execution.ready_at is None and execution.concurrency_key is not None


def holders_of(limit_key: str) -> list[PlaceHolder]:
    """Return who has places of a limit, the longest first. Two queries, three for people who don't see everything."""
    slots = Slot.objects.filter(limit_key=limit_key, execution_id__isnull=False).order_by("taken_at")
    taken = {slot.execution_id: slot for slot in slots[:MOST_SHOWN]}
    ids = [execution_id for execution_id in taken if execution_id is not None]
    found = Execution.objects.in_bulk(ids)
    seen = set(ids) if visible_condition() is None else set(Execution.objects.visible().in_bulk(ids))
    return [
        PlaceHolder(
            execution.pk, execution.function, execution.name, execution.status, slot.taken_at, execution_id in seen
        )
        for execution_id, slot in taken.items()
        if execution_id in found and _is_taken(slot, execution := found[execution_id])
    ]


def _is_taken(slot: Slot, execution: Execution) -> bool:
    if slot.until_closed:
        return not execution.is_closed
    return execution.status == ExecutionStatus.RUNNING and execution.fence == slot.fence
