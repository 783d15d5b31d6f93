"""The wire form of `ExtendedTypeSerDes`: one encoder and one decoder per tag."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from durable_engine.sdk import type_registry
from durable_engine.sdk.concurrency import BatchResult
from durable_engine.sdk.exceptions import SerDesError, ValidationError

PLAIN = frozenset((str, int, bool, type(None)))
_load = json.JSONDecoder().decode


def encode(value: Any) -> str:
    """Return the JSON text of a value.

    Raises:
        SerDesError: names the type that cannot be stored, its place in the value and the fix.
    """
    if value is None:
        return "null"
    if _is_plain(value):
        return json.dumps(value)
    try:
        return json.dumps(_tagged(value, "the value"))
    except RecursionError:
        raise SerDesError("the value is nested too deeply, or contains itself; store ids instead of objects") from None


def decode(text: str) -> Any:
    """Return the value of a text that `encode` made.

    Raises:
        SerDesError: not JSON, an unknown tag, or a class that is not registered in this process.
    """
    try:
        data = _load(text)
    except ValueError as error:
        raise SerDesError(f"not JSON: {error}") from error
    return _untagged(data) if type(data) is dict else data


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind in PLAIN:
        return True
    if kind is float:
        return math.isfinite(value)
    return kind is list and all(_is_plain(item) for item in value)


def _tagged(value: Any, place: str) -> dict[str, Any]:
    encoder = _ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value, place)
    cls = type(value)
    if type_registry.is_supported(cls):
        return _tagged_registered(value, place)
    for base, base_encoder in _BASES:
        if isinstance(value, base):
            return base_encoder(value, place)
    raise SerDesError(
        f"{place} is of type {cls.__module__}.{cls.__qualname__}, which cannot be stored; return plain values, "
        "a dataclass registered with register_type, or give serdes="
    )


def _tagged_registered(value: Any, place: str) -> dict[str, Any]:
    cls = type(value)
    name = type_registry.name_of(cls)
    if name is None:
        raise SerDesError(
            f"{place} is of type {cls.__module__}.{cls.__qualname__}, which is not registered, so a later process "
            "could not restore it; decorate the class with @register_type, or name it in the annotations of the handler"
        )
    if isinstance(value, Enum):
        return {"t": "en", "v": [name, value.name]}
    if isinstance(value, Exception):
        return {"t": "ex", "v": [name, _items(value.args, place), _mapping(vars(value), place)]}
    if type_registry.is_named_tuple(cls):
        return {"t": "nt", "v": [name, _items(value, place)]}
    if type_registry.is_pydantic(cls):
        return {"t": "pm", "v": [name, _tagged(value.__getstate__(), place)]}
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {"t": "dc", "v": [name, _mapping(fields, place)]}


def _items(values: Any, place: str) -> list[Any]:
    return [_tagged(item, f"{place}[{index}]") for index, item in enumerate(values)]


def _mapping(values: dict[str, Any], place: str) -> dict[str, Any]:
    return {key: _tagged(item, f"{place}[{key!r}]") for key, item in values.items()}


def _tagged_dict(value: dict[Any, Any], place: str) -> dict[str, Any]:
    if all(type(key) is str for key in value):
        return {"t": "m", "v": _mapping(value, place)}
    pairs = [[_tagged(key, f"a key of {place}"), _tagged(item, f"{place}[{key!r}]")] for key, item in value.items()]
    return {"t": "mk", "v": pairs}


def _tagged_float(value: float, place: str) -> dict[str, Any]:
    # NaN and infinity are not JSON; as text they survive every reader.
    return {"t": "f", "v": value if math.isfinite(value) else repr(value)}


def _tagged_set(value: Any, place: str) -> dict[str, Any]:
    # Sorted by their text, so the same set is always the same text.
    items = sorted((_tagged(item, f"an item of {place}") for item in value), key=json.dumps)
    return {"t": "fset" if isinstance(value, frozenset) else "set", "v": items}


Encoder = Callable[[Any, str], dict[str, Any]]

_ENCODERS: dict[type, Encoder] = {
    type(None): lambda value, place: {"t": "n", "v": None},
    str: lambda value, place: {"t": "s", "v": value},
    int: lambda value, place: {"t": "i", "v": value},
    bool: lambda value, place: {"t": "b", "v": value},
    float: _tagged_float,
    bytes: lambda value, place: {"t": "B", "v": base64.b64encode(value).decode()},
    UUID: lambda value, place: {"t": "u", "v": str(value)},
    Decimal: lambda value, place: {"t": "d", "v": str(value)},
    datetime: lambda value, place: {"t": "dt", "v": value.isoformat()},
    date: lambda value, place: {"t": "D", "v": value.isoformat()},
    time: lambda value, place: {"t": "tm", "v": value.isoformat()},
    timedelta: lambda value, place: {"t": "td", "v": [value.days, value.seconds, value.microseconds]},
    tuple: lambda value, place: {"t": "t", "v": _items(value, place)},
    list: lambda value, place: {"t": "l", "v": _items(value, place)},
    dict: _tagged_dict,
    set: _tagged_set,
    frozenset: _tagged_set,
    BatchResult: lambda value, place: {"t": "br", "v": _mapping(value.to_dict(), place)},
}

# Subclasses are stored as what they extend: an OrderedDict as a dict, a marked-safe string as a string.
_BASES: tuple[tuple[type, Encoder], ...] = (
    (str, lambda value, place: {"t": "s", "v": str.__str__(value)}),
    (int, lambda value, place: {"t": "i", "v": int(value)}),
    (float, lambda value, place: _tagged_float(float(value), place)),
    (bytes, lambda value, place: {"t": "B", "v": base64.b64encode(value).decode()}),
    (bytearray, lambda value, place: {"t": "B", "v": base64.b64encode(value).decode()}),
    (UUID, _ENCODERS[UUID]),
    (Decimal, _ENCODERS[Decimal]),
    (datetime, _ENCODERS[datetime]),
    (dict, lambda value, place: _tagged_dict(dict(value), place)),
    (list, _ENCODERS[list]),
    (tuple, _ENCODERS[tuple]),
    (set, _tagged_set),
    (frozenset, _tagged_set),
)


def _untagged(data: Any) -> Any:
    try:
        decoder = _DECODERS[data["t"]]
        value = data["v"]
    except (KeyError, TypeError):
        raise SerDesError(f"not a tagged value: {str(data)[:80]}") from None
    try:
        return decoder(value)
    except (ValidationError, ValueError, TypeError, ArithmeticError, AttributeError, IndexError) as error:
        raise SerDesError(f"not a value of tag {data['t']!r}: {str(value)[:80]}") from error


def _registered(name: str) -> Any:
    cls = type_registry.type_named(name)
    if cls is None:
        raise SerDesError(
            f"the class {name} is not registered in this process; import its module and decorate it with @register_type"
        )
    return cls


def _untagged_mapping(value: dict[str, Any]) -> dict[str, Any]:
    return {key: _untagged(item) for key, item in value.items()}


def _dataclass(value: list[Any]) -> Any:
    name, stored = value
    cls = _registered(name)
    values = _untagged_mapping(stored)
    instance = cls.__new__(cls)
    # The recorded state, not the constructor: __post_init__ already ran once, and may not be repeatable.
    for field in dataclasses.fields(cls):
        if field.name in values:
            object.__setattr__(instance, field.name, values.pop(field.name))
        elif field.default is not dataclasses.MISSING:
            object.__setattr__(instance, field.name, field.default)
        elif field.default_factory is not dataclasses.MISSING:
            object.__setattr__(instance, field.name, field.default_factory())
        else:
            raise SerDesError(f"the class {name} has a field {field.name!r} that was not recorded; give it a default")
    if values:
        raise SerDesError(f"the class {name} no longer has the recorded field {next(iter(values))!r}")
    return instance


def _enum(value: list[Any]) -> Any:
    name, member = value
    try:
        return _registered(name)[member]
    except KeyError:
        raise SerDesError(f"the enum {name} no longer has the recorded member {member!r}") from None


def _exception(value: list[Any]) -> Any:
    cls = _registered(value[0])
    instance = cls.__new__(cls)
    instance.args = tuple(_untagged(item) for item in value[1])
    instance.__dict__.update(_untagged_mapping(value[2]))
    return instance


def _pydantic(value: list[Any]) -> Any:
    cls = _registered(value[0])
    instance = cls.__new__(cls)
    instance.__setstate__(_untagged(value[1]))
    return instance


def _batch_result(value: dict[str, Any]) -> Any:
    # Once it was written as a dict with a tag of its own.
    return BatchResult[Any].from_dict(_untagged_mapping(value) if "all" in value else _untagged(value))


def _same(value: Any) -> Any:
    return value


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "n": lambda value: None,
    "s": _same,
    "i": _same,
    "b": _same,
    "f": float,
    "B": base64.b64decode,
    "u": UUID,
    "d": Decimal,
    "dt": datetime.fromisoformat,
    "D": date.fromisoformat,
    "tm": time.fromisoformat,
    "td": lambda value: timedelta(*value),
    "t": lambda value: tuple(_untagged(item) for item in value),
    "l": lambda value: [_untagged(item) for item in value],
    "m": _untagged_mapping,
    "mk": lambda value: {_untagged(key): _untagged(item) for key, item in value},
    "set": lambda value: {_untagged(item) for item in value},
    "fset": lambda value: frozenset(_untagged(item) for item in value),
    "dc": _dataclass,
    "en": _enum,
    "ex": _exception,
    "nt": lambda value: _registered(value[0])._make(_untagged(item) for item in value[1]),
    "pm": _pydantic,
    "br": _batch_result,
}
