"""What an execution is waiting for, in facts for pages and in one sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings

from durable_engine.core.ports import EventType
from durable_engine.models import Callback, CallbackStatus, Event, Execution, ExecutionStatus, Timer, TimerKind
from durable_engine.queries.callbacks import callback_label
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.executions import ExecutionSummary
from durable_engine.queries.function_pauses import pause_of
from durable_engine.queries.limits import holders_of, is_blocked
from durable_engine.queries.relations import RelatedExecution, open_children
from durable_engine.queries.workers import live_workers, worker_with
from durable_engine.storage.clock import ClockTimestamp

# A worker says it lives every few heartbeats at the latest; silence beyond this is worth a word.
SILENT_HEARTBEATS: Final = 2
MOST_SAID: Final = 2


@dataclass(frozen=True, slots=True)
class WaitReason:
    """One thing that holds an execution up.

    `text` says what; `since` and `until` are the times around it with the words before them. `alarming` tells what
    does not end by itself. `operation_id` and `child_id` name the operation and the execution that is waited for;
    `error` is that of the attempt before a retry.
    """

    text: str
    operation_id: str = ""
    since_word: str = "since"
    since: datetime | None = None
    until_word: str = "until"
    until: datetime | None = None
    after: str = ""
    child_id: UUID | None = None
    error: ErrorView | None = None
    alarming: bool = False

    def sentence(self, now: datetime) -> str:
        """All of it, with times of day in UTC."""
        text = self.text
        if self.since is not None:
            text += f" {self.since_word} {_clock(self.since, now)}"
        if self.until is not None:
            text += f"{self.until_word} {_clock(self.until, now)}"
        return text + self.after


def waiting_for(execution: Execution | ExecutionSummary) -> str:
    """Return what a live execution waits for, by the database clock; an empty text for a closed one.

    A constant number of queries, whatever the length of the history.
    """
    reasons = wait_reasons(execution)
    if not reasons:
        return ""
    now = _now(execution.id)
    shown = "; ".join(reason.sentence(now) for reason in reasons[:MOST_SAID])
    return f"{shown}; and {len(reasons) - MOST_SAID} more" if len(reasons) > MOST_SAID else shown


def wait_reasons(execution: Execution | ExecutionSummary) -> list[WaitReason]:
    """Return what a live execution waits for, the next timer first; nothing for a closed one."""
    match execution.status:
        case ExecutionStatus.PENDING:
            return [_pending(execution)]
        case ExecutionStatus.RUNNING:
            return [_running(execution)]
        case ExecutionStatus.SUSPENDED:
            return _suspended(execution)
        case ExecutionStatus.PAUSED:
            return [WaitReason(f"Paused: {_pause_reason(execution)}", alarming=True)]
    return []


def _blocked(limit_key: str) -> WaitReason:
    text = f"Waiting for a place of its concurrency limit {limit_key},"
    holders = holders_of(limit_key)
    if not holders:
        return WaitReason(f"{text} one is free by now")
    first = holders[0]
    name = first.name if first.name != str(first.execution_id) else str(first.execution_id)[:8]
    others = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    if not first.is_visible:
        return WaitReason(text, since=first.since, since_word=f"taken by one that you may not see{others} since")
    return WaitReason(text, since=first.since, since_word=f"taken by {name}{others} since", child_id=first.execution_id)


def _pending(execution: Execution | ExecutionSummary) -> WaitReason:
    if is_blocked(execution):
        return _blocked(execution.concurrency_key or "")
    now = _now(execution.id)
    if execution.ready_at is not None and execution.ready_at > now:
        text = "Starts" if execution.last_event_id == 1 else "Ready to run"
        if execution.crash_count:
            times = "once" if execution.crash_count == 1 else f"{execution.crash_count} times in a row"
            text = f"Its worker died {times}; runs again"
        return WaitReason(text, until_word=" at", until=execution.ready_at)
    if (pause := pause_of(execution.function)) is not None:
        why = f": {pause.reason}" if pause.reason else ""
        return WaitReason(f"Ready to run; its function is paused by {pause.paused_by}{why}", alarming=True)
    waited = _length(now - (execution.ready_at or execution.created_at))
    text = f"Ready to run, waiting for a worker for {waited}"
    served = f"{execution.function}:{execution.version}"
    workers = [worker for worker in live_workers() if served in worker.functions and not worker.draining]
    if not workers:
        return WaitReason(f"{text}; no live worker serves {served}", alarming=True)
    if not any(execution.queue in worker.queues for worker in workers):
        return WaitReason(f"{text}; no live worker takes from the queue {execution.queue}", alarming=True)
    return WaitReason(text)


def _running(execution: Execution | ExecutionSummary) -> WaitReason:
    worker = None if execution.worker_id is None else worker_with(execution.worker_id)
    if worker is None:
        return WaitReason("Running")
    text = f"Running on {worker.label}"
    if worker.silent_for > timedelta(seconds=SILENT_HEARTBEATS * settings.DURABLE_HEARTBEAT_SECONDS + 1):
        return WaitReason(f"{text}; no heartbeat for {_length(worker.silent_for)}", alarming=True)
    return WaitReason(text)


def _suspended(execution: Execution | ExecutionSummary) -> list[WaitReason]:
    reasons = [_callback_reason(callback) for callback in _open_callbacks(execution.id)]
    reasons += [_child_reason(child) for child in open_children(execution.id)]
    timer = Timer.objects.filter(execution_id=execution.id).order_by("due_at").first()
    if timer is not None:
        reasons.insert(0, _timer_reason(timer))
    return reasons or [WaitReason("Suspended with nothing left to wait for", alarming=True)]


def _timer_reason(timer: Timer) -> WaitReason:
    event = Event.objects.values("name", "attempt", "event_type", "error").get(
        execution_id=timer.execution_id, event_id=timer.event_id
    )
    name = _quoted(event["name"], timer.operation_id)
    if timer.kind == TimerKind.WAIT:
        return WaitReason(
            f"Waiting for the timer of {name}", timer.operation_id, until_word=" until", until=timer.due_at
        )
    if timer.kind == TimerKind.CONDITION or event["event_type"] == EventType.STEP_SUCCEEDED:
        text = f"Waiting for the condition {name}"
        return WaitReason(text, timer.operation_id, until_word=", next check at", until=timer.due_at)
    return WaitReason(
        f"Step {name} failed (attempt {event['attempt'] or 1})",
        timer.operation_id,
        until_word=", next attempt at",
        until=timer.due_at,
        error=None if event["error"] is None else ErrorView.of_json(event["error"]),
    )


def _open_callbacks(execution_id: UUID) -> list[Callback]:
    # Ten are enough to say the first two and that there are more.
    return list(
        Callback.objects.filter(execution_id=execution_id, status=CallbackStatus.STARTED).order_by("created_at", "id")[
            :10
        ]
    )


def _callback_reason(callback: Callback) -> WaitReason:
    name = _quoted(callback_label(callback.name), callback.operation_id)
    ends = [moment for moment in (callback.deadline, callback.heartbeat_deadline) if moment is not None]
    return WaitReason(
        f"Waiting for the callback {name},",
        callback.operation_id,
        since_word="which nobody has answered since",
        since=callback.created_at,
        until_word=", expires",
        until=min(ends, default=None),
    )


def _child_reason(child: RelatedExecution) -> WaitReason:
    return WaitReason(
        f"Waiting for {child.function}, which it invoked",
        child.parent_operation_id or "",
        since_word="at",
        since=child.created_at,
        after=" and which is paused" if child.status == ExecutionStatus.PAUSED else "",
        child_id=child.id,
    )


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
