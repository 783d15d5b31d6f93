"""The history of an execution as AWS clients read it: one event a dict, in the wire names and order of fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final
from uuid import UUID

from django.db.models import F, Func, IntegerField, QuerySet, Value
from django.db.models.functions import Coalesce

from durable_engine.core.ports import EventType
from durable_engine.models import Event
from durable_engine.queries.arns import execution_arn

CallbackIdFor = Callable[[UUID, str], str]
Details = dict[str, Any]

MAX_PAGE_BYTES: Final = 6_291_456

_WITH_RESULT: Final = frozenset(
    {
        EventType.EXECUTION_SUCCEEDED,
        EventType.CONTEXT_SUCCEEDED,
        EventType.STEP_SUCCEEDED,
        EventType.CALLBACK_SUCCEEDED,
        EventType.CHAINED_INVOKE_SUCCEEDED,
    }
)
_WITH_ERROR: Final = frozenset(
    {
        EventType.EXECUTION_FAILED,
        EventType.EXECUTION_TIMED_OUT,
        EventType.EXECUTION_STOPPED,
        EventType.CONTEXT_FAILED,
        EventType.STEP_FAILED,
        EventType.WAIT_CANCELLED,
        EventType.CALLBACK_FAILED,
        EventType.CALLBACK_TIMED_OUT,
        EventType.CHAINED_INVOKE_FAILED,
        EventType.CHAINED_INVOKE_TIMED_OUT,
        EventType.CHAINED_INVOKE_STOPPED,
        EventType.INVOCATION_COMPLETED,
    }
)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some events, and whether there are more behind them."""

    events: list[dict[str, Any]]
    has_more: bool


def history(
    execution_id: UUID,
    *,
    include_data: bool = True,
    after: int = 0,
    limit: int | None = None,
    reverse: bool = False,
    event_types: Collection[str] = (),
    operation_id: str = "",
    callback_id_for: CallbackIdFor | None = None,
) -> list[dict[str, Any]]:
    """Return events with ids above `after` (below it, when `reverse` and `after` is not 0), at most `limit`.

    With `event_types` only events of these types, with `operation_id` only those of one operation. `EventTimestamp`
    and the other times are aware datetimes; durations are seconds. Without `include_data` payloads and errors are left
    out and not read. Callback ids are left out unless `callback_id_for` (`services.callback_ids`) is given: who holds
    one can complete the callback.
    """
    events = _events(execution_id, after, reverse)
    if event_types:
        events = events.filter(event_type__in=event_types)
    if operation_id:
        events = events.filter(operation_id=operation_id)
    if not include_data:
        events = events.defer("payload", "error")
    if limit is not None:
        events = events[:limit]
    return [_wire(event, include_data, callback_id_for) for event in events]


def history_page(
    execution_id: UUID,
    *,
    limit: int,
    include_data: bool = True,
    after: int = 0,
    reverse: bool = False,
    callback_id_for: CallbackIdFor | None = None,
) -> HistoryPage:
    """Return events as `history` does, fewer when their payloads come to more than 6 MiB, but at least one."""
    size = _bytes_of("payload") + _bytes_of("error") if include_data else Value(0)
    events = _events(execution_id, after, reverse).annotate(bytes=size)
    sizes = list(events.values_list("bytes", flat=True)[: limit + 1])
    # The lengths are in the rows' headers: big payloads are neither fetched nor unpacked for this.
    fitting = sum(total <= MAX_PAGE_BYTES for total in accumulate(sizes))
    count = max(1, min(limit, fitting))
    return HistoryPage(
        history(
            execution_id,
            include_data=include_data,
            after=after,
            limit=count,
            reverse=reverse,
            callback_id_for=callback_id_for,
        ),
        has_more=len(sizes) > count,
    )


def _bytes_of(column: str) -> Coalesce:
    length = Func(F(column), function="octet_length", output_field=IntegerField())
    return Coalesce(length, 0, output_field=IntegerField())


def _events(execution_id: UUID, after: int, reverse: bool) -> QuerySet[Event]:
    events = Event.objects.filter(execution_id=execution_id).order_by("-event_id" if reverse else "event_id")
    if after:
        return events.filter(event_id__lt=after) if reverse else events.filter(event_id__gt=after)
    return events


