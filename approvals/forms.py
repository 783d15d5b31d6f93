"""What people type on the pages of approvals. Whether it is accepted is decided by the services."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from approvals.services.callbacks import LONGEST_COMMENT
from approvals.services.texts import LONGEST_WORDS

ROWS = {"rows": 3}
# The page offers the names of colleagues in a list of that id.
USER_NAME = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "list": "colleagues"}


class CommentForm(forms.Form):
    """The comment of an answer."""

    comment = forms.CharField(
        required=False,
        max_length=LONGEST_WORDS,
        label=_("Comment"),
        help_text=_("Everybody who sees the request can read it."),
        widget=forms.Textarea(attrs=ROWS),
    )


class SayForm(forms.Form):
    """A comment, a question or a reply."""

    text = forms.CharField(max_length=LONGEST_WORDS, label=_("Your text"), widget=forms.Textarea(attrs=ROWS))


class DelegateForm(forms.Form):
    """To whom a request is sent on."""

    to = forms.CharField(
        max_length=254,
        label=_("User name of your colleague"),
        help_text=_("A mail address works too."),
        widget=forms.TextInput(attrs=USER_NAME),
    )
    comment = forms.CharField(
        required=False, max_length=LONGEST_WORDS, label=_("Note"), widget=forms.Textarea(attrs=ROWS)
    )


class ReasonForm(forms.Form):
    """Why something is done; it stays in the history."""

    reason = forms.CharField(max_length=LONGEST_WORDS, label=_("Reason"), widget=forms.Textarea(attrs=ROWS))


class ReassignForm(ReasonForm):
    """To whom a request is given."""

    users = forms.CharField(
        required=False,
        max_length=2_000,
        label=_("People"),
        help_text=_("User names, separated by commas."),
        widget=forms.TextInput(attrs=USER_NAME),
    )
    groups = forms.MultipleChoiceField(
        required=False, label=_("Groups"), choices=(), widget=forms.CheckboxSelectMultiple
    )
    replace = forms.BooleanField(
        required=False, initial=True, label=_("Instead of those asked so far; their answers stay")
    )
    field_order = ("users", "groups", "replace", "reason")

    def __init__(self, *args: Any, group_names: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["groups"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - for the type checker
        field.choices = [(name, name) for name in group_names]


class ExtendForm(ReasonForm):
    """Until when a request may be decided."""

    due_at = forms.DateTimeField(required=False, label=_("Due (UTC)"))
    expires_at = forms.DateTimeField(required=False, label=_("Ends (UTC)"))
    field_order = ("due_at", "expires_at", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("due_at", "expires_at"):
            self.fields[name].widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class BreakGlassForm(ReasonForm):
    """The decision of one person alone."""

    choice = forms.ChoiceField(label=_("Decision"), choices=(), widget=forms.RadioSelect)
    field_order = ("choice", "reason")

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["choice"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - for the type checker
        field.choices = choices


class DecisionForm(forms.Form):
    """One of four decisions about a plain callback, and what belongs to it."""

    decision = forms.ChoiceField(
        choices=[("approve", "Approve"), ("reject", "Reject"), ("answer", "Answer"), ("fail", "Fail")],
        error_messages={"required": _("Choose what to do."), "invalid_choice": _("There is no such decision.")},
    )
    comment = forms.CharField(
        required=False,
        max_length=LONGEST_COMMENT,
        label=_("Comment"),
        help_text=_("The handler receives it with the decision."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    result = forms.CharField(
        required=False,
        strip=False,
        label=_("Result (JSON)"),
        help_text=_("What the handler receives instead of approve or reject."),
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "class": "code-input"}),
    )
    message = forms.CharField(
        required=False,
        label=_("What went wrong"),
        help_text=_("The callback fails with this message: for trouble, not for a rejection."),
        max_length=LONGEST_COMMENT,
    )

    def clean(self) -> dict[str, Any]:
        """Require what the decision needs."""
        data: dict[str, Any] = super().clean() or {}
        if data.get("decision") == "answer" and not data.get("result", "").strip():
            self.add_error("result", _("Give a JSON value; null is one."))
        if data.get("decision") == "fail" and not data.get("message", "").strip():
            self.add_error("message", _("Say what went wrong."))
        return data


class AbsenceForm(forms.Form):
    """When somebody is away, and who stands in."""

    prefix = "absence"

    starts_on = forms.DateField(required=False, label=_("First day away"), help_text=_("Empty: from now."))
    ends_on = forms.DateField(label=_("Last day away"))
    substitute = forms.CharField(
        required=False,
        max_length=254,
        label=_("Who decides for you"),
        help_text=_("A user name. Empty: nobody; what only you may decide then waits."),
        widget=forms.TextInput(attrs=USER_NAME),
    )
    note = forms.CharField(required=False, max_length=500, label=_("Note for your colleagues"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _show_as_dates(self, "starts_on", "ends_on")


class DelegationForm(forms.Form):
    """A colleague who may decide in somebody's place."""

    prefix = "delegation"

    to = forms.CharField(
        max_length=254,
        label=_("Colleague"),
        help_text=_("A user name."),
        widget=forms.TextInput(attrs=USER_NAME),
    )
    starts_on = forms.DateField(required=False, label=_("First day"), help_text=_("Empty: from now."))
    ends_on = forms.DateField(required=False, label=_("Last day"), help_text=_("Empty: until you end it."))
    functions = forms.CharField(
        required=False,
        max_length=2_000,
        label=_("Only for these processes"),
        help_text=_("Names, separated by commas. Empty: all."),
    )
    reason = forms.CharField(required=False, max_length=500, label=_("Reason"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _show_as_dates(self, "starts_on", "ends_on")


class PreferencesForm(forms.Form):
    """Which mails somebody wants."""

    mail_requests = forms.BooleanField(required=False, label=_("Somebody asks me to decide"))
    mail_reminders = forms.BooleanField(required=False, label=_("What I should decide is overdue, or was escalated"))
    mail_outcomes = forms.BooleanField(
        required=False, label=_("What I asked for, or was asked, is decided or withdrawn")
    )
    mail_comments = forms.BooleanField(required=False, label=_("Comments, questions and replies"))


def _show_as_dates(form: forms.Form, *names: str) -> None:
    for name in names:
        form.fields[name].widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
