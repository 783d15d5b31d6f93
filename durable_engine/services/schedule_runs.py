"""What a schedule does at its due times: exactly one decision for each, in the transaction that moves it on."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Final
from uuid import UUID

from django.db import transaction

from durable_engine.models import CatchUpPolicy, Execution, OverlapPolicy, RunOutcome, Schedule, ScheduleRun
from durable_engine.services.actors import SCHEDULE, Actor
from durable_engine.services.exceptions import ActionRefused, DurableServiceError, ExecutionNotFound
from durable_engine.services.executions import stop_execution
from durable_engine.services.schedules import recurrence_of
from durable_engine.services.starts import start_execution
from durable_engine.storage.clock import database_now
from durable_engine.storage.locks import lock_schedule

# A time that is handled within this was not missed.
PUNCTUAL: Final = timedelta(seconds=60)
# What one transaction handles; of more the rest comes with the next sweep.
MOST_AT_ONCE: Final = 100
MOST_COUNTED: Final = 1_000
MOST_WAITING: Final = 100
# Of what it started last, that may be live.
MOST_LOOKED_AT: Final = 100


@transaction.atomic
def run_due(schedule_id: UUID) -> bool:
    """Decide about the due times of a schedule that have come, by the database clock; returns whether there were any.

    A schedule that another scheduler is just handling is left to it.
    """
    schedule = lock_schedule(schedule_id, skip_locked=True)
    if schedule is None or schedule.paused_at is not None or schedule.next_at is None:
        return False
    now = database_now()
    if schedule.next_at > now:
        return False
    rule = recurrence_of(schedule)
    first = schedule.next_at
    later = takewhile(lambda due: due <= now, rule.after(first))
    due = [first, *islice(later, MOST_COUNTED)]
    if schedule.catch_up == CatchUpPolicy.ALL:
        handled = due[:MOST_AT_ONCE]
        for moment in handled:
            _run(schedule, moment)
        schedule.next_at = rule.next_after(handled[-1])
    else:
        _run_those_on_time(schedule, due, now, is_cut=len(due) > MOST_COUNTED)
        schedule.next_at = rule.next_after(now)
    schedule.save(update_fields=["next_at"])
    return True


def _run_those_on_time(schedule: Schedule, due: list[datetime], now: datetime, *, is_cut: bool) -> None:
    """Run what is on time; of what was missed only the latest, and that only if nothing is on time and it is wanted."""
    if is_cut:
        # More than are counted: the rest lies between them and the last before now.
        last = recurrence_of(schedule).last_until(now)
        due = due if last is None else [*due[:MOST_COUNTED], last]
    punctual = [moment for moment in due if now - moment <= PUNCTUAL]
    missed = due[: len(due) - len(punctual)]
    if missed and not punctual and schedule.catch_up == CatchUpPolicy.LATEST:
        punctual = [missed.pop()]
    if missed:
        more = "at least " if is_cut else ""
        note = f"No scheduler was at work: {more}{len(missed)} missed since {missed[0]:%Y-%m-%d %H:%M:%S} UTC."
        _record(schedule, missed[-1], RunOutcome.MISSED, count=len(missed), note=note)
    for moment in punctual[-MOST_AT_ONCE:]:
        _run(schedule, moment)


def _run(schedule: Schedule, due: datetime) -> None:
    """Decide about one due time."""
    if ScheduleRun.objects.filter(schedule=schedule, due_at=due).exists():
        return  # decided before the rule was changed and led to the same moment again
    before = _live_executions_of(schedule)
    if before and schedule.overlap == OverlapPolicy.SKIP:
        _record(schedule, due, RunOutcome.SKIPPED, note=f"Execution {before[0]} was still live.")
    elif schedule.overlap == OverlapPolicy.WAIT and (before or _waiting(schedule)):
        if _waiting(schedule) >= MOST_WAITING:
            _record(schedule, due, RunOutcome.SKIPPED, note=f"{MOST_WAITING} were waiting already.")
        else:
            _record(schedule, due, RunOutcome.WAITING)
    else:
        if schedule.overlap == OverlapPolicy.REPLACE:
            for live in before:
                _stop(schedule, live)
        outcome, execution_id, note = _start(schedule, due)
        _record(schedule, due, outcome, execution_id=execution_id, note=note)


@transaction.atomic
def release_waiting(schedule_id: UUID) -> bool:
    """Start the first time that waits for the one before, if that has ended; returns whether it was decided."""
    schedule = lock_schedule(schedule_id, skip_locked=True)
    if schedule is None or schedule.paused_at is not None or _live_executions_of(schedule):
        return False
    run = ScheduleRun.objects.filter(schedule=schedule, outcome=RunOutcome.WAITING).order_by("due_at").first()
    if run is None:
        return False
    outcome, execution_id, note = _start(schedule, run.due_at)
    ScheduleRun.objects.filter(schedule=schedule, due_at=run.due_at).update(
        outcome=outcome, execution_id=execution_id, note=note, decided_at=database_now()
    )
    return True


def _start(schedule: Schedule, due: datetime) -> tuple[RunOutcome, UUID | None, str]:
    """Start the execution of a due time; its name makes it one, whatever happens."""
    try:
        with transaction.atomic():
            started = start_execution(
                schedule.function,
                schedule.input,
                actor=_actor(schedule),
                name=f"{schedule.name}-{due:%Y%m%dT%H%M%SZ}",
                version=schedule.version,
                tags=schedule.tags,
                audited=False,
            )
    except DurableServiceError as refusal:
        return RunOutcome.REFUSED, None, str(refusal)
    return RunOutcome.STARTED, started.id, ""


def _stop(schedule: Schedule, execution_id: UUID) -> None:
    try:
        stop_execution(execution_id, actor=_actor(schedule), reason=f"Replaced by the next of {schedule.name}")
    except (ActionRefused, ExecutionNotFound):
        return  # it has just ended by itself


def _live_executions_of(schedule: Schedule) -> list[UUID]:
    """What the schedule started and is still live, the newest first: by itself or by hand, which may overtake it.

    An execution that went on as another one under its name lives on in that one.
    """
    runs = ScheduleRun.objects.filter(schedule=schedule, outcome=RunOutcome.STARTED).order_by("-due_at")
    started = Execution.objects.filter(pk__in=list(runs.values_list("execution_id", flat=True)[:MOST_LOOKED_AT]))
    functions, names = set(started.values_list("function", flat=True)), set(started.values_list("name", flat=True))
    live = Execution.objects.filter(function__in=functions, name__in=names, superseded_by=None, closed_at=None)
    return list(live.order_by("-created_at", "-pk").values_list("pk", flat=True))


def _waiting(schedule: Schedule) -> int:
    return ScheduleRun.objects.filter(schedule=schedule, outcome=RunOutcome.WAITING).count()


def _record(
    schedule: Schedule,
    due: datetime,
    outcome: RunOutcome,
    *,
    execution_id: UUID | None = None,
    count: int = 1,
    note: str = "",
) -> None:
    ScheduleRun.objects.create(
        schedule=schedule, due_at=due, outcome=outcome, execution_id=execution_id, count=count, note=note
    )


def _actor(schedule: Schedule) -> Actor:
    return Actor(f"schedule {schedule.name}", channel=SCHEDULE)
