"""What is shown of a history that somebody brings as a file."""

from typing import Any

from dashboard.history_rows import event_rows
from dashboard.timeline import Run, build_timeline
from dashboard.timeline_drawing import draw_timeline
from durable_engine.queries.history_file import HistoryFile
from durable_engine.queries.operations import ErrorView, OperationView
from durable_engine.queries.outline import OutlineLine

MOST_LINES = 200
MOST_EVENTS = 500


def imported_page(history: HistoryFile) -> dict[str, Any]:
    """Return the context: facts, the timeline of the first operations, the first events."""
    shown = history.operations[:MOST_LINES]
    lines = [_line(operation, position) for position, operation in enumerate(shown)]
    timeline = build_timeline(
        Run(history.status, history.started_at, history.closed_at),
        lines,
        {operation.id: operation for operation in shown},
        history.invocations,
        max(event["EventTimestamp"] for event in history.events),
        total=len(history.operations),
    )
    return {
        "section": "executions",
        "history": history,
        "facts": sorted(history.facts.items()),
        "operations": [(operation, _error(operation)) for operation in shown],
        "operation_count": len(history.operations),
        "chart": draw_timeline(timeline),
        "events": event_rows(history.events[:MOST_EVENTS], history.started_at),
        "event_count": len(history.events),
    }


def _error(operation: OperationView) -> ErrorView | None:
    """Its own error, or that of its last attempt."""
    if operation.error is not None or not operation.attempts:
        return operation.error
    return operation.attempts[-1].error


def _line(operation: OperationView, position: int) -> OutlineLine:
    return OutlineLine(
        id=operation.id,
        name=operation.name,
        depth=operation.depth,
        position=position,
        status=operation.status,
        first_event=0,
        last_event=0,
        events=0,
        started_at=operation.started_at,
        changed_at=operation.ended_at or operation.started_at,
    )