def _wire(event: Event, include_data: bool, callback_id_for: CallbackIdFor | None) -> dict[str, Any]:
    fields = {
        "EventType": event.event_type,
        "SubType": event.subtype,
        "EventId": event.event_id,
        "Id": event.operation_id,
        "Name": event.name,
        "ParentId": event.parent_id,
        "EventTimestamp": event.event_at,
    }
    wire: dict[str, Any] = {name: value for name, value in fields.items() if value is not None}
    details = _details(event, include_data)
    if event.event_type == EventType.CALLBACK_STARTED and callback_id_for is not None and event.operation_id:
        details = {"CallbackId": callback_id_for(event.execution_id, event.operation_id), **details}
    wire[f"{event.event_type}Details"] = details
    return wire


def _details(event: Event, include_data: bool) -> Details:
    facts = event.details or {}
    make = _MAKERS.get(EventType(event.event_type))
    details = {} if make is None else make(event, facts, include_data)
    if event.event_type in _WITH_RESULT:
        details["Result"] = _payload(event, include_data)
    if event.event_type in _WITH_ERROR and (error := _error(event, include_data)) is not None:
        details["Error"] = error
    if event.event_type in {EventType.STEP_SUCCEEDED, EventType.STEP_FAILED}:
        details["RetryDetails"] = _retry(event, facts)
    return details


def _execution_started(event: Event, facts: Mapping[str, Any], include_data: bool) -> Details:
    details: Details = {"Input": _payload(event, include_data)}
    if "execution_timeout_seconds" in facts:
        details["ExecutionTimeout"] = _seconds(facts["execution_timeout_seconds"])
    return details


def _invocation_completed(event: Event, facts: Mapping[str, Any], include_data: bool) -> Details:
    return {
        "StartTimestamp": _started_at(event, facts),
        "EndTimestamp": event.event_at,
        "RequestId": facts.get("request_id", ""),
    }


def _wait_started(event: Event, facts: Mapping[str, Any], include_data: bool) -> Details:
    duration = facts.get("duration_seconds", 0)
    return {
        "Duration": _seconds(duration),
        "ScheduledEndTimestamp": event.event_at + timedelta(seconds=duration),
    }


def _wait_succeeded(event: Event, facts: Mapping[str, Any], include_data: bool) -> Details:
    return {"Duration": _seconds(facts.get("duration_seconds", 0))}


def _callback_started(event: Event, facts: Mapping[str, Any], include_data: bool) -> Details:
    names = (("timeout_seconds", "Timeout"), ("heartbeat_timeout_seconds", "HeartbeatTimeout"))
    return {wire: _seconds(facts[fact]) for fact, wire in names if facts.get(fact)}


def _chained_invoke_started(event: Event, facts: Mapping[str, Any], include_data: bool) -> Details:
    names = (("function", "FunctionName"), ("tenant_id", "TenantId"))
    details: Details = {wire: facts[fact] for fact, wire in names if fact in facts}
    if "execution_id" in facts:  # not when there is no such function
        child = facts["execution_id"]
        details["ExecutedVersion"] = str(facts["version"])
        # An invoked execution is named after its id.
        details["DurableExecutionArn"] = execution_arn(facts["function"], child, child)
    return {**details, "Input": _payload(event, include_data)}


_MAKERS: Final[Mapping[str, Callable[[Event, Mapping[str, Any], bool], Details]]] = {
    EventType.EXECUTION_STARTED: _execution_started,
    EventType.INVOCATION_COMPLETED: _invocation_completed,
    EventType.WAIT_STARTED: _wait_started,
    EventType.WAIT_SUCCEEDED: _wait_succeeded,
    EventType.CALLBACK_STARTED: _callback_started,
    EventType.CHAINED_INVOKE_STARTED: _chained_invoke_started,
}


def _payload(event: Event, include_data: bool) -> Details:
    if not include_data:
        return {"Truncated": False}
    return {"Payload": event.payload, "Truncated": False} if event.payload is not None else {"Truncated": False}


def _error(event: Event, include_data: bool) -> Details | None:
    if not include_data:
        return None if event.event_type == EventType.INVOCATION_COMPLETED else {"Truncated": False}
    if event.error is None:
        return None
    return {"Payload": json.loads(event.error), "Truncated": False}


def _retry(event: Event, facts: Mapping[str, Any]) -> Details:
    retry: Details = {} if event.attempt is None else {"CurrentAttempt": event.attempt}
    if (delay := facts.get("next_attempt_delay_seconds")) is not None:
        retry["NextAttemptDelaySeconds"] = _seconds(delay)
    return retry


def _started_at(event: Event, facts: Mapping[str, Any]) -> datetime:
    text = facts.get("started_at")
    return event.event_at if text is None else datetime.fromisoformat(text)


def _seconds(value: float) -> float:
    """Whole seconds as an integer, as AWS has only those."""
    return int(value) if float(value).is_integer() else value
