"""Accounts and their groups: the list, one of them, make, close, open, a new password. A password is shown once."""

from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.asking import Asked, ask_or_act
from durable_engine.access import require_permission
from durable_engine.queries.people import PersonView, list_people, manageable_groups, person_with
from durable_engine.services import people
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError

MANAGE = "durable_engine.manage_people"
# What each of our own groups allows, in a few words.
ALLOWS = {
    "Viewer": "sees executions, functions, schedules and workers, without inputs, results and error texts",
    "Payload viewer": "sees what a Viewer sees, with inputs, results and errors",
    "Operator": "starts, stops, pauses, resumes, retries, redrives; pauses functions; changes schedules",
    "Approver": "answers callbacks",
    "Administrator": "may do everything, the audit, API keys and people included",
}

ask = require_http_methods(["GET", "HEAD", "POST"])


class GroupsForm(forms.Form):
    """Which groups an account is in."""

    groups = forms.MultipleChoiceField(required=False, widget=forms.CheckboxSelectMultiple)
    reason = forms.CharField(
        required=False, max_length=1000, help_text="Kept in the audit.", widget=forms.Textarea(attrs={"rows": 2})
    )

    def __init__(self, names: Sequence[str], data: QueryDict | None = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        own = [name for name in ALLOWS if name in names]
        field: Any = self.fields["groups"]
        field.choices = [(name, f"{name}: {ALLOWS[name]}") for name in own] + [
            (name, name) for name in names if name not in ALLOWS
        ]


class AccountForm(GroupsForm):
    """A new account."""

    username = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    email = forms.EmailField(required=False, help_text="For mails about approvals.")

    field_order = ("username", "email", "groups", "reason")


@require_permission(MANAGE)
@never_cache
@require_safe
def person_list(request: HttpRequest) -> HttpResponse:
    """List the accounts by name."""
    text = request.GET.get("q", "").replace("\x00", "")[:150]
    page = list_people(text, request.GET.get("after", "").replace("\x00", "")[:150])
    more = f"?{urlencode({'q': text, 'after': page.after})}" if page.after else ""
    context = {"section": "people", "people": page.people, "text": text, "older_url": more, "older_label": "More"}
    return render(request, "dashboard/person_list.html", context)


@require_permission(MANAGE)
@never_cache
@ask
def person_detail(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show one account, and change its groups."""
    person = _person_or_404(user_id)
    data = request.POST if request.method == "POST" else None
    form = GroupsForm(manageable_groups(), data, initial={"groups": list(person.groups)})
    if data is None:
        return _detail(request, person, form)
    if not form.is_valid():
        return _detail(request, person, form, status=422)
    try:
        people.set_groups(user_id, form.cleaned_data["groups"], by=_by(request), reason=form.cleaned_data["reason"])
    except DurableServiceError as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return _detail(request, person, form, status=422 if error.status_code == 400 else error.status_code)
    messages.success(request, "The groups were changed.")
    return redirect("dashboard:person-detail", user_id)


@require_permission(MANAGE)
@never_cache
@ask
@sensitive_variables()
def person_create(request: HttpRequest) -> HttpResponse:
    """Show the form of a new account, make it, and show its password."""
    form = AccountForm(manageable_groups(), request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            password = people.create_account(
                typed["username"], typed["groups"], email=typed["email"], by=_by(request), reason=typed["reason"]
            )
        except DurableServiceError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            return _password(request, typed["username"], password, "The account is made.")
    context = {"section": "people", "form": form}
    return render(request, "dashboard/person_create.html", context, status=422 if form.is_bound else 200)


@require_permission(MANAGE)
@never_cache
@ask
def person_close(request: HttpRequest, user_id: int) -> HttpResponse:
    """Let nobody log in with an account any more."""
    effect = "Nobody can log in with it; who is logged in with it is out with the next page. It can be opened again."
    asked = Asked("Close this account?", effect, "Close account", "The account is closed.")
    return _ask(request, user_id, asked, people.close_account)


@require_permission(MANAGE)
@never_cache
@ask
def person_open(request: HttpRequest, user_id: int) -> HttpResponse:
    """Let a closed account log in again."""
    effect = "It can log in again, with its groups as they were."
    asked = Asked("Open this account?", effect, "Open account", "The account is open.")
    return _ask(request, user_id, asked, people.open_account)


@require_permission(MANAGE)
@never_cache
@ask
@sensitive_variables()
def person_password(request: HttpRequest, user_id: int) -> HttpResponse:
    """Give an account a new password, and show it."""
    person = _person_or_404(user_id)
    asked = Asked(
        "Give it a new password?",
        "The old one is no longer valid, and whoever is logged in with it is out. The next page shows the new one.",
        "New password",
        "",
        subject=person.username,
    )
    shown: list[str] = []

    def reset(_actor: Actor, reason: str) -> None:
        shown.append(people.reset_password(user_id, by=_by(request), reason=reason))

    answer = ask_or_act(request, asked, reset, back_url=_url(user_id), section="people")
    # Not over a redirect: the password would have to be kept somewhere in between.
    return _password(request, person.username, shown[0], "The password is changed.") if shown else answer


def _ask(request: HttpRequest, user_id: int, asked: Asked, service: Callable[..., None]) -> HttpResponse:
    person = _person_or_404(user_id)
    named = Asked(asked.title, asked.effect, asked.button, asked.done, subject=person.username)

    def act(_actor: Actor, reason: str) -> None:
        service(user_id, by=_by(request), reason=reason)

    return ask_or_act(request, named, act, back_url=_url(user_id), section="people")


def _detail(request: HttpRequest, person: PersonView, form: GroupsForm, *, status: int = 200) -> HttpResponse:
    context = {"section": "people", "person": person, "form": form}
    return render(request, "dashboard/person_detail.html", context, status=status)


def _password(request: HttpRequest, username: str, password: str, done: str) -> HttpResponse:
    context = {"section": "people", "username": username, "password": password, "done": done}
    return render(request, "dashboard/person_password.html", context)


def _person_or_404(user_id: int) -> PersonView:
    person = person_with(user_id) if user_id < 2**31 else None
    if person is None:
        raise Http404(f"There is no account {user_id}.")
    return person


def _by(request: HttpRequest) -> User:
    return cast(User, request.user)  # the decorator let no anonymous in


def _url(user_id: int) -> str:
    return reverse("dashboard:person-detail", args=[user_id])
