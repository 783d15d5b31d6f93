"""Histories from files: events in the names of the service API, folded into operations without being stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from durable_engine.core.ports import EventType
from durable_engine.queries.operations import EventRow, OperationView, fold_operations, parents_first
from durable_engine.queries.outline import InvocationSpan

MOST_EVENTS: Final = 100_000
STATUSES: Final = {
    EventType.EXECUTION_SUCCEEDED: "SUCCEEDED",
    EventType.EXECUTION_FAILED: "FAILED",
    EventType.EXECUTION_TIMED_OUT: "TIMED_OUT",
    EventType.EXECUTION_STOPPED: "STOPPED",
}


class UnreadableHistory(ValueError):
    """The text is no history; the message names the place and what is wrong there."""


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """What a file tells of one execution. `events` are as they stand in it, `facts` what it says besides them."""

    facts: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    operations: Sequence[OperationView]
    invocations: Sequence[InvocationSpan]
    status: str
    started_at: datetime
    closed_at: datetime | None


def read_history(text: str) -> HistoryFile:
    """Read what this product downloads, or what `GetDurableExecutionHistory` answers: an object with `Events`.

    Raises:
        UnreadableHistory: it is something else.
    """
    document = _document(text)
    events = [_event(each, f"Events[{index}]") for index, each in enumerate(document["Events"])]
    rows = sorted((_row(event, f"Events[{index}]") for index, event in enumerate(events)), key=lambda row: row.event_id)
    closing = next((row for row in rows if row.event_type in STATUSES), None)
    operations = fold_operations(rows, {})
    return HistoryFile(
        facts={name: value for name, value in document.items() if isinstance(value, str | int | float | bool)},
        events=events,
        operations=parents_first(operations),
        invocations=_invocations(rows),
        status=STATUSES[EventType(closing.event_type)] if closing is not None else "RUNNING",
        started_at=rows[0].event_at,
        closed_at=closing.event_at if closing is not None else None,
    )


def _invocations(rows: Sequence[EventRow]) -> list[InvocationSpan]:
    spans: list[InvocationSpan] = []
    for row in rows:
        if row.event_type == EventType.INVOCATION_COMPLETED:
            text = (row.details or {}).get("started_at")
            started_at = row.event_at if text is None else datetime.fromisoformat(text)
            spans.append(InvocationSpan(len(spans) + 1, 1, started_at, row.event_at))
    return spans


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UnreadableHistory(f"The file is no JSON: {problem}.") from None
    events = document.get("Events") if isinstance(document, dict) else None
    if not isinstance(events, list) or not events:
        raise UnreadableHistory("The file has no list “Events” with at least one event.")
    if len(events) > MOST_EVENTS:
        raise UnreadableHistory(f"The file has {len(events):,} events; at most {MOST_EVENTS:,} are read.")
    return dict(document)


def _event(event: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(event, dict):
        raise UnreadableHistory(f"{where} is no object.")
    if event.get("EventType") not in set(EventType):
        raise UnreadableHistory(f"{where}.EventType {str(event.get('EventType'))[:60]!r} is not known.")
    if not isinstance(event.get("EventId"), int):
        raise UnreadableHistory(f"{where}.EventId must be a whole number.")
    for name in ("Id", "Name", "ParentId", "SubType"):
        if not isinstance(event.get(name), str | None):
            raise UnreadableHistory(f"{where}.{name} must be a text.")
    return {**event, "EventTimestamp": _time(event.get("EventTimestamp"), f"{where}.EventTimestamp")}


def _row(event: Mapping[str, Any], where: str) -> EventRow:
    details = event.get(f"{event['EventType']}Details") or {}
    if not isinstance(details, dict):
        raise UnreadableHistory(f"{where}.{event['EventType']}Details is no object.")
    retry = _object(details, "RetryDetails")
    error = _object(details, "Error").get("Payload")
    payload = _object(details, "Result").get("Payload")
    return EventRow(
        event_id=event["EventId"],
        event_type=event["EventType"],
        operation_id=event.get("Id"),
        parent_id=event.get("ParentId"),
        subtype=event.get("SubType"),
        name=event.get("Name"),
        attempt=_number(retry.get("CurrentAttempt")),
        error=None if error is None else json.dumps(error),
        details=_details(event["EventType"], details, retry),
        event_at=event["EventTimestamp"],
        payload_bytes=len(payload.encode()) if isinstance(payload, str) else None,
    )


def _details(event_type: str, details: Mapping[str, Any], retry: Mapping[str, Any]) -> dict[str, Any]:
    """The small facts in the engine's own names."""
    facts: dict[str, Any] = {}
    if _number(retry.get("NextAttemptDelaySeconds")) is not None:
        facts["next_attempt_delay_seconds"] = retry["NextAttemptDelaySeconds"]
    if _number(details.get("Duration")) is not None:
        facts["duration_seconds"] = details["Duration"]
    if event_type == EventType.INVOCATION_COMPLETED and details.get("StartTimestamp"):
        started_at = _time(details["StartTimestamp"], "StartTimestamp")
        facts["started_at"] = started_at.isoformat()
    return facts


def _object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _time(value: Any, where: str) -> datetime:
    """A moment as ISO text, or as seconds since 1970 as the AWS command line writes it."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        if _number(value) is not None:
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise UnreadableHistory(f"{where} must be a moment: ISO text, or seconds since 1970.")
