"""The forms of API keys: what people choose, and what the service takes."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.utils import timezone

from durable_engine.services.api_keys import APPROVE, DEFAULT_SCOPES, MAX_NAME, MAX_RATE, SCOPES

WHAT_SCOPES_ALLOW = {
    "start": "start executions",
    "read": "look at functions, executions and histories, with their data",
    "stop": "stop, pause, resume and delete executions",
    "repair": "redrive, rewind, fork, run again, retry, skip, complete by hand, change tags",
    "callback": "complete callbacks",
    "checkpoint": "what remote functions need",
    "approve": "look at approval requests and answer them, as one person",
    "metrics": "the figures for Prometheus, of all functions",
}
CODE = {"autocomplete": "off", "spellcheck": "false"}


class KeyForm(forms.Form):
    """A new key."""

    name = forms.CharField(
        max_length=MAX_NAME, help_text="Who or what uses it.", widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    scopes = forms.MultipleChoiceField(
        label="May",
        choices=[(scope, f"{scope}: {WHAT_SCOPES_ALLOW[scope]}") for scope in SCOPES],
        initial=list(DEFAULT_SCOPES),
        widget=forms.CheckboxSelectMultiple,
    )
    acts_for = forms.CharField(
        label="Answers approvals as",
        required=False,
        max_length=150,
        help_text=f"A user name; for keys that may {APPROVE}.",
        widget=forms.TextInput(attrs=CODE),
    )
    functions = forms.CharField(
        required=False,
        max_length=4000,
        help_text="Names, or beginnings that end in *, separated by blanks. Left empty: all functions.",
        widget=forms.TextInput(attrs={**CODE, "class": "mono"}),
    )
    expires_on = forms.DateField(
        label="Valid until",
        required=False,
        help_text="The end of that day, UTC. Left empty: until it is revoked.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    requests_per_second = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_RATE, help_text="In each web process. Left empty: the setting."
    )

    def options(self) -> dict[str, Any]:
        """Return the arguments of `create_api_key`, all but who acts."""
        data = self.cleaned_data
        day = data["expires_on"]
        return {
            "name": data["name"],
            "scopes": data["scopes"],
            "functions": data["functions"].split(),
            "expires_at": None if day is None else datetime.combine(day, time.max, UTC),
            "requests_per_second": data["requests_per_second"],
            "acts_for": data["acts_for"],
        }

    def clean_expires_on(self) -> object:
        """Refuse a day that is over."""
        day = self.cleaned_data["expires_on"]
        if day is not None and day < timezone.now().date():
            raise forms.ValidationError("This day is over.")
        return day


class RotateForm(forms.Form):
    """How long the secret before it stays valid."""

    grace = forms.TypedChoiceField(
        label="The old secret stays valid for",
        coerce=int,
        choices=[(0, "no time"), (1, "an hour"), (24, "a day"), (168, "a week"), (720, "30 days")],
        initial=24,
    )
