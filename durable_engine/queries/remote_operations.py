"""The operations of an execution as a handler that runs elsewhere is told of them: a fold of the history.

The history only grows, so a fold up to some event is right for ever. Each process keeps the folds it used last, and
reads only what has been added since.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import F, Func, IntegerField
from django.db.models.functions import Coalesce

from durable_engine.core.history import EFFECTS, PENDING, STARTED
from durable_engine.core.ports import EventType
from durable_engine.models import Event

READY: Final = "READY"
CLOSED: Final = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED", "STOPPED"})
WAITS: Final = frozenset({"WAIT", "CALLBACK", "CHAINED_INVOKE"})
KEPT_FOLDS: Final = 64

CallbackIdFor = Callable[[UUID, str], str]
Wire = dict[str, Any]


class _Row(NamedTuple):
    """An event, with the size of its data instead of the data."""

    event_id: int
    event_type: str
    operation_id: str | None
    parent_id: str | None
    subtype: str | None
    name: str | None
    attempt: int | None
    details: Mapping[str, Any] | None
    event_at: datetime
    fence: int | None
    bytes: int


class RemoteOperation:
    """One operation. `attempts` is how many have ended; `data_event_id` the event that has its payload and error."""

    __slots__ = (
        "attempts",
        "data_bytes",
        "data_event_id",
        "ended_at",
        "event_id",
        "first_event_id",
        "id",
        "name",
        "next_attempt_at",
        "parent_id",
        "replay_children",
        "scheduled_end_at",
        "started_at",
        "status",
        "subtype",
        "type",
    )

    def __init__(self, row: _Row, type: str) -> None:
        self.id = str(row.operation_id)
        self.type = type
        self.subtype = row.subtype
        self.name = row.name
        self.parent_id = row.parent_id
        self.status = ""
        self.started_at = row.event_at
        self.ended_at: datetime | None = None
        self.next_attempt_at: datetime | None = None
        self.scheduled_end_at: datetime | None = None
        self.attempts = 0
        self.replay_children = False
        self.data_event_id = 0
        self.data_bytes = 0
        self.first_event_id = row.event_id
        self.event_id = 0

    def apply(self, row: _Row, status: str) -> None:
        """Take one more event of the operation into account."""
        details = row.details or {}
        self.event_id = row.event_id
        self.next_attempt_at = None
        if status == STARTED:
            self.status, self.ended_at = STARTED, None
            if (seconds := details.get("duration_seconds")) is not None:
                self.scheduled_end_at = row.event_at + timedelta(seconds=seconds)
            return
        self.data_event_id, self.data_bytes = row.event_id, row.bytes
        self.attempts = row.attempt or self.attempts
        delay = details.get("next_attempt_delay_seconds")
        if delay is None:
            self.status, self.ended_at = status, row.event_at
            self.replay_children = bool(details.get("replay_children"))
        else:
            self.status, self.next_attempt_at = PENDING, row.event_at + timedelta(seconds=delay)


class Fold:
    """The operations of one execution, in the order they began, as of its event `last_event_id`."""

    def __init__(self, execution_id: UUID) -> None:
        self.execution_id = execution_id
        self.last_event_id = 0
        self.started_at: datetime | None = None
        self.operations: dict[str, RemoteOperation] = {}
        self.input_bytes = 0
        self._told_until = 0  # the last event that the handler itself recorded
        self._from_outside: list[tuple[int, str]] = []

    def read_on(self) -> None:
        """Read what has been added to the history."""
        for row in _rows_after(self.execution_id, self.last_event_id):
            self._apply(row)

    def changed_after(self, event_id: int) -> list[str]:
        """The operations with an event after this one."""
        return [each.id for each in self.operations.values() if each.event_id > event_id]

    def in_back_off(self) -> set[str]:
        """The operations that wait for their next attempt, or could make it."""
        return {each.id for each in self.operations.values() if each.status == PENDING}

    def completed_outside(self) -> list[str]:
        """The operations that something outside completed since the handler recorded anything."""
        return list(dict.fromkeys(each for event_id, each in self._from_outside if event_id > self._told_until))

    def is_pruned(self, operation: RemoteOperation) -> bool:
        """Whether replay needs nothing of it: it is inside a context that has ended and isn't run through again."""
        parent = self.operations.get(operation.parent_id or "")
        while parent is not None:
            if parent.status in CLOSED and not parent.replay_children:
                return True
            parent = self.operations.get(parent.parent_id or "")
        return False

    def has_something_to_wait_for(self) -> bool:
        """Whether an operation is open whose outcome comes from outside, or from a timer."""
        return any(
            each.status in {PENDING, READY} or (each.status == STARTED and each.type in WAITS)
            for each in self.operations.values()
        )

    def _apply(self, row: _Row) -> None:
        self.last_event_id = row.event_id
        effect = EFFECTS.get(row.event_type)
        if effect is None or row.operation_id is None:
            if row.event_type == EventType.EXECUTION_STARTED:
                self.started_at, self.input_bytes = row.event_at, row.bytes
            return
        operation = self.operations.get(row.operation_id)
        if operation is None:
            operation = self.operations[row.operation_id] = RemoteOperation(row, effect[0])
        operation.apply(row, effect[1])
        if row.fence is None:
            self._from_outside.append((row.event_id, row.operation_id))
        else:
            self._told_until = row.event_id
            self._from_outside.clear()


