"""What a list of executions is narrowed to, for pages, bulk actions, programs and the command line alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from durable_engine.models import Callback, CallbackStatus, Execution, ExecutionStatus, Timer, TimerKind
from durable_engine.models.execution import LIVE_STATUSES

LONGEST_NAME: Final = 64
ID_PREFIX: Final = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class ExecutionFilters:
    """What a list is narrowed to; what is None or empty narrows nothing.

    `text` is the beginning of a name or an id (its first 4 digits at least). `tags` are (key, value) pairs, of which
    an execution has all. `since` and `until` are about the start. `waiting` is a key of `WAITING`: what a live one
    waits for. `root` leaves out what another execution invoked.
    """

    status: str | None = None
    function: str | None = None
    text: str | None = None
    version: int | None = None
    tags: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    waiting: str | None = None
    root: bool | None = None


def matching(filters: ExecutionFilters) -> Q:
    """Return the condition on executions that a filter stands for."""
    condition = Q()
    if filters.status:
        condition &= Q(status=filters.status)
    if filters.function:
        condition &= Q(function=filters.function)
    if filters.version is not None:
        condition &= Q(version=filters.version)
    if filters.text:
        condition &= with_text(filters.text)
    if filters.tags:
        condition &= Q(tags__contains=dict(filters.tags))
    if filters.since is not None:
        condition &= Q(created_at__gte=filters.since)
    if filters.until is not None:
        condition &= Q(created_at__lt=filters.until)
    if filters.waiting:
        condition &= WAITING[filters.waiting]()
    if filters.root:
        condition &= Q(parent_execution_id=None)
    return condition


def with_text(text: str, *, exact_name: bool = False) -> Q:
    """Return the condition that a name or an id begins with `text`, or with `exact_name` that the name is `text`."""
    # Both ends of the alternative have an index: names by pattern, ids by range.
    # Of several with one name it is the newest, which has taken it over from the others.
    named = Q(name=text, superseded_by=None)
    condition = named if exact_name else Q(name__startswith=text[: LONGEST_NAME + 1])
    digits = text.strip().lower().replace("-", "")
    if ID_PREFIX.fullmatch(digits):
        condition |= Q(pk__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))
    return condition


def _waits_for_timer(kind: TimerKind) -> Q:
    timers = Timer.objects.filter(execution_id=OuterRef("pk"), kind=kind)
    return Q(Exists(timers), status__in=LIVE_STATUSES)


def _waits_for_callback() -> Q:
    callbacks = Callback.objects.filter(execution_id=OuterRef("pk"), status=CallbackStatus.STARTED)
    return Q(Exists(callbacks), status__in=LIVE_STATUSES)


def _waits_for_child() -> Q:
    children = Execution.objects.filter(parent_execution_id=OuterRef("pk"), closed_at=None)
    return Q(Exists(children), status__in=LIVE_STATUSES)


WAITING: Final[Mapping[str, Callable[[], Q]]] = {
    "timer": lambda: _waits_for_timer(TimerKind.WAIT),
    "retry": lambda: _waits_for_timer(TimerKind.RETRY),
    "condition": lambda: _waits_for_timer(TimerKind.CONDITION),
    "callback": _waits_for_callback,
    "child": _waits_for_child,
    "worker": lambda: Q(status=ExecutionStatus.PENDING),
}
"""What a live execution may wait for; `retry` is a step that failed and is tried again."""
