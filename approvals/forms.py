"""What a person sends to decide a callback."""

from typing import Any

from django import forms

from approvals.services import LONGEST_COMMENT


class DecisionForm(forms.Form):
    """One of four decisions, and what belongs to it."""

    decision = forms.ChoiceField(
        choices=[("approve", "Approve"), ("reject", "Reject"), ("answer", "Answer"), ("fail", "Fail")],
        error_messages={"required": "Choose what to do.", "invalid_choice": "There is no such decision."},
    )
    comment = forms.CharField(
        required=False,
        max_length=LONGEST_COMMENT,
        help_text="The handler receives it with the decision.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    result = forms.CharField(
        required=False,
        strip=False,
        label="Result (JSON)",
        help_text="What the handler receives instead of approve or reject.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "code-input"}),
    )
    message = forms.CharField(
        required=False,
        label="What went wrong",
        help_text="The callback fails with this message: for trouble, not for a rejection.",
        max_length=LONGEST_COMMENT,
    )

    def clean(self) -> dict[str, Any]:
        """Require what the decision needs."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("decision") == "answer" and not data.get("result", "").strip():
            self.add_error("result", "Give a JSON value; null is one.")
        if data.get("decision") == "fail" and not data.get("message", "").strip():
            self.add_error("message", "Say what went wrong.")
        return data
