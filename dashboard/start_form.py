"""The start form of a function: fields from the JSON Schema of its input, and back to JSON text."""

import dataclasses
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from durable_engine.services.exceptions import InvalidInput
from durable_engine.services.validation import parse_json

PREFIX = "input"
# The server's message says what is wrong and where: the browser's own checks would only stop people earlier with less.
LARGE_TEXT = {"rows": 6, "spellcheck": "false", "class": "code-input"}


class NameForm(forms.Form):
    """What every start form has: the optional name of the execution."""

    name = forms.CharField(
        required=False,
        max_length=64,
        label="Name",
        help_text="Starting the same name again with the same input leads to the same execution. "
        "Without a name one is generated.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class RawInputForm(forms.Form):
    """The input as JSON text, sent as it is typed."""

    text = forms.CharField(
        label="Input (JSON)",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={**LARGE_TEXT, "rows": 14}),
        help_text="Any JSON value. Left empty, the input is null.",
    )

    def input_text(self) -> str:
        """The JSON text to start with."""
        text: str = self.cleaned_data["text"]
        return text if text.strip() else "null"


class JsonField(forms.CharField):
    """A part of the input that has no field of its own kind: typed as JSON."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strip=False, widget=forms.Textarea(attrs=LARGE_TEXT), **options)

    def clean(self, value: Any) -> Any:
        """Return the decoded value, None when empty."""
        text = super().clean(value)
        if not text.strip():
            return None
        try:
            return parse_json(text, field=str(self.label))
        except InvalidInput as error:
            raise ValidationError(str(error)) from None


class SchemaInputForm(forms.Form):
    """One field for each property of an object schema."""

    def __init__(
        self, schema: Mapping[str, Any], data: QueryDict | None = None, *, initial: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data, prefix=PREFIX)
        self.properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
        self.required = set(schema.get("required", ()))
        for name, rule in self.properties.items():
            default = (initial or {}).get(name, rule.get("default"))
            self.fields[name] = _field(name, rule, name in self.required and not _allows_null(rule), default)

    def input_text(self) -> str:
        """The JSON text to start with.

        What was left empty is left out, so that the handler's default holds, or is null where it must be there.
        """
        values = {}
        for name, rule in self.properties.items():
            value = self.cleaned_data.get(name)
            is_empty = value is None or (value == "" and _allows_null(rule))
            if not is_empty:
                values[name] = _plain(value, rule)
            elif name in self.required:
                values[name] = None
        return json.dumps(values, ensure_ascii=False)

    def add_problem(self, message: str) -> None:
        """Show a message of the input's own type, `input.amount must be …`, at the field it names."""
        match = re.match(r"input\.(\w+)", message)
        name = match.group(1) if match and match.group(1) in self.fields else None
        self.add_error(name, message)


def takes_fields(schema: Mapping[str, Any] | None) -> bool:
    """Whether a form with fields can be drawn: the input is an object with named properties."""
    return schema is not None and isinstance(schema.get("properties"), Mapping) and bool(schema["properties"])


def defaults_of(input_type: object) -> dict[str, Any]:
    """The default values of a dataclass as JSON values, those of factories included; {} for anything else."""
    if not (isinstance(input_type, type) and dataclasses.is_dataclass(input_type)):
        return {}
    values = {}
    for field in dataclasses.fields(input_type):
        if field.default is not dataclasses.MISSING:
            values[field.name] = _as_json(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            values[field.name] = _as_json(field.default_factory())
    return values


def example_text(schema: Mapping[str, Any] | None, initial: Mapping[str, Any]) -> str:
    """JSON text to begin with in the raw form: each property with its default, or null."""
    if not takes_fields(schema) or schema is None:
        return "{}"
    values = {name: initial.get(name, rule.get("default")) for name, rule in schema["properties"].items()}
    return json.dumps(values, indent=2, ensure_ascii=False)


def _field(name: str, rule: Mapping[str, Any], required: bool, default: Any) -> forms.Field:
    rule = _without_null(rule) if _allows_null(rule) else rule
    options: dict[str, Any] = {
        "label": name.replace("_", " ").capitalize(),
        "required": required,
        "initial": default,
        "help_text": rule.get("description", ""),
    }
    if "enum" in rule:
        choices = [(json.dumps(value), str(value)) for value in rule["enum"]]
        if not required:
            choices.insert(0, ("", "—"))
        return forms.ChoiceField(
            choices=choices, **options | {"initial": json.dumps(default) if default is not None else ""}
        )
    if rule.get("type") == "boolean":
        return forms.BooleanField(**options | {"required": False})
    if rule.get("type") == "string":
        return _text_field(rule.get("format"), options)
    if rule.get("type") == "integer":
        return forms.IntegerField(**options)
    if rule.get("type") == "number":
        return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **options)
    text = "" if default is None else json.dumps(default, indent=2, ensure_ascii=False)
    return JsonField(**options | {"initial": text})


def _text_field(text_format: str | None, options: dict[str, Any]) -> forms.Field:
    if text_format == "decimal":
        return forms.DecimalField(widget=forms.NumberInput(attrs={"step": "any"}), **options)
    if text_format == "date":
        return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **options)
    if text_format == "date-time":
        widget = forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S")
        return forms.DateTimeField(widget=widget, **options)
    if text_format == "uuid":
        return forms.UUIDField(**options)
    # The value is sent as typed; "" is a text like any other where the field may be left out.
    return forms.CharField(strip=False, **options)


def _allows_null(rule: Mapping[str, Any]) -> bool:
    return any(choice.get("type") == "null" for choice in rule.get("anyOf", ()))


def _without_null(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    others = [choice for choice in rule["anyOf"] if choice.get("type") != "null"]
    outside = {key: value for key, value in rule.items() if key != "anyOf"}
    return {**others[0], **outside} if len(others) == 1 else outside


def _plain(value: Any, rule: Mapping[str, Any]) -> Any:
    if "enum" in (_without_null(rule) if _allows_null(rule) else rule):
        return json.loads(value)
    if isinstance(value, str | bool | int | float | list | dict):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _as_json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(item) for item in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
