"""Make, change, pause and delete schedules, and start one by hand. One transaction each, audited."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from uuid_utils.compat import uuid7

from durable_engine import dispatch
from durable_engine.models import CatchUpPolicy, OverlapPolicy, RunOutcome, Schedule, ScheduleRun
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from durable_engine.services.exceptions import ActionRefused, DurableServiceError, InvalidInput
from durable_engine.services.functions import known_functions
from durable_engine.services.recurrence import Recurrence, checked_cron, checked_every
from durable_engine.services.starts import StartedExecution, check_against_schema, start_execution
from durable_engine.services.validation import checked_input, checked_reason, checked_tags
from durable_engine.storage.clock import database_now
from durable_engine.storage.locks import lock_schedule

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


class ScheduleNotFound(DurableServiceError):
    """No schedule has this id or name."""

    status_code = 404

    def __init__(self, which: UUID | str) -> None:
        super().__init__(f"There is no schedule {which}.", field="schedule")


class ScheduleNameTaken(InvalidInput):
    """Another schedule has the name."""

    def __init__(self, name: str) -> None:
        super().__init__("name", f"there is a schedule {name!r} already.", "Choose another name.")


class ScheduleChanged(DurableServiceError):
    """Somebody changed the schedule since the caller looked."""

    status_code = 409

    def __init__(self) -> None:
        super().__init__("Somebody has changed the schedule since you looked.", fix="Look at it again, then decide.")


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """What a schedule does: `cron` in `timezone`, or `every_seconds`, starts `function` with `input_text`.

    Without a `version` it is the newest at each time. `overlap` is SKIP, ALLOW, WAIT or REPLACE, `catch_up` LATEST,
    NONE or ALL: see the models.
    """

    function: str
    cron: str = ""
    every_seconds: int | None = None
    timezone: str = "UTC"
    version: int | None = None
    input_text: str = "{}"
    tags: Mapping[str, str] | None = None
    overlap: str = OverlapPolicy.SKIP
    catch_up: str = CatchUpPolicy.LATEST


@transaction.atomic
def create_schedule(name: str, spec: ScheduleSpec, *, actor: Actor, reason: str = "") -> UUID:
    """Make a schedule; its first time is the next that its rule gives.

    Raises:
        InvalidInput: an argument can't be accepted, or the name is taken; `field` says which.
        FunctionNotFound: no such function or version is known.
    """
    if not NAME.fullmatch(name):
        raise InvalidInput(
            "name", f"{str(name)[:60]!r} is no name for a schedule.", "1 to 40 letters, digits, - and _."
        )
    now = database_now()
    rule = checked_rule(spec, now)
    schedule = Schedule(id=uuid7(), name=name, anchor_at=now, created_by=actor.label[:256], **_columns(spec, rule))
    schedule.next_at = rule.next_after(now)
    try:
        with transaction.atomic():
            schedule.save(force_insert=True)
    except IntegrityError:
        raise ScheduleNameTaken(name) from None
    _record(actor, "create_schedule", schedule, reason)
    _poke(schedule, now)
    return schedule.pk


@transaction.atomic
def update_schedule(
    schedule_id: UUID, spec: ScheduleSpec, *, actor: Actor, reason: str = "", seen_revision: int | None = None
) -> None:
    """Change what a schedule does, from its next time on, counted from now. A pause stays.

    Raises:
        ScheduleNotFound: there is no such schedule.
        ScheduleChanged: `seen_revision` was given and somebody has changed it since.
        InvalidInput, FunctionNotFound: as `create_schedule`.
    """
    schedule = _locked(schedule_id)
    if seen_revision is not None and schedule.revision != seen_revision:
        raise ScheduleChanged
    now = database_now()
    # The distance of a schedule that goes on counts from where it did.
    keeps_anchor = spec.every_seconds is not None and spec.every_seconds == schedule.every_seconds
    rule = checked_rule(spec, schedule.anchor_at if keeps_anchor else now)
    if not keeps_anchor:
        schedule.anchor_at = now
    for column, value in _columns(spec, rule).items():
        setattr(schedule, column, value)
    schedule.revision += 1
    schedule.next_at = rule.next_after(now)
    schedule.save()
    _record(actor, "update_schedule", schedule, reason)
    _poke(schedule, now)


@transaction.atomic
def put_schedule(name: str, spec: ScheduleSpec, *, actor: Actor) -> UUID:
    """Make the schedule, or change it if it does something else: for a deploy that says what schedules there are.

    A schedule that is as it should be is left alone, with its pause and its next time.

    Raises:
        InvalidInput, FunctionNotFound: as `create_schedule`.
    """
    found = Schedule.objects.filter(name=name).values_list("pk", flat=True)
    if not found.exists():
        try:
            return create_schedule(name, spec, actor=actor)
        except ScheduleNameTaken:
            pass  # by another process of the same deploy, just now
    schedule = _locked(found.get())
    wanted = _columns(spec, checked_rule(spec, schedule.anchor_at))
    if any(getattr(schedule, column) != value for column, value in wanted.items()):
        update_schedule(schedule.pk, spec, actor=actor)
    return schedule.pk


@transaction.atomic
def delete_schedule(schedule_id: UUID, *, actor: Actor, reason: str = "") -> None:
    """Delete a schedule and what it remembers of its times. Executions that it started stay.

    Raises:
        ScheduleNotFound: there is no such schedule.
    """
    schedule = _locked(schedule_id)
    _record(actor, "delete_schedule", schedule, reason)
    schedule.delete()


@transaction.atomic
def pause_schedule(schedule_id: UUID, *, actor: Actor, reason: str = "") -> None:
    """Let a schedule start nothing until it is resumed. Times that pass meanwhile are not caught up.

    Raises:
        ScheduleNotFound: there is no such schedule.
        ActionRefused: it is paused already.
    """
    schedule = _locked(schedule_id)
    if schedule.paused_at is not None:
        message = f"The schedule is paused already, by {schedule.paused_by}."
        raise ActionRefused(message)
    schedule.paused_at = database_now()
    schedule.paused_by = actor.label[:256]
    schedule.pause_reason = checked_reason(reason)
    schedule.save(update_fields=["paused_at", "paused_by", "pause_reason"])
    _record(actor, "pause_schedule", schedule, reason)


@transaction.atomic
def resume_schedule(schedule_id: UUID, *, actor: Actor, reason: str = "") -> None:
    """Let a paused schedule go on with its next time from now.

    Raises:
        ScheduleNotFound: there is no such schedule.
        ActionRefused: it isn't paused.
    """
    schedule = _locked(schedule_id)
    if schedule.paused_at is None:
        raise ActionRefused("The schedule isn't paused.")
    now = database_now()
    schedule.paused_at = None
    schedule.paused_by = schedule.pause_reason = ""
    schedule.next_at = recurrence_of(schedule).next_after(now)
    schedule.save(update_fields=["paused_at", "paused_by", "pause_reason", "next_at"])
    _record(actor, "resume_schedule", schedule, reason)
    _poke(schedule, now)


@transaction.atomic
def trigger_schedule(schedule_id: UUID, *, actor: Actor, reason: str = "") -> StartedExecution:
    """Start what a schedule starts, now and beside whatever runs; its times stay as they are.

    Raises:
        ScheduleNotFound: there is no such schedule.
        FunctionNotFound, FunctionPaused, InvalidInput: as `start_execution`.
    """
    schedule = _locked(schedule_id)
    started = start_execution(
        schedule.function,
        schedule.input,
        actor=actor,
        name=f"{schedule.name}-by-hand-{uuid7().hex[-8:]}",
        version=schedule.version,
        tags=schedule.tags,
        audited=False,
    )
    ScheduleRun.objects.create(
        schedule=schedule,
        due_at=database_now(),
        outcome=RunOutcome.STARTED,
        execution_id=started.id,
        started_by=actor.label[:256],
    )
    _record(actor, "trigger_schedule", schedule, reason, execution_id=started.id)
    return started


def checked_rule(spec: ScheduleSpec, anchor: datetime) -> Recurrence:
    """Return when a schedule of this kind is due.

    Raises:
        InvalidInput: both or neither of `cron` and `every_seconds` are given, or the one can't be accepted.
    """
    if bool(spec.cron.strip()) == (spec.every_seconds is not None):
        raise InvalidInput("cron", "give either a cron expression or a distance in time.")
    if spec.every_seconds is not None:
        return checked_every(spec.every_seconds, anchor)
    return checked_cron(spec.cron, spec.timezone)


def recurrence_of(schedule: Schedule) -> Recurrence:
    """Return when a schedule is due."""
    return Recurrence(schedule.cron, schedule.timezone, schedule.every_seconds, schedule.anchor_at)


def _columns(spec: ScheduleSpec, rule: Recurrence) -> dict[str, Any]:
    """The checked columns of a schedule that does this."""
    function = known_functions([(spec.function, spec.version)])[spec.function, spec.version]
    json_text = checked_input(spec.input_text)
    check_against_schema(function, json_text)
    for field, value, choices in (
        ("overlap", spec.overlap, OverlapPolicy.values),
        ("catch_up", spec.catch_up, CatchUpPolicy.values),
    ):
        if value not in choices:
            raise InvalidInput(field, f"{str(value)[:20]!r} is none of {', '.join(choices)}.")
    return {
        "function": function.name,
        "version": spec.version,
        "input": json_text.text,
        "tags": checked_tags(spec.tags),
        "cron": rule.cron,
        "timezone": rule.timezone,
        "every_seconds": rule.every_seconds,
        "overlap": spec.overlap,
        "catch_up": spec.catch_up,
    }


def _locked(schedule_id: UUID) -> Schedule:
    schedule = lock_schedule(schedule_id)
    if schedule is None:
        raise ScheduleNotFound(schedule_id)
    return schedule


def _record(actor: Actor, action: str, schedule: Schedule, reason: str, *, execution_id: UUID | None = None) -> None:
    details = {
        "schedule": schedule.name,
        "function": schedule.function,
        "cron": schedule.cron,
        "every_seconds": schedule.every_seconds,
    }
    kept = {name: value for name, value in details.items() if value}
    record_audit(actor, action, execution_id=execution_id, reason=checked_reason(reason), details=kept)


def _poke(schedule: Schedule, now: datetime) -> None:
    if schedule.next_at is not None and schedule.paused_at is None:
        seconds = (schedule.next_at - now).total_seconds()
        transaction.on_commit(lambda: dispatch.poke_scheduler(seconds), robust=True)


def spec_of(schedule: Schedule) -> ScheduleSpec:
    """Return what a schedule does, as it would be asked for."""
    fields = {name: getattr(schedule, name) for name in asdict(ScheduleSpec("")) if name != "input_text"}
    return ScheduleSpec(**fields, input_text=schedule.input)
