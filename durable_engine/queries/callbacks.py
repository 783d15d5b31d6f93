"""Open callbacks: what somebody outside has to answer. Ids under which they are completed are not among the facts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Q

from durable_engine.models import Callback, CallbackStatus
from durable_engine.models.execution import CLOSED_STATUSES
from durable_engine.queries.paging import Page, page_of
from durable_engine.queries.visible import of_visible

# What `wait_for_callback` calls the callback inside its context, behind the name it was given (a rule of AWS's SDK).
CALLBACK_ID_NAME = "create callback id"


@dataclass(frozen=True, slots=True)
class CallbackView:
    """One callback and the execution that waits for it. Deadlines are None when there is none."""

    id: UUID
    execution_id: UUID
    function: str
    execution_name: str
    execution_status: str
    operation_id: str
    parent_id: str | None
    name: str | None
    status: str
    created_at: datetime
    deadline: datetime | None
    heartbeat_deadline: datetime | None
    completed_at: datetime | None
    completed_by: str
    key: str | None

    @property
    def is_waiting(self) -> bool:
        """Whether it can still be completed."""
        return self.status == CallbackStatus.STARTED and self.execution_status not in CLOSED_STATUSES

    @property
    def label(self) -> str:
        """What people call it: `approval`, not the `approval create callback id` of the history."""
        return callback_label(self.name)


def callback_label(name: str | None) -> str:
    """Return what people call a callback: the name its author gave, or nothing."""
    return (name or "").removesuffix(CALLBACK_ID_NAME).rstrip()


_OWN_FIELDS = {"function", "execution_name", "execution_status"}
_FIELDS = [name for name in CallbackView.__dataclass_fields__ if name not in _OWN_FIELDS]


def pending_callbacks(
    cursor: str | None = None, limit: int = 50, *, function: str | None = None, only: Q | None = None
) -> Page[CallbackView]:
    """Return a page of open callbacks of live executions, oldest first, in one query; `only` those that fulfil it."""
    condition = Q(status=CallbackStatus.STARTED) & of_visible("execution")
    if only is not None:
        condition &= only
    if function:
        condition &= Q(execution__function=function)
    return page_of(_rows(condition), cursor, limit, field="created_at", descending=False, make=_view)


def count_pending_callbacks(cap: int = 1_000) -> int:
    """Return how many callbacks are open; one above `cap` stands for more."""
    open_ones = Callback.objects.filter(of_visible("execution"), status=CallbackStatus.STARTED)
    return open_ones.order_by()[: cap + 1].count()


def open_callbacks_of(execution_id: UUID) -> list[CallbackView]:
    """Return the open callbacks of one execution, in the order they opened."""
    rows = _rows(Q(execution_id=execution_id, status=CallbackStatus.STARTED))
    return [_view(row) for row in rows.order_by("created_at", "id")]


def callback_of(execution_id: UUID, operation_id: str) -> CallbackView | None:
    """Return the callback of an operation, open or not; None if there is none."""
    row = _rows(Q(execution_id=execution_id, operation_id=operation_id) & of_visible("execution")).first()
    return None if row is None else _view(row)


def callback_by_key(key: UUID) -> CallbackView | None:
    """Return the callback with this key (not the id that is given out), open or not; None if there is none."""
    row = _rows(Q(pk=key)).first()
    return None if row is None else _view(row)


def execution_of_callback(callback_id: UUID) -> UUID | None:
    """Return the execution that has the callback with this key (not the id that is given out)."""
    return Callback.objects.filter(pk=callback_id).values_list("execution_id", flat=True).first()


def function_of_callback(callback_id: UUID) -> str | None:
    """Return the function whose execution has the callback with this key; None when it is gone."""
    return Callback.objects.filter(pk=callback_id).values_list("execution__function", flat=True).first()


def _rows(condition: Q) -> Any:
    return (
        Callback.objects.filter(condition)
        .annotate(
            function=F("execution__function"),
            execution_name=F("execution__name"),
            execution_status=F("execution__status"),
        )
        .values_list(*_FIELDS, *sorted(_OWN_FIELDS), named=True)
    )


def _view(row: Any) -> CallbackView:
    return CallbackView(**row._asdict())
