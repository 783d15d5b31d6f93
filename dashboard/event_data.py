"""The data of one event."""

import json
from dataclasses import dataclass
from uuid import UUID

from durable_engine.queries.errors import ErrorView
from durable_engine.queries.history import history


@dataclass(frozen=True, slots=True)
class EventData:
    """What one event carries: a payload, an error, or neither."""

    payload: str | None
    error: ErrorView | None


def event_data_of(execution_id: UUID, event_id: int) -> EventData | None:
    """Return the data of one event, None if there is no such event."""
    events = history(execution_id, after=event_id - 1, limit=1)
    if not events or events[0]["EventId"] != event_id:
        return None
    details = events[0].get(f"{events[0]['EventType']}Details") or {}
    holder = details.get("Result") or details.get("Input") or {}
    error = (details.get("Error") or {}).get("Payload")
    return EventData(holder.get("Payload"), None if error is None else ErrorView.of_json(json.dumps(error)))
