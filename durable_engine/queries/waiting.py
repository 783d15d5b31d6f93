"""What an execution is waiting for, in one sentence for people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from durable_engine.core.ports import EventType
from durable_engine.models import Callback, CallbackStatus, Event, Execution, ExecutionStatus, Timer, TimerKind
from durable_engine.queries.callbacks import callback_label
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.workers import live_workers, worker_with
from durable_engine.storage.clock import ClockTimestamp

# A worker says it lives every few heartbeats at the latest; silence beyond this is worth a word.
SILENT_HEARTBEATS: Final = 2


def waiting_for(execution: Execution | ExecutionSummary) -> str:
    """Return what a live execution waits for, by the database clock; an empty text for a closed one.

    A constant number of queries, whatever the length of the history.
    """
    match execution.status:
        case ExecutionStatus.PENDING:
            return _pending(execution)
        case ExecutionStatus.RUNNING:
            return _running(execution)
        case ExecutionStatus.SUSPENDED:
            return _suspended(execution)
        case ExecutionStatus.PAUSED:
            return f"Paused: {_pause_reason(execution)}"
    return ""


def _pending(execution: Execution | ExecutionSummary) -> str:
    now = _now(execution.id)
    if execution.ready_at is not None and execution.ready_at > now:
        when = _clock(execution.ready_at, now)
        if execution.crash_count:
            times = "once" if execution.crash_count == 1 else f"{execution.crash_count} times in a row"
            return f"Its worker died {times}; runs again at {when}"
        return f"Starts at {when}" if execution.last_event_id == 1 else f"Ready to run at {when}"
    waited = _length(now - (execution.ready_at or execution.created_at))
    text = f"Ready to run, waiting for a worker for {waited}"
    served = f"{execution.function}:{execution.version}"
    workers = [worker for worker in live_workers() if served in worker.functions and not worker.draining]
    if not workers:
        return f"{text}; no live worker serves {served}"
    if not any(execution.queue in worker.queues for worker in workers):
        return f"{text}; no live worker takes from the queue {execution.queue}"
    return text


def _running(execution: Execution | ExecutionSummary) -> str:
    worker = None if execution.worker_id is None else worker_with(execution.worker_id)
    if worker is None:
        return "Running"
    text = f"Running on {worker.label}"
    if worker.silent_for > timedelta(seconds=SILENT_HEARTBEATS * settings.DURABLE_HEARTBEAT_SECONDS + 1):
        text += f"; no heartbeat for {_length(worker.silent_for)}"
    return text


def _suspended(execution: Execution | ExecutionSummary) -> str:
    now = _now(execution.id)
    parts = [_callback_sentence(callback, now) for callback in _open_callbacks(execution.id)]
    timer = Timer.objects.filter(execution_id=execution.id).order_by("due_at").first()
    if timer is not None:
        parts.insert(0, _timer_sentence(timer, now))
    if not parts:
        return "Suspended with nothing left to wait for"
    shown = "; ".join(parts[:2])
    return f"{shown}; and {len(parts) - 2} more" if len(parts) > 2 else shown


def _timer_sentence(timer: Timer, now: datetime) -> str:
    event = Event.objects.values("name", "attempt", "event_type").get(
        execution_id=timer.execution_id, event_id=timer.event_id
    )
    name = _quoted(event["name"], timer.operation_id)
    when = _clock(timer.due_at, now)
    if timer.kind == TimerKind.WAIT:
        return f"Waiting for the timer of {name} until {when}"
    if timer.kind == TimerKind.CONDITION or event["event_type"] == EventType.STEP_SUCCEEDED:
        return f"Waiting for the condition {name}, next check at {when}"
    return f"Step {name} failed (attempt {event['attempt'] or 1}), next attempt at {when}"


def _open_callbacks(execution_id: UUID) -> list[Callback]:
    # Ten are enough to say the first two and that there are more.
    return list(
        Callback.objects.filter(execution_id=execution_id, status=CallbackStatus.STARTED).order_by("created_at", "id")[
            :10
        ]
    )


def _callback_sentence(callback: Callback, now: datetime) -> str:
    name = _quoted(callback_label(callback.name), callback.operation_id)
    text = f"Waiting for the callback {name} since {_clock(callback.created_at, now)}"
    ends = [moment for moment in (callback.deadline, callback.heartbeat_deadline) if moment is not None]
    return f"{text}, expires {_clock(min(ends), now)}" if ends else text


def _pause_reason(execution: Execution | ExecutionSummary) -> str:
    if execution.pause_reason:
        return execution.pause_reason.splitlines()[0]
    return "by an operator" if execution.pause_kind == "operator" else execution.pause_kind


def _now(execution_id: UUID) -> datetime:
    """The time of the database; any row will do to ask for it."""
    rows = Execution.objects.filter(pk=execution_id).annotate(now=ClockTimestamp())
    return rows.values_list("now", flat=True)[0]


def _quoted(name: str | None, operation_id: str) -> str:
    return f"“{name}”" if name else f"operation {operation_id}"


def _clock(moment: datetime, now: datetime) -> str:
    is_today = moment.date() == now.date()
    return f"{moment:%H:%M:%S} UTC" if is_today else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _length(span: timedelta) -> str:
    seconds = max(int(span.total_seconds()), 0)
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} d"
