"""The form of an approval as JSON: a subset of JSON Schema. What the subset does not know is refused, never dropped."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from approvals.sdk.exceptions import InvalidApproval
from durable_engine.sdk import type_registry
from durable_engine.sdk.inputs import input_schema

MOST_FIELDS: Final = 50
MOST_OPTIONS: Final = 200
LONGEST_TEXT: Final = 10_000
LARGEST_FILE: Final = 5 * 1024 * 1024
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
TYPES: Final = ("string", "integer", "number", "boolean", "array")
FORMATS: Final = ("date", "time", "date-time", "email", "uri", "uuid", "decimal", "user", "file", "textarea")
# Keyword: the types of values it may have.
KEYWORDS: Final[Mapping[str, tuple[type, ...]]] = {
    "type": (str,),
    "format": (str,),
    "title": (str,),
    "description": (str,),
    "enum": (list,),
    "default": (str, int, float, bool, list, type(None)),
    "minimum": (int, float),
    "maximum": (int, float),
    "exclusiveMinimum": (int, float),
    "exclusiveMaximum": (int, float),
    "minLength": (int,),
    "maxLength": (int,),
    "pattern": (str,),
    "readOnly": (bool,),
    "items": (dict,),
    "minItems": (int,),
    "maxItems": (int,),
    "multipleOf": (int, float),
    "x-currency": (str,),
    "x-labels": (list,),
    "x-maxBytes": (int,),
    "x-accept": (list,),
}
# What generators add and a form has no use for.
IGNORED: Final = frozenset({"$defs", "additionalProperties", "examples", "deprecated", "$schema", "$id"})


def form_schema(form: Any) -> dict[str, Any] | None:
    """Return the form as the request keeps it; None when there is nothing to fill in.

    Raises:
        InvalidApproval: names the field and what a form can't show.
    """
    if form is None:
        return None
    if isinstance(form, type) and hasattr(form, "base_fields"):
        return _django_form(form)
    if isinstance(form, Mapping):
        return _object(form, form)
    if isinstance(form, type) and (dataclasses.is_dataclass(form) or type_registry.is_pydantic(form)):
        schema = input_schema(form) or {}
        return _object(schema, schema)
    raise InvalidApproval(
        f"form must be a Django form, a JSON Schema (a dict), a dataclass or a Pydantic model, not {form!r}"
    )


def _django_form(form: Any) -> dict[str, Any]:
    if "<" in form.__qualname__ or "." in form.__qualname__:
        raise InvalidApproval(f"form {form.__qualname__} must stand at the top of its module, where it is found again")
    labels = {name: str(field.label or name) for name, field in form.base_fields.items()}
    return {"django_form": f"{form.__module__}.{form.__qualname__}", "labels": labels}


def _object(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    if schema.get("type", "object") != "object" or not isinstance(properties, Mapping) or not properties:
        raise InvalidApproval('form must be an object with properties: {"type": "object", "properties": {…}}')
    if len(properties) > MOST_FIELDS:
        raise InvalidApproval(f"form has {len(properties)} fields; at most {MOST_FIELDS}")
    required = schema.get("required", [])
    if not isinstance(required, list | tuple) or not set(required) <= set(properties):
        raise InvalidApproval("form: required must list names of its properties")
    _refuse_unknown(schema, {"type", "properties", "required", "title", "description"}, "form")
    fields = {name: _field(name, rule, root) for name, rule in properties.items()}
    optional_null = {name for name, rule in fields.items() if rule.pop("nullable", False)}
    kept = {
        "type": "object",
        "properties": fields,
        "required": [name for name in required if name not in optional_null],
    }
    for key in ("title", "description"):
        if isinstance(schema.get(key), str):
            kept[key] = schema[key]
    return kept


def _field(name: object, rule: object, root: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise InvalidApproval(f"form: {name!r} is no name of a field; use letters, digits and _")
    where = f"form.{name}"
    if not isinstance(rule, Mapping):
        raise InvalidApproval(f"{where} must be a schema, not {rule!r}")
    flat = _flattened(rule, root, where)
    _refuse_unknown(flat, {*KEYWORDS, "nullable"}, where)
    field = {key: value for key, value in flat.items() if key not in IGNORED}
    for key, value in field.items():
        if key != "nullable":
            _check_keyword(where, key, value)
    _check_kind(field, where)
    return field


def _flattened(rule: Mapping[str, Any], root: Mapping[str, Any], where: str, depth: int = 0) -> dict[str, Any]:
    """Resolve references inside the schema, and `X or null`."""
    if depth > 8:
        raise InvalidApproval(f"{where} refers to itself")
    found = {key: value for key, value in rule.items() if key not in ("$ref", "allOf", "anyOf")}
    if "$ref" in rule:
        found = _flattened(_referred(rule["$ref"], root, where), root, where, depth + 1) | found
    options = rule.get("anyOf", rule.get("allOf"))
    if options is None:
        return found
    real = [each for each in options if isinstance(each, Mapping) and each.get("type") != "null"]
    # How Pydantic describes a Decimal: as a number or a text.
    if sorted(str(each.get("type")) for each in real) == ["number", "string"]:
        numbers = {key: value for key, value in real[0].items() if key in ("minimum", "maximum")}
        return {"type": "string", "format": "decimal", **numbers, **found, **_nullable(options, real)}
    if len(real) != 1:
        raise InvalidApproval(f"{where} may be of several kinds, which one field can't ask for")
    return _flattened(real[0], root, where, depth + 1) | found | _nullable(options, real)


def _nullable(options: Any, real: list[Any]) -> dict[str, Any]:
    return {"nullable": True} if len(real) < len(options) else {}


def _referred(reference: object, root: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    name = reference.removeprefix("#/$defs/") if isinstance(reference, str) else ""
    target = root.get("$defs", {}).get(name)
    if not isinstance(target, Mapping):
        raise InvalidApproval(f"{where} refers to {reference!r}; only #/$defs/… of the same schema is followed")
    return target


def _refuse_unknown(rule: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in rule:
        if key not in known and key not in IGNORED:
            raise InvalidApproval(f"{where} has {key!r}, which a form can't keep; it knows {', '.join(sorted(known))}")


def _check_keyword(where: str, key: str, value: object) -> None:
    allowed = KEYWORDS[key]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise InvalidApproval(f"{where}: {key} can't be {value!r}")
    if key == "pattern":
        try:
            re.compile(str(value))
        except re.error as error:
            raise InvalidApproval(f"{where}: pattern is no regular expression: {error}") from None


def _check_kind(field: dict[str, Any], where: str) -> None:
    if "enum" in field:
        field.setdefault("type", "string")
        _check_options(field["enum"], where)
    kind, form = field.get("type"), field.get("format")
    if kind not in TYPES:
        raise InvalidApproval(f"{where} must have a type: {', '.join(TYPES)}")
    if form is not None and (form not in FORMATS or kind != "string"):
        raise InvalidApproval(f"{where}: format must be one of {', '.join(FORMATS)}, of a string")
    if kind == "array":
        options = field.get("items", {}).get("enum")
        if not isinstance(options, list):
            raise InvalidApproval(f'{where}: an array must list what can be chosen: {{"items": {{"enum": […]}}}}')
        _check_options(options, where)
    if form == "file" and field.get("x-maxBytes", 0) > LARGEST_FILE:
        raise InvalidApproval(f"{where}: x-maxBytes is at most {LARGEST_FILE:,}")
    labels = field.get("x-labels")
    if labels is not None and len(labels) != len(field.get("enum") or field.get("items", {}).get("enum") or ()):
        raise InvalidApproval(f"{where}: x-labels must have one label for each option")


def _check_options(options: list[Any], where: str) -> None:
    if not 1 <= len(options) <= MOST_OPTIONS or not all(isinstance(each, str | int | float) for each in options):
        raise InvalidApproval(f"{where}: enum must have 1 to {MOST_OPTIONS} texts or numbers")