class _Folds:
    """The folds this process used last. One that is in use is not here, so no two threads have the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folds: OrderedDict[UUID, Fold] = OrderedDict()

    def take(self, execution_id: UUID) -> Fold:
        with self._lock:
            return self._folds.pop(execution_id, None) or Fold(execution_id)

    def keep(self, fold: Fold) -> None:
        with self._lock:
            self._folds[fold.execution_id] = fold
            if len(self._folds) > KEPT_FOLDS:
                self._folds.popitem(last=False)


_folds = _Folds()


def take_fold(execution_id: UUID) -> Fold:
    """Return the operations of an execution, read up to now; give it to `keep_fold` when done."""
    fold = _folds.take(execution_id)
    fold.read_on()
    return fold


def keep_fold(fold: Fold) -> None:
    """Keep a fold for the next call. Only after the commit of what it has read."""
    _folds.keep(fold)


def wire_operations(
    fold: Fold, operation_ids: Iterable[str], ready: Collection[str], callback_id_for: CallbackIdFor
) -> list[Wire]:
    """Return operations as the wire has them; times are aware datetimes. `ready` are those whose back-off is over."""
    operations = [fold.operations[each] for each in operation_ids]
    data = _data_of(fold.execution_id, [each.data_event_id for each in operations if each.data_event_id])
    return [
        _wire(fold, each, each.id in ready, data.get(each.data_event_id, (None, None)), callback_id_for)
        for each in operations
    ]


def execution_operation(fold: Fold) -> Wire:
    """Return the execution itself, which every state begins with."""
    payload = Event.objects.values_list("payload", flat=True).get(execution_id=fold.execution_id, event_id=1)
    return {
        "Id": str(fold.execution_id),
        "Type": "EXECUTION",
        "StartTimestamp": fold.started_at,
        "Status": STARTED,
        "ExecutionDetails": {"InputPayload": payload or "{}"},
    }


def _wire(
    fold: Fold,
    operation: RemoteOperation,
    is_ready: bool,
    data: tuple[str | None, str | None],
    callback_id_for: CallbackIdFor,
) -> Wire:
    status = READY if is_ready and operation.status == PENDING else operation.status
    fields = {
        "Id": operation.id,
        "ParentId": operation.parent_id,
        "Name": operation.name,
        "Type": operation.type,
        "SubType": operation.subtype,
        "StartTimestamp": operation.started_at,
        "EndTimestamp": operation.ended_at,
        "Status": status,
    }
    payload, error = data
    details: Wire = {"Result": payload, "Error": None if error is None else json.loads(error)}
    match operation.type:
        case "STEP":
            next_at = operation.next_attempt_at if status == PENDING else None
            details |= {"Attempt": operation.attempts, "NextAttemptTimestamp": next_at}
        case "CONTEXT":
            details |= {"ReplayChildren": operation.replay_children or None}
        case "CALLBACK":
            details |= {"CallbackId": callback_id_for(fold.execution_id, operation.id)}
        case "WAIT":
            details = {"ScheduledEndTimestamp": operation.scheduled_end_at}
    wire: Wire = {name: value for name, value in fields.items() if value is not None}
    wire[_DETAILS[operation.type]] = {name: value for name, value in details.items() if value is not None}
    return wire


_DETAILS: Final = {
    "STEP": "StepDetails",
    "CONTEXT": "ContextDetails",
    "WAIT": "WaitDetails",
    "CALLBACK": "CallbackDetails",
    "CHAINED_INVOKE": "ChainedInvokeDetails",
}


def _data_of(execution_id: UUID, event_ids: Collection[int]) -> dict[int, tuple[str | None, str | None]]:
    if not event_ids:
        return {}
    rows = Event.objects.filter(execution_id=execution_id, event_id__in=event_ids)
    return {event_id: (payload, error) for event_id, payload, error in rows.values_list("event_id", "payload", "error")}


def _rows_after(execution_id: UUID, event_id: int) -> Iterable[_Row]:
    rows = (
        Event.objects.filter(execution_id=execution_id, event_id__gt=event_id)
        .order_by("event_id")
        .annotate(bytes=_bytes_of("payload") + _bytes_of("error"))
        .values_list(*_Row._fields)
    )
    return map(_Row._make, rows)


def _bytes_of(column: str) -> Coalesce:
    length = Func(F(column), function="octet_length", output_field=IntegerField())
    return Coalesce(length, 0, output_field=IntegerField())
