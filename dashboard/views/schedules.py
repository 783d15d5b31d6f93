"""Schedules: the list, one of them, make, change, trigger, pause, resume, delete."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.asking import Asked, ask_or_act
from dashboard.schedule_form import ScheduleForm
from dashboard.schedule_pages import UPCOMING, list_page, schedule_page, schedule_url
from durable_engine.access import require_permission
from durable_engine.queries.schedules import ScheduleView, schedule_with
from durable_engine.services import schedules
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError
from durable_engine.services.functions import function_names
from durable_engine.services.recurrence import time_zones

ask = require_http_methods(["GET", "HEAD", "POST"])


@require_permission("durable_engine.view_schedule")
@never_cache
@require_safe
def schedule_list(request: HttpRequest) -> HttpResponse:
    """List the schedules by name."""
    return render(request, "dashboard/schedule_list.html", list_page())


@require_permission("durable_engine.view_schedule")
@never_cache
@require_safe
def schedule_detail(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    """Show one schedule: its next times, and what became of the past ones."""
    context = schedule_page(_schedule_or_404(schedule_id), request.GET.get("cursor"))
    return render(request, "dashboard/schedule_detail.html", context)


@require_permission("durable_engine.change_schedule")
@never_cache
@ask
def schedule_create(request: HttpRequest) -> HttpResponse:
    """Show the form of a new schedule, its next times when asked for, and make it."""
    data = request.POST if request.method == "POST" else None
    form = ScheduleForm(function_names(), data, function=request.GET.get("function", ""))

    def create() -> UUID:
        return schedules.create_schedule(
            form.cleaned_data["name"], form.spec(), actor=_actor(request), reason=form.cleaned_data["reason"]
        )

    return _save_or_show(request, form, create, None)


@require_permission("durable_engine.change_schedule")
@never_cache
@ask
def schedule_edit(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    """Show the form of a schedule, and change it unless somebody else has since."""
    schedule = _schedule_or_404(schedule_id)
    data = request.POST if request.method == "POST" else None
    form = ScheduleForm(function_names(), data, schedule=schedule)

    def update() -> UUID:
        schedules.update_schedule(
            schedule_id,
            form.spec(),
            actor=_actor(request),
            reason=form.cleaned_data["reason"],
            seen_revision=form.cleaned_data["revision"],
        )
        return schedule_id

    return _save_or_show(request, form, update, schedule)


@require_permission("durable_engine.start_execution")
@never_cache
@ask
def schedule_trigger(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    """Start now what a schedule starts."""
    effect = "An execution starts at once, beside any that is live. The times of the schedule stay as they are."
    asked = Asked("Start it now?", effect, "Start now", "An execution was started.")

    def trigger(actor: Actor, reason: str) -> str:
        started = schedules.trigger_schedule(schedule_id, actor=actor, reason=reason)
        return reverse("dashboard:execution-detail", args=[started.id])

    return _ask(request, schedule_id, asked, trigger)


@require_permission("durable_engine.change_schedule")
@never_cache
@ask
def schedule_pause(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    """Let a schedule start nothing until it is resumed."""
    effect = "It starts nothing until somebody resumes it. Times that pass meanwhile are not caught up."
    asked = Asked("Pause this schedule?", effect, "Pause schedule", "The schedule is paused.")

    def pause(actor: Actor, reason: str) -> None:
        schedules.pause_schedule(schedule_id, actor=actor, reason=reason)

    return _ask(request, schedule_id, asked, pause)


@require_permission("durable_engine.change_schedule")
@never_cache
@ask
def schedule_resume(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    """Let a paused schedule go on."""
    asked = Asked("Resume this schedule?", "It goes on with its next time.", "Resume schedule", "The schedule goes on.")

    def resume(actor: Actor, reason: str) -> None:
        schedules.resume_schedule(schedule_id, actor=actor, reason=reason)

    return _ask(request, schedule_id, asked, resume)


@require_permission("durable_engine.change_schedule")
@never_cache
@ask
def schedule_delete(request: HttpRequest, schedule_id: UUID) -> HttpResponse:
    """Delete a schedule."""
    effect = "It starts nothing any more, and its past times are forgotten. Executions that it started stay."
    asked = Asked(
        "Delete this schedule?",
        effect,
        "Delete schedule",
        "The schedule was deleted.",
        button_style="button-danger-fill",
    )

    def delete(actor: Actor, reason: str) -> str:
        schedules.delete_schedule(schedule_id, actor=actor, reason=reason)
        return reverse("dashboard:schedule-list")

    return _ask(request, schedule_id, asked, delete)


def _save_or_show(
    request: HttpRequest, form: ScheduleForm, save: Callable[[], UUID], schedule: ScheduleView | None
) -> HttpResponse:
    """Show the form, with its next times when they were asked for, or save and lead to the schedule."""
    if request.method != "POST":
        return _form(request, form, schedule)
    if not form.is_valid():
        return _form(request, form, schedule, status=422)
    if "check" in request.POST:
        now = timezone.now()
        rule = form.rule(now)
        if rule is None:
            return _form(request, form, schedule, status=422)
        return _form(request, form, schedule, rule=rule.in_words(), upcoming=rule.upcoming(now, UPCOMING))
    try:
        schedule_id = save()
    except DurableServiceError as error:
        form.refuse(error)
        return _form(request, form, schedule, status=422 if error.status_code == 400 else error.status_code)
    messages.success(request, "The schedule was saved.")
    return redirect(schedule_url(schedule_id))


def _form(
    request: HttpRequest, form: ScheduleForm, schedule: ScheduleView | None, *, status: int = 200, **more: Any
) -> HttpResponse:
    context = {
        "section": "schedules",
        "form": form,
        "schedule": schedule,
        "zones": sorted(time_zones()),
        "cancel_url": schedule_url(schedule.id) if schedule else reverse("dashboard:schedule-list"),
        **more,
    }
    return render(request, "dashboard/schedule_form.html", context, status=status)


def _ask(
    request: HttpRequest, schedule_id: UUID, asked: Asked, act: Callable[[Actor, str], str | None]
) -> HttpResponse:
    schedule = _schedule_or_404(schedule_id)
    named = Asked(
        asked.title, asked.effect, asked.button, asked.done, subject=schedule.name, button_style=asked.button_style
    )
    return ask_or_act(request, named, act, back_url=schedule_url(schedule_id), section="schedules")


def _schedule_or_404(schedule_id: UUID) -> ScheduleView:
    schedule = schedule_with(schedule_id)
    if schedule is None:
        raise Http404(f"There is no schedule {schedule_id}.")
    return schedule


def _actor(request: HttpRequest) -> Actor:
    return Actor.of_user(request.user)  # type: ignore[arg-type]  # the decorator let no anonymous in
