"""The rows of the history tab, from events in the shape clients get them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.durations import in_words, offset

TONES = {
    "Succeeded": "succeeded",
    "Failed": "failed",
    "TimedOut": "timed-out",
    "Stopped": "stopped",
    "Cancelled": "stopped",
}
WITH_ERROR = ("Failed", "TimedOut", "Stopped")
SECONDS = {
    "Duration": "duration",
    "NextAttemptDelaySeconds": "next attempt after",
    "Timeout": "timeout",
    "HeartbeatTimeout": "heartbeat",
}


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event. `facts` are its small details in words; `has_data` says that a payload or error can be fetched."""

    id: int
    type: str
    tone: str
    operation_id: str
    name: str
    at: datetime
    offset: str
    facts: str
    has_data: bool


def event_rows(events: Sequence[Mapping[str, Any]], started_at: datetime) -> list[EventRow]:
    """Return one row an event."""
    return [_row(event, started_at) for event in events]


def _row(event: Mapping[str, Any], started_at: datetime) -> EventRow:
    event_type = event["EventType"]
    details = event.get(f"{event_type}Details") or {}
    at = event["EventTimestamp"]
    return EventRow(
        id=event["EventId"],
        type=event_type,
        tone=next((tone for ending, tone in TONES.items() if event_type.endswith(ending)), "pending"),
        operation_id=event.get("Id") or "",
        name=event.get("Name") or "",
        at=at,
        offset=offset((at - started_at).total_seconds()),
        facts=", ".join(_facts(details)),
        # Errors are left out with the payloads, so the type has to tell that there is one.
        has_data="Result" in details or "Input" in details or event_type.endswith(WITH_ERROR),
    )


def _facts(details: Mapping[str, Any]) -> list[str]:
    retry = details.get("RetryDetails") or {}
    facts = [f"attempt {retry['CurrentAttempt']}"] if retry.get("CurrentAttempt") else []
    for key, words in SECONDS.items():
        value = {**details, **retry}.get(key)
        if isinstance(value, int | float):
            facts.append(f"{words} {in_words(value)}")
    return facts
