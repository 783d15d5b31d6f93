"""Absences and delegations: who decides in a person's place, from when until when."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from approvals.forms import AbsenceForm, DelegationForm
from approvals.queries.absences import absences_of, delegations_of
from approvals.queries.colleagues import colleagues_of
from approvals.services import absences
from approvals.services.exceptions import InvalidAnswer, RequestNotFound
from approvals.views.common import error_lines, person_page, put_errors, user_of

# What the services call a field, where a page calls it by the day.
DAYS = {"starts_at": "starts_on", "ends_at": "ends_on"}


@person_page
@require_safe
def away(request: HttpRequest) -> HttpResponse:
    """Show the person's absences and delegations, with the forms for new ones."""
    return _page(request)


@person_page
@require_POST
def absence_start(request: HttpRequest) -> HttpResponse:
    """Say that one is away."""
    form = AbsenceForm(request.POST)

    def act() -> None:
        data = form.cleaned_data
        starts_at, ends_at = _begin(data["starts_on"]), _end(data["ends_on"])
        who, note = data["substitute"], data["note"]
        absences.start_absence(
            actor=user_of(request), starts_at=starts_at, ends_at=ends_at or timezone.now(), substitute=who, note=note
        )

    if _accepted(form, act):
        messages.success(request, _("Your absence is noted."))
        return redirect("approvals:away")
    return _page(request, absence=form, status=422)


@person_page
@require_POST
def delegation_start(request: HttpRequest) -> HttpResponse:
    """Let a colleague decide in one's place."""
    form = DelegationForm(request.POST)

    def act() -> None:
        data = form.cleaned_data
        absences.start_delegation(
            actor=user_of(request),
            to=data["to"],
            starts_at=_begin(data["starts_on"]),
            ends_at=_end(data["ends_on"]),
            functions=data["functions"].split(","),
            reason=data["reason"],
        )

    if _accepted(form, act):
        messages.success(request, _("Your colleague may decide in your place."))
        return redirect("approvals:away")
    return _page(request, delegation=form, status=422)


@person_page
@require_POST
def absence_end(request: HttpRequest, absence_id: UUID) -> HttpResponse:
    """Say that one is back."""
    return _over(request, lambda: absences.end_absence(absence_id, actor=user_of(request)), _("Welcome back."))


@person_page
@require_POST
def delegation_end(request: HttpRequest, delegation_id: UUID) -> HttpResponse:
    """End a delegation."""
    done = _("The delegation is over. Answers given so far stay.")
    return _over(request, lambda: absences.end_delegation(delegation_id, actor=user_of(request)), done)


def _over(request: HttpRequest, act: Callable[[], None], done: str) -> HttpResponse:
    try:
        act()
    except RequestNotFound as error:
        raise Http404("There is no such thing to end.") from error
    messages.success(request, done)
    return redirect("approvals:away")


def _accepted(form: forms.Form, act: Callable[[], None]) -> bool:
    """Whether the form could be carried out; otherwise it has the reasons."""
    if not form.is_valid():
        return False
    try:
        act()
    except InvalidAnswer as error:
        put_errors(form, {DAYS.get(name, name): found for name, found in error.errors.items()})
        return False
    return True


def _page(
    request: HttpRequest,
    *,
    absence: AbsenceForm | None = None,
    delegation: DelegationForm | None = None,
    status: int = 200,
) -> HttpResponse:
    person = user_of(request)
    absence_form, delegation_form = absence or AbsenceForm(), delegation or DelegationForm()
    context = {
        "section": "approvals",
        "absences": absences_of(person.pk),
        "delegations": delegations_of(person.pk),
        "absence_form": absence_form,
        "delegation_form": delegation_form,
        "errors": error_lines(absence_form, delegation_form),
        "colleagues": colleagues_of(person),
        "now": timezone.now(),
    }
    return render(request, "approvals/away.html", context, status=status)


def _begin(day: date | None) -> datetime | None:
    """The beginning of a day; none for today or no day, which is now."""
    if day is None or day == timezone.localdate():
        return None
    return datetime.combine(day, time(), tzinfo=UTC)


def _end(day: date | None) -> datetime | None:
    """The end of a day."""
    return None if day is None else datetime.combine(day, time(), tzinfo=UTC) + timedelta(days=1)
