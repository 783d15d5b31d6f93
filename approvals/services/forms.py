"""The form of a request: built from what the request keeps, for pages to render and for every answer to be checked by.

`build_form(request.form, …)` is a Django form with one field for each property. What people send is checked by it in
`decide`, whatever they sent it with; `answer_of` turns the result into the JSON that the handler receives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from importlib import import_module
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import MaxLengthValidator, MinLengthValidator, RegexValidator
from django.db.models import Model
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from uuid_utils.compat import uuid7

from approvals.sdk.form_schema import LARGEST_FILE, LONGEST_TEXT
from approvals.services.exceptions import Conflict, InvalidAnswer

FORM_PREFIX = "data"
# A pattern is matched against texts of that length at most: a bad pattern must not hold up a web process.
LONGEST_MATCHED = 500
MOST_FILES_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileOf:
    """A file of an answer, to be stored with the vote."""

    id: UUID
    field: str
    name: str
    content_type: str
    size: int
    sha256: str
    content: bytes

    def as_json(self) -> dict[str, Any]:
        """Return what the handler receives in place of the content."""
        return {"attachment": str(self.id), "name": self.name, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a form was filled in with, as JSON values, and its files."""

    data: dict[str, Any] = field(default_factory=dict)
    files: list[FileOf] = field(default_factory=list)


def build_form(
    schema: Mapping[str, Any] | None,
    data: Mapping[str, Any] | None = None,
    files: Mapping[str, Any] | None = None,
    *,
    initial: Mapping[str, Any] | None = None,
    prefix: str | None = FORM_PREFIX,
) -> forms.Form:
    """Return the form of a request; without `data` an empty one to fill in, with `initial` values (a draft's).

    `schema` is `ApprovalRequest.form`. Pages give `request.POST` and `request.FILES`: the fields are named
    `data-<field>`. With `prefix=None` they have their own names.

    Raises:
        Conflict: the author's Django form is no longer there.
    """
    # Django's form takes any mapping of files, whatever its annotation says.
    uploads = cast("MultiValueDict[str, UploadedFile[Any]] | None", files)
    if schema is None:
        return forms.Form(data, uploads, prefix=prefix)
    if "django_form" in schema:
        return _authors_form(schema["django_form"])(data, uploads, initial=dict(initial or {}), prefix=prefix)
    form = forms.Form(data, uploads, initial=dict(initial or {}), prefix=prefix)
    required = set(schema.get("required", ()))
    for name, rule in schema["properties"].items():
        form.fields[name] = _field(name, rule, name in required)
    return form


def form_data(posted: MultiValueDict[str, Any]) -> MultiValueDict[str, Any]:
    """Return the fields of a page's form (`request.POST`, `request.FILES`) by their own names, for `decide`."""
    start = f"{FORM_PREFIX}-"
    return MultiValueDict({name.removeprefix(start): posted.getlist(name) for name in posted if name.startswith(start)})


def answer_of(
    schema: Mapping[str, Any] | None, data: Mapping[str, Any] | None, files: Mapping[str, Any] | None = None
) -> Answer:
    """Check an answer, fields by their own names, and return it as JSON values.

    Raises:
        InvalidAnswer: names each field and what is wrong with it.
        Conflict: the author's Django form is no longer there.
    """
    given, uploads = data or {}, files or {}
    if schema is None:
        if given or uploads:
            raise InvalidAnswer.of(data="This request has no form to fill in.")
        return Answer()
    if "django_form" not in schema:
        _refuse_unknown(schema, given, uploads)
    form = build_form(schema, given, uploads, prefix=None)
    if not form.is_valid():
        raise InvalidAnswer({name: [str(each) for each in problems] for name, problems in form.errors.items()})
    found = _files(form.cleaned_data)
    # What was left empty is left out, so that the defaults of a dataclass or model hold.
    given_values = {name: value for name, value in form.cleaned_data.items() if value is not None}
    values = {name: found[name].as_json() if name in found else as_json(value) for name, value in given_values.items()}
    for name, rule in schema.get("properties", {}).items():
        if rule.get("readOnly"):
            values[name] = rule.get("default")
    return Answer(values, list(found.values()))


