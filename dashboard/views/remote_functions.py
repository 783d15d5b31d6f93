"""Functions that run elsewhere: the list, a new one, a change, and taking one away."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.asking import Asked, ask_or_act
from durable_engine.access import require_permission
from durable_engine.queries.remote_functions import RemoteView, remote_function, remote_functions
from durable_engine.sdk.remote import LONGEST_URL
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError
from durable_engine.services.remote_functions import (
    DEFAULT_INVOCATION_SECONDS,
    MAX_EXECUTION_SECONDS,
    MAX_INVOCATION_SECONDS,
    delete_remote_function,
    put_remote_function,
)

MANAGE = "durable_engine.manage_remotefunction"
SECTION = "settings"
CODE = {"autocomplete": "off", "spellcheck": "false", "class": "mono"}

ask = require_http_methods(["GET", "HEAD", "POST"])


class RemoteFunctionForm(forms.Form):
    """What people say of a remote function."""

    name = forms.CharField(
        max_length=140, help_text="As executions name it: letters, digits, - and _.", widget=forms.TextInput(attrs=CODE)
    )
    version = forms.IntegerField(min_value=1, max_value=2**31 - 1, initial=1)
    url = forms.CharField(
        label="URL",
        max_length=LONGEST_URL,
        help_text="Where workers reach it, such as http://10.0.0.7:9000; without login, query and fragment.",
        widget=forms.TextInput(attrs=CODE),
    )
    queue = forms.CharField(max_length=64, initial="durable", help_text="Workers that serve it send its invocations.")
    invocation_timeout_seconds = forms.FloatField(
        label="One invocation may take",
        min_value=1,
        max_value=MAX_INVOCATION_SECONDS,
        initial=DEFAULT_INVOCATION_SECONDS,
        help_text="Seconds.",
    )
    execution_timeout_seconds = forms.FloatField(
        label="An execution may take",
        required=False,
        min_value=1,
        max_value=MAX_EXECUTION_SECONDS,
        help_text="Seconds, waits included. Left empty: no limit.",
    )
    reason = forms.CharField(
        required=False, max_length=1000, help_text="Kept in the audit.", widget=forms.Textarea(attrs={"rows": 2})
    )


@require_permission(MANAGE)
@never_cache
@require_safe
def remote_function_list(request: HttpRequest) -> HttpResponse:
    """List those that people made and those of the environment."""
    context = {"section": SECTION, "functions": remote_functions()}
    return render(request, "dashboard/remote_function_list.html", context)


@require_permission(MANAGE)
@never_cache
@ask
def remote_function_create(request: HttpRequest) -> HttpResponse:
    """Show the form of a new one, and make it."""
    form = RemoteFunctionForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        name, version = form.cleaned_data["name"], form.cleaned_data["version"]
        if remote_function(name, version) is not None:
            form.add_error("name", f"{name}:{version} exists already; change that one, or use another version.")
    return _put(request, form, None)


@require_permission(MANAGE)
@never_cache
@ask
def remote_function_edit(request: HttpRequest, function: str, version: int) -> HttpResponse:
    """Show one to be changed, and change it."""
    view = _view_or_404(function, version)
    initial = {name: getattr(view, name) for name in RemoteFunctionForm.base_fields if name != "reason"}
    data = None if request.method != "POST" else {**request.POST.dict(), "name": view.name, "version": view.version}
    form = RemoteFunctionForm(data, initial=initial)
    # They name the one that is changed.
    form.fields["name"].disabled = form.fields["version"].disabled = True
    return _put(request, form, view)


@require_permission(MANAGE)
@never_cache
@ask
def remote_function_delete(request: HttpRequest, function: str, version: int) -> HttpResponse:
    """Invoke it there no longer."""
    view = _view_or_404(function, version)
    asked = Asked(
        title="Invoke this function there no longer?",
        effect="What runs ends. Its live executions wait until somebody serves it again.",
        button="Remove",
        button_style="button-danger-fill",
        done=f"{view.name}:{view.version} is removed.",
        subject=f"{view.name}:{view.version} at {view.url}",
    )

    def delete(actor: Actor, reason: str) -> None:
        delete_remote_function(view.name, view.version, actor=actor, reason=reason)

    return ask_or_act(request, asked, delete, back_url=reverse("dashboard:remote-function-list"), section=SECTION)


def _put(request: HttpRequest, form: RemoteFunctionForm, view: RemoteView | None) -> HttpResponse:
    status = 200
    if form.is_bound:
        status = 422
        if form.is_valid():
            try:
                put_remote_function(**_options(form), actor=Actor.of_user(request.user))  # type: ignore[arg-type]
            except DurableServiceError as error:
                form.add_error(error.field if error.field in form.fields else None, str(error))
                status = 422 if error.status_code == 400 else error.status_code
            else:
                messages.success(request, "Saved. Workers know within a few seconds.")
                return redirect("dashboard:remote-function-list")
    context = {"section": SECTION, "form": form, "view": view}
    return render(request, "dashboard/remote_function_form.html", context, status=status)


def _options(form: RemoteFunctionForm) -> dict[str, Any]:
    return dict(form.cleaned_data)


def _view_or_404(function: str, version: int) -> RemoteView:
    view = remote_function(function, version)
    if view is None:
        raise Http404(f"There is no remote function {function}:{version} that was made here.")
    return view
