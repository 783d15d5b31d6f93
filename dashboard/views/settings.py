"""One's own preferences, and how the database is."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import password_validators_help_texts
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.preferences import (
    ABSOLUTE,
    RELATIVE,
    THEME_COOKIE,
    TIMES_COOKIE,
    YEAR_SECONDS,
    ZONE_COOKIE,
    Preferences,
)
from durable_engine.access import require_permission, signed_in
from durable_engine.queries.storage_state import COUNT_CAP, storage_state
from durable_engine.services.people import change_own_password
from durable_engine.services.recurrence import time_zones


class PreferencesForm(forms.Form):
    """How pages look for this person, in this browser."""

    zone = forms.ChoiceField(label="Time zone", help_text="Of all times on all pages, charts included.")
    times = forms.ChoiceField(
        choices=[(RELATIVE, "How long ago, the date on hover"), (ABSOLUTE, "Dates, how long ago on hover")],
        widget=forms.RadioSelect,
    )
    theme = forms.ChoiceField(
        required=False,
        choices=[("", "As the system has it"), ("light", "Light"), ("dark", "Dark")],
        widget=forms.RadioSelect,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["zone"]
        field.choices = [(zone, zone) for zone in ("UTC", *sorted(time_zones() - {"UTC"}))]


class PasswordForm(PasswordChangeForm):
    """The old password, and the new one twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # As text: the form of Django writes a list in HTML.
        self.fields["new_password1"].help_text = " ".join(password_validators_help_texts())


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def password(request: HttpRequest) -> HttpResponse:
    """Change one's own password."""
    user = cast(User, request.user)  # the decorator let no anonymous in
    form = PasswordForm(user, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        context = {"section": "settings", "form": form}
        return render(request, "dashboard/password.html", context, status=422 if form.is_bound else 200)
    change_own_password(user, form.cleaned_data["new_password1"])
    # This session stays; every other one of the account ends.
    update_session_auth_hash(request, user)
    messages.success(request, "Your password was changed.")
    return redirect("dashboard:settings")


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest) -> HttpResponse:
    """Show and keep one's preferences. They are cookies: of this browser, and no change to anything else."""
    current = Preferences.of_request(request)
    initial = {"zone": current.zone, "times": current.times, "theme": current.theme}
    form = PreferencesForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method != "POST" or not form.is_valid():
        status = 422 if form.is_bound else 200
        return render(request, "dashboard/settings.html", {"section": "settings", "form": form}, status=status)
    response = redirect("dashboard:settings")
    for name, value in (
        (ZONE_COOKIE, form.cleaned_data["zone"]),
        (TIMES_COOKIE, form.cleaned_data["times"]),
        (THEME_COOKIE, form.cleaned_data["theme"]),
    ):
        # Readable by scripts: the light/dark switch of every page writes one of them.
        response.set_cookie(name, value, max_age=YEAR_SECONDS, samesite="Lax", secure=request.is_secure())
    messages.success(request, "Your preferences are kept in this browser.")
    return response


@require_permission("durable_engine.view_worker")
@never_cache
@require_safe
def storage(request: HttpRequest) -> HttpResponse:
    """Show what is kept, for how long, and how much room it takes."""
    context = {"section": "settings", "state": storage_state(), "count_cap": COUNT_CAP}
    return render(request, "dashboard/storage.html", context)