def as_json(value: Any) -> Any:
    """Return a cleaned value as JSON: dates and amounts as text, people by user name, other rows by primary key."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, AbstractBaseUser):
        return value.get_username()
    if isinstance(value, Model):
        return str(value.pk)
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if hasattr(value, "__iter__"):
        return [as_json(item) for item in value]
    return str(value)


def _refuse_unknown(schema: Mapping[str, Any], data: Mapping[str, Any], files: Mapping[str, Any]) -> None:
    known = schema["properties"]
    unknown = sorted({*data, *files} - set(known))
    if unknown:
        raise InvalidAnswer({unknown[0]: [f"There is no such field; the fields are {', '.join(known)}."]})
    for name, value in data.items():
        if isinstance(value, dict) or (isinstance(value, list) and known[name]["type"] != "array"):
            raise InvalidAnswer({name: [f"This must be {_KINDS.get(known[name]['type'], 'text')}."]})


_KINDS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list"}


def _authors_form(path: str) -> type[forms.Form]:
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError):
        found = None
    if not (isinstance(found, type) and issubclass(found, forms.BaseForm)):
        raise Conflict(f"The form {path} is not there.", fix="Deploy the code that this request was opened with.")
    return found  # type: ignore[return-value]  # a ModelForm is filled in the same way


def _files(cleaned: Mapping[str, Any]) -> dict[str, FileOf]:
    found: dict[str, FileOf] = {}
    for name, value in cleaned.items():
        if isinstance(value, UploadedFile):
            if (value.size or 0) > LARGEST_FILE:
                raise InvalidAnswer({name: [f"The file has {value.size:,} bytes; at most {LARGEST_FILE:,}."]})
            content = value.read()
            found[name] = FileOf(
                uuid7(), name, (value.name or "file")[:255], (value.content_type or "")[:100], len(content),
                hashlib.sha256(content).hexdigest(), content,
            )  # fmt: skip
    if sum(each.size for each in found.values()) > MOST_FILES_BYTES:
        raise InvalidAnswer.of(__all__=f"The files have more than {MOST_FILES_BYTES:,} bytes together.")
    return found


def _field(name: str, rule: Mapping[str, Any], required: bool) -> forms.Field:
    options: dict[str, Any] = {
        "label": rule.get("title") or name.replace("_", " ").capitalize(),
        "required": required and not rule.get("readOnly"),
        "initial": rule.get("default"),
        "help_text": rule.get("description", ""),
        "disabled": bool(rule.get("readOnly")),
    }
    if currency := rule.get("x-currency"):
        options["label"] += f" ({currency})"
    if rule["type"] == "array":
        return _choices(rule, options, many=True)
    if "enum" in rule:
        return _choices(rule, options, many=False)
    return _KIND_FIELDS[rule["type"]](rule, options)


def _choices(rule: Mapping[str, Any], options: dict[str, Any], *, many: bool) -> forms.Field:
    values = rule["items"]["enum"] if many else rule["enum"]
    pairs = list(zip(values, rule.get("x-labels") or [str(value) for value in values], strict=True))
    by_text = {str(value): value for value in values}
    options["coerce"] = lambda text: by_text.get(text, text)
    if many:
        field_: forms.Field = forms.TypedMultipleChoiceField(
            choices=pairs, widget=forms.CheckboxSelectMultiple, **options
        )
        low, high = rule.get("minItems"), rule.get("maxItems")
        if low is not None:
            field_.validators.append(MinLengthValidator(low, _("Choose at least %(count)s.") % {"count": low}))
        if high is not None:
            field_.validators.append(MaxLengthValidator(high, _("Choose at most %(count)s.") % {"count": high}))
        return field_
    blank = [] if options["required"] and options["initial"] is not None else [("", _("Choose…"))]
    return forms.TypedChoiceField(choices=[*blank, *pairs], empty_value=None, **options)


def _boolean(rule: Mapping[str, Any], options: dict[str, Any]) -> forms.Field:
    # A box that must be ticked can't be answered with no; a required boolean only has to be there, and a box is.
    return forms.BooleanField(**{**options, "required": False})


def _integer(rule: Mapping[str, Any], options: dict[str, Any]) -> forms.Field:
    # As far as every JSON reader keeps whole numbers exact.
    low, high = rule.get("minimum", -(2**53)), rule.get("maximum", 2**53)
    return _bounded(forms.IntegerField(min_value=low, max_value=high, **options), rule)


def _number(rule: Mapping[str, Any], options: dict[str, Any]) -> forms.Field:
    return _bounded(forms.FloatField(min_value=rule.get("minimum"), max_value=rule.get("maximum"), **options), rule)


def _bounded(field_: forms.Field, rule: Mapping[str, Any]) -> forms.Field:
    low, high, step = rule.get("exclusiveMinimum"), rule.get("exclusiveMaximum"), rule.get("multipleOf")

    def check(value: Any) -> None:
        if low is not None and not value > low:
            raise ValidationError(_("This must be more than %(number)s.") % {"number": low})
        if high is not None and not value < high:
            raise ValidationError(_("This must be less than %(number)s.") % {"number": high})
        if step is not None and Decimal(str(value)) % Decimal(str(step)):
            raise ValidationError(_("This must be a multiple of %(number)s.") % {"number": step})

    field_.validators.append(check)
    return field_


def _string(rule: Mapping[str, Any], options: dict[str, Any]) -> forms.Field:
    match rule.get("format"):
        case "date":
            return forms.DateField(widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **options)
        case "time":
            return forms.TimeField(widget=forms.TimeInput(attrs={"type": "time"}), **options)
        case "date-time":
            widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
            return forms.DateTimeField(widget=widget, **options)
        case "email":
            return forms.EmailField(max_length=254, **options)
        case "uri":
            return forms.URLField(max_length=2_000, assume_scheme="https", **options)
        case "uuid":
            return forms.UUIDField(**options)
        case "decimal":
            return _bounded(_decimal(rule, options), rule)
        case "user":
            return UserField(**options)
        case "file":
            return CappedFileField(rule, **options)
        case _:
            return _text(rule, options)


def _decimal(rule: Mapping[str, Any], options: dict[str, Any]) -> forms.Field:
    low, high = rule.get("minimum"), rule.get("maximum")
    return forms.DecimalField(
        max_digits=30,
        decimal_places=2 if "x-currency" in rule else 10,
        min_value=None if low is None else Decimal(str(low)),
        max_value=None if high is None else Decimal(str(high)),
        **options,
    )


def _text(rule: Mapping[str, Any], options: dict[str, Any]) -> forms.Field:
    longest = min(rule.get("maxLength", LONGEST_TEXT), LONGEST_TEXT)
    is_long = rule.get("format") == "textarea" or (longest > 300 and "maxLength" in rule)
    validators: list[Any] = []
    if "pattern" in rule:
        longest = min(longest, LONGEST_MATCHED)
        # JSON Schema searches the pattern anywhere; the length is checked first, and stops the rest.
        validators.append(RegexValidator(rule["pattern"], _("This does not have the form that is asked for.")))
    return forms.CharField(
        min_length=rule.get("minLength"),
        max_length=longest,
        widget=forms.Textarea(attrs={"rows": 4}) if is_long else forms.TextInput,
        validators=validators,
        **options,
    )


_KIND_FIELDS = {"boolean": _boolean, "integer": _integer, "number": _number, "string": _string}


class UserField(forms.CharField):
    """A person, by user name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}), **options)

    def clean(self, value: Any) -> Any:
        """Return the user name of an active user, None when empty."""
        name = super().clean(value)
        if not name:
            return None
        users = get_user_model()._default_manager
        if not users.filter(**{get_user_model().USERNAME_FIELD: name}, is_active=True).exists():
            raise ValidationError(_("There is no user named “%(name)s”.") % {"name": name})
        return name


class CappedFileField(forms.FileField):
    """A file of limited size and, when the schema says so, of certain endings."""

    def __init__(self, rule: Mapping[str, Any], **options: Any) -> None:
        options.pop("initial", None)
        self.largest = min(rule.get("x-maxBytes", LARGEST_FILE), LARGEST_FILE)
        self.endings = tuple(str(each).lower() for each in rule.get("x-accept", ()))
        widget = forms.ClearableFileInput(attrs={"accept": ",".join(self.endings)} if self.endings else {})
        super().__init__(widget=widget, max_length=255, **options)

    def clean(self, data: Any, initial: Any = None) -> Any:
        """Return the file, or None when there is none."""
        found = super().clean(data, initial)
        if not found:
            return None
        if found.size > self.largest:
            raise ValidationError(
                _("The file has %(size)d bytes; at most %(most)d.") % {"size": found.size, "most": self.largest}
            )
        if self.endings and not str(found.name).lower().endswith(self.endings):
            raise ValidationError(f"The name of the file must end in {' or '.join(self.endings)}.")
        return found
