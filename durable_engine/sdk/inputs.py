"""What `@durable_execution(input=…)` means: the input's JSON Schema, and an instance made from decoded JSON."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, cast
from uuid import UUID

from durable_engine.sdk import type_registry
from durable_engine.sdk.exceptions import ValidationError

_SCALARS: dict[type, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
_TEXTS: dict[type, tuple[str, Any]] = {
    datetime: ("date-time", datetime.fromisoformat),
    date: ("date", date.fromisoformat),
    UUID: ("uuid", UUID),
    Decimal: ("decimal", Decimal),
}


def check_input_type(input_type: Any) -> type | Mapping[str, Any] | None:
    """Return the option as it is when it can be used.

    Raises:
        ValidationError: not a dataclass, Pydantic model or JSON Schema.
    """
    if input_type is None or isinstance(input_type, Mapping):
        return input_type
    if isinstance(input_type, type) and (dataclasses.is_dataclass(input_type) or type_registry.is_pydantic(input_type)):
        return input_type
    raise ValidationError(f"input: {input_type!r} must be a dataclass, a Pydantic model or a JSON Schema (a dict)")


def input_schema(input_type: type | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the JSON Schema of a handler's input, for start forms and clients; None when the handler names none."""
    if input_type is None:
        return None
    if isinstance(input_type, Mapping):
        return dict(input_type)
    if type_registry.is_pydantic(input_type):
        return cast("dict[str, Any]", cast(Any, input_type).model_json_schema())
    return _schema_of(input_type)


def parse_input(input_type: type | Mapping[str, Any] | None, value: Any) -> Any:
    """Return what the handler receives for a decoded input.

    A class gives an instance of itself; a JSON Schema has its required properties and their types checked and passes
    the value on.

    Raises:
        ValidationError: names the field and what it must be.
    """
    if input_type is None:
        return value
    if isinstance(input_type, Mapping):
        _check_schema(input_type, value)
        return value
    if type_registry.is_pydantic(input_type):
        try:
            return cast(Any, input_type).model_validate(value)
        except ValueError as error:
            raise ValidationError(f"input: {error}") from error
    return _parse(input_type, value, "input")


def _schema_of(annotation: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _SCALARS:
        return {"type": _SCALARS[annotation]}
    if annotation in _TEXTS:
        return {"type": "string", "format": _TEXTS[annotation][0]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema_of(argument) for argument in arguments]}
    if origin in (list, tuple, set, frozenset) or annotation in (list, tuple, set, frozenset):
        return {"type": "array", "items": _schema_of(arguments[0])} if arguments else {"type": "array"}
    if origin is dict or annotation is dict:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1])} if arguments else {"type": "object"}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {"enum": [member.value for member in annotation]}
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return _dataclass_schema(annotation)
    return {}


def _dataclass_schema(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in _input_fields(cls):
        properties[field.name] = _schema_of(hints[field.name])
        if "description" in field.metadata:
            properties[field.name]["description"] = field.metadata["description"]
        if _is_required(field):
            required.append(field.name)
        elif field.default is None or isinstance(field.default, (str, int, float, bool)):
            properties[field.name]["default"] = field.default
        elif isinstance(field.default, (date, Decimal, UUID)):
            # As the form sends it back and `_parse` reads it.
            properties[field.name]["default"] = str(field.default).replace(" ", "T")
    return {"type": "object", "title": cls.__name__, "properties": properties, "required": required}


def _input_fields(cls: type) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(cast(Any, cls)) if field.init]


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _parse(annotation: Any, value: Any, place: str) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _SCALARS:
        return _parse_scalar(annotation, value, place)
    if annotation in _TEXTS:
        return _parse_text(annotation, value, place)
    if origin is typing.Literal:
        if value not in arguments:
            raise ValidationError(f"{place} must be one of {', '.join(map(repr, arguments))}, not {_shown(value)}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _parse_union(arguments, value, place)
    if origin in (list, tuple, set, frozenset):
        _check_is(list, value, place, "a list")
        return origin(_parse(arguments[0], item, f"{place}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        _check_is(dict, value, place, "an object")
        return {key: _parse(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(annotation, type):
        return _parse_class(annotation, value, place)
    return value


def _parse_scalar(annotation: type, value: Any, place: str) -> Any:
    if annotation is float and type(value) is int:
        return float(value)
    if type(value) is not annotation:
        article = {"string": "a string", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
        raise ValidationError(f"{place} must be {article.get(_SCALARS[annotation], 'null')}, not {_shown(value)}")
    return value


def _parse_text(annotation: type, value: Any, place: str) -> Any:
    name, make = _TEXTS[annotation]
    if annotation is Decimal and type(value) in (int, float):
        return Decimal(str(value))
    try:
        return make(value)
    except (ValueError, TypeError, AttributeError, InvalidOperation):
        raise ValidationError(f"{place} must be a {name} as a string, not {_shown(value)}") from None


def _parse_union(arguments: tuple[Any, ...], value: Any, place: str) -> Any:
    problems = []
    for argument in arguments:
        try:
            return _parse(argument, value, place)
        except ValidationError as error:
            problems.append(str(error))
    raise ValidationError("; or ".join(problems))


def _parse_class(cls: type, value: Any, place: str) -> Any:
    if issubclass(cls, Enum):
        try:
            return cls(value)
        except ValueError:
            choices = ", ".join(repr(member.value) for member in cls)
            raise ValidationError(f"{place} must be one of {choices}, not {_shown(value)}") from None
    if type_registry.is_pydantic(cls):
        return parse_input(cls, value)
    if dataclasses.is_dataclass(cls):
        return _parse_dataclass(cls, value, place)
    if cls in (list, dict):
        _check_is(cls, value, place, "a list" if cls is list else "an object")
    return value


def _parse_dataclass(cls: type, value: Any, place: str) -> Any:
    _check_is(dict, value, place, "an object")
    hints = typing.get_type_hints(cls)
    fields = {field.name: field for field in _input_fields(cls)}
    for key in value:
        if key not in fields:
            raise ValidationError(f"{place}.{key} is not known; the fields are {', '.join(fields)}")
    for name, field in fields.items():
        if name not in value and _is_required(field):
            raise ValidationError(f"{place}.{name} is missing")
    values = {name: _parse(hints[name], item, f"{place}.{name}") for name, item in value.items()}
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        raise ValidationError(f"{place}: {error}") from error


def _check_schema(schema: Mapping[str, Any], value: Any) -> None:
    if schema.get("type", "object") != "object":
        return
    _check_is(dict, value, "input", "an object")
    for name in schema.get("required", ()):
        if name not in value:
            raise ValidationError(f"input.{name} is missing")
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    for name, rule in schema.get("properties", {}).items():
        expected = kinds.get(str(rule.get("type"))) if isinstance(rule, Mapping) and name in value else None
        if expected is not None:
            _check_is(expected, value[name], f"input.{name}", f"of type {rule['type']}")


def _check_is(cls: type, value: Any, place: str, wanted: str) -> None:
    if not isinstance(value, cls) or (cls is int and isinstance(value, bool)):
        raise ValidationError(f"{place} must be {wanted}, not {_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
