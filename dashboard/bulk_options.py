"""What a bulk action is told besides its executions: the form that asks for it, and how its page shows it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.models import AnonymousUser, User
from django.http import QueryDict

from dashboard.action_forms import PLAIN_TEXT, CompleteForm
from dashboard.payloads import ShownPayload, shown
from dashboard.start_form import LARGE_TEXT
from durable_engine.queries.bulk import BulkActionView, masked_keys_of_bulk
from durable_engine.queries.bulk_options import BulkOptions, needs_operation, options_revision
from durable_engine.queries.masking import masked
from durable_engine.queries.named_operations import KINDS, OfferedName, offered_names

NAMES_ID = "operation-names"
SMALLEST, LARGEST = 1, 2**31 - 1


class OptionsForm(forms.Form):
    """What a bulk action is told; each field is an option."""

    @property
    def chosen(self) -> BulkOptions:
        """The options of the bulk action."""
        return BulkOptions(**self.cleaned_data)


def _version_field(without: str) -> forms.IntegerField:
    return forms.IntegerField(
        required=False,
        min_value=SMALLEST,
        max_value=LARGEST,
        label="Version",
        help_text=f"Of the function; left empty, {without}.",
    )


class RedriveForm(OptionsForm):
    """On which version of their function new executions go on."""

    version = _version_field("each has the one it had")


class OperationForm(OptionsForm):
    """On which operation of each execution."""

    operation = forms.CharField(
        strip=False,
        max_length=256,
        label="Name of the operation",
        help_text="As the handler names it; an execution without it is refused.",
        widget=forms.TextInput(attrs={**PLAIN_TEXT, "list": NAMES_ID}),
    )
    kind = forms.ChoiceField(
        required=False,
        choices=[("", "any kind"), *((kind, kind) for kind in KINDS.values())],
        label="Kind",
    )


class RewindForm(RedriveForm, OperationForm):
    """Before which operation new executions go on."""

    field_order: Sequence[str] = ("operation", "kind", "version")


class InputForm(OptionsForm):
    """With which input new executions start."""

    input = forms.CharField(
        required=False,
        strip=False,
        label="Another input for all (JSON)",
        help_text="Left empty, each has the input it had.",
        widget=forms.Textarea(attrs={**LARGE_TEXT, "rows": 4}),
    )

    @property
    def chosen(self) -> BulkOptions:
        """The options of the bulk action."""
        values = dict(self.cleaned_data)
        text: str = values.pop("input")
        return BulkOptions(**values, input_text=text if text.strip() else None)


class RerunForm(InputForm):
    """What new executions start with."""

    version = _version_field("the latest")
    field_order = ("version", "input")


class ForkForm(InputForm, RewindForm):
    """Before which operation copies go on, and with which input."""

    field_order = ("operation", "kind", "version", "input")


class CompleteManyForm(CompleteForm, OperationForm):
    """Which open operations are completed by hand, and with what."""

    field_order = ("operation", "kind", "outcome", "result", "error_type", "error_message")

    @property
    def chosen(self) -> BulkOptions:  # type: ignore[override]  # the same options, for many
        """The options of the bulk action."""
        outcome: dict[str, Any] = super().chosen
        return BulkOptions(operation=self.cleaned_data["operation"], kind=self.cleaned_data["kind"], **outcome)


FORMS: Mapping[str, type[OptionsForm]] = {
    "redrive": RedriveForm,
    "rerun": RerunForm,
    "rewind": RewindForm,
    "fork": ForkForm,
    "complete": CompleteManyForm,
}


def options_form(action: BulkActionView, data: QueryDict | None = None) -> OptionsForm | None:
    """The form of a bulk action that nobody has started; None when it takes no options."""
    form = FORMS.get(action.action)
    if form is None or action.status != "DRAFT":
        return None
    options = BulkOptions.of_json(action.options)
    # Values are typed again by whoever changes anything: not everybody may see what they are.
    return form(data, initial={name: getattr(options, name) for name in ("operation", "kind", "version")})


@dataclass(frozen=True, slots=True)
class OptionsShown:
    """The options of a bulk action in words; without `value` and messages for people who may not see payloads.

    `value` is the result or input that is given, if one is. `is_complete`: it can be started. `revision` changes when
    the options do, `names` are offered by the form.
    """

    facts: Sequence[tuple[str, str]]
    value: ShownPayload | None
    is_complete: bool
    revision: str
    names_id: str
    names: Sequence[OfferedName]


def options_shown(action: BulkActionView, user: User | AnonymousUser, *, with_names: bool) -> OptionsShown:
    """What the page of a bulk action shows of its options."""
    options = BulkOptions.of_json(action.options)
    value, sees_values = None, user.has_perm("durable_engine.view_payload")
    if options.value is not None and sees_values:
        value = shown(masked(options.value, masked_keys_of_bulk(action.id)))
    return OptionsShown(
        facts=list(_facts(action.action, options, sees_values)),
        value=value,
        is_complete=bool(options.operation) or not needs_operation(action.action),
        revision=options_revision(action.options),
        names_id=NAMES_ID,
        names=offered_names(action.id, action.action) if with_names and needs_operation(action.action) else (),
    )


def _facts(action: str, options: BulkOptions, sees_values: bool) -> Iterator[tuple[str, str]]:
    if options.operation:
        yield "Operation", f"{options.operation} ({options.kind})" if options.kind else options.operation
    if options.version is not None:
        yield "Version", str(options.version)
    if options.input_text is not None:
        yield "Input", "Another one"
    if action == "complete" and options.operation:
        yield "Outcome", _outcome(options, sees_values)


def _outcome(options: BulkOptions, sees_values: bool) -> str:
    if options.error is not None:
        shown_fields = ("ErrorType", "ErrorMessage") if sees_values else ("ErrorType",)
        return ": ".join(["It failed", *(str(options.error[name]) for name in shown_fields if name in options.error)])
    return "It succeeded, with a result" if options.result_text is not None else "It succeeded, without a result"
