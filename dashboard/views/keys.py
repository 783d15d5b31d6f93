"""API keys: the list, a new one, a new secret, revoke. A secret is on one page, once, and never in a session."""

from __future__ import annotations

from datetime import timedelta

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.asking import Asked, ask_or_act
from dashboard.key_form import KeyForm, RotateForm
from durable_engine.access import require_permission
from durable_engine.models import ApiKey
from durable_engine.services import api_keys
from durable_engine.services.actors import Actor
from durable_engine.services.api_keys import KeyPair
from durable_engine.services.exceptions import DurableServiceError

MANAGE = "durable_engine.manage_apikey"
SECTION = "keys"

ask = require_http_methods(["GET", "HEAD", "POST"])


@require_permission(MANAGE)
@never_cache
@require_safe
def key_list(request: HttpRequest) -> HttpResponse:
    """List the keys, the newest first."""
    return render(request, "dashboard/key_list.html", {"section": SECTION, "keys": api_keys.list_api_keys()})


@require_permission(MANAGE)
@never_cache
@ask
@sensitive_variables()
def key_create(request: HttpRequest) -> HttpResponse:
    """Show the form of a new key, make it, and show its secret."""
    form = KeyForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return _form(request, form, status=422 if form.is_bound else 200)
    try:
        pair = api_keys.create_api_key(**form.options(), actor=_actor(request))
    except DurableServiceError as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return _form(request, form, status=422)
    return _secret(request, pair, "The key is made.")


@require_permission(MANAGE)
@never_cache
@ask
@sensitive_variables()
def key_rotate(request: HttpRequest, access_key_id: str) -> HttpResponse:
    """Ask how long the old secret is to live, make a new one, and show it."""
    key = _key_or_404(access_key_id)
    form = RotateForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            grace = timedelta(hours=form.cleaned_data["grace"])
            pair = api_keys.rotate_api_key(access_key_id, actor=_actor(request), grace=grace)
        except DurableServiceError as error:
            form.add_error(None, str(error))
            return _rotate(request, key, form, status=error.status_code)
        return _secret(request, pair, "The key has a new secret.")
    return _rotate(request, key, form, status=422 if form.is_bound else 200)


@require_permission(MANAGE)
@never_cache
@ask
def key_revoke(request: HttpRequest, access_key_id: str) -> HttpResponse:
    """Make a key useless."""
    key = _key_or_404(access_key_id)
    asked = Asked(
        title="Revoke this key?",
        effect="Requests that it signs are refused from now on, for good.",
        button="Revoke key",
        button_style="button-danger-fill",
        done=f"The key {key.name} is revoked.",
        subject=f"{key.name} ({key.access_key_id})",
    )

    def revoke(actor: Actor, reason: str) -> None:
        api_keys.revoke_api_key(access_key_id, actor=actor, reason=reason)

    return ask_or_act(request, asked, revoke, back_url=reverse("dashboard:key-list"), section=SECTION)


def _form(request: HttpRequest, form: KeyForm, *, status: int) -> HttpResponse:
    return render(request, "dashboard/key_create.html", {"section": SECTION, "form": form}, status=status)


def _rotate(request: HttpRequest, key: ApiKey, form: RotateForm, *, status: int) -> HttpResponse:
    context = {"section": SECTION, "key": key, "form": form}
    return render(request, "dashboard/key_rotate.html", context, status=status)


def _secret(request: HttpRequest, pair: KeyPair, done: str) -> HttpResponse:
    # Answered to the POST itself: after a redirect the secret would have to wait in the session.
    context = {"section": SECTION, "key": pair.key, "secret": pair.secret, "done": done}
    return render(request, "dashboard/key_secret.html", context)


def _key_or_404(access_key_id: str) -> ApiKey:
    key = api_keys.api_key_with(access_key_id)
    if key is None:
        raise Http404(f"There is no API key {access_key_id}.")
    return key


def _actor(request: HttpRequest) -> Actor:
    return Actor.of_user(request.user)  # type: ignore[arg-type]  # the decorator let no anonymous in
