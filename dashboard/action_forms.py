"""What an action asks for besides a reason."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import QueryDict

from dashboard.start_form import LARGE_TEXT

PLAIN_TEXT = {"autocomplete": "off", "spellcheck": "false"}


class VersionForm(forms.Form):
    """On which version of the function the new execution goes on."""

    version = forms.TypedChoiceField(label="Version", coerce=int)

    def __init__(self, data: QueryDict | None, *, versions: Sequence[int], current: int) -> None:
        super().__init__(data, initial={"version": current})
        others = [version for version in versions if version != current]
        choices = [(current, f"{current}, as before"), *((version, str(version)) for version in others)]
        field: Any = self.fields["version"]
        field.choices = choices
        if not others:
            del self.fields["version"]

    @property
    def chosen_version(self) -> int | None:
        """The version, None for the same."""
        return self.cleaned_data.get("version")


class NamedVersionForm(VersionForm):
    """A new execution with a name of its own."""

    name = forms.CharField(
        required=False,
        max_length=64,
        label="Name",
        help_text="Without a name one is generated.",
        widget=forms.TextInput(attrs=PLAIN_TEXT),
    )
    field_order: Sequence[str] = ("name", "version")

    @property
    def chosen_name(self) -> str | None:
        """The name, None to have one generated."""
        return self.cleaned_data["name"].strip() or None


class ForkForm(NamedVersionForm):
    """A copy that may have another input."""

    input = forms.CharField(
        required=False,
        strip=False,
        label="Another input (JSON)",
        help_text="Left empty, it keeps its input. What is recorded of the operations before stays as it is.",
        widget=forms.Textarea(attrs={**LARGE_TEXT, "rows": 4}),
    )
    field_order = ("name", "version", "input")

    @property
    def chosen_input(self) -> str | None:
        """The JSON text, None for the same."""
        text: str = self.cleaned_data["input"]
        return text if text.strip() else None


class CompleteForm(forms.Form):
    """The outcome of an operation that is completed by hand."""

    outcome = forms.ChoiceField(
        choices=[("result", "It succeeded, with this result"), ("error", "It failed, with this error")],
        initial="result",
        label="Outcome",
        widget=forms.RadioSelect,
    )
    result = forms.CharField(
        required=False,
        strip=False,
        label="Result (JSON)",
        help_text="Any JSON value; left empty, it is null. The handler gets it as if the operation had returned it.",
        widget=forms.Textarea(attrs={**LARGE_TEXT, "rows": 4}),
    )
    error_type = forms.CharField(
        required=False, max_length=256, label="Error type", widget=forms.TextInput(attrs=PLAIN_TEXT)
    )
    error_message = forms.CharField(
        required=False, max_length=2000, label="Error message", widget=forms.Textarea(attrs={"rows": 2})
    )

    def clean(self) -> dict[str, Any]:
        """An error needs something to say."""
        values: dict[str, Any] = super().clean() or {}
        if values.get("outcome") == "error" and not (values.get("error_message") or "").strip():
            self.add_error("error_message", "Say what went wrong: the handler and people get to see it.")
        return values

    @property
    def chosen(self) -> dict[str, Any]:
        """The arguments of the service."""
        values = self.cleaned_data
        if values["outcome"] == "error":
            error = {"ErrorType": values["error_type"].strip() or "CompletedByHand"}
            return {"error": error | {"ErrorMessage": values["error_message"]}}
        text: str = values["result"]
        return {"result_text": text if text.strip() else None}
