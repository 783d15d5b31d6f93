"""The allow-list of classes that recorded values may be restored to.

Nothing is ever imported by a name found in data: a name is looked up here or refused. A class gets in by

1. `register_type(cls)`, also usable as a decorator;
2. being defined in a module that defines a durable handler;
3. standing in the annotations of a handler or of a function decorated with `durable_step`,
   `durable_with_child_context` or `durable_wait_for_callback`, or in the fields of such a class.

All three happen when modules are imported, so a fresh process that can run the handler knows the same classes.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import typing
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from durable_engine.sdk.exceptions import ValidationError

C = TypeVar("C", bound=type)

_by_name: dict[str, type] = {}
_names: dict[type, str] = {}
# Functions and modules to look through at the first unknown class: at decoration time their annotations may still
# name classes that are defined further down.
_unread_functions: list[Callable[..., Any]] = []
_unread_modules: list[str] = []


def register_type(cls: C, *, name: str | None = None) -> C:
    """Allow a dataclass, enum, named tuple, Pydantic model or exception class to be restored from a history.

    `name` is what the history stores (default module and class name); give it to be free to move the class later.

    Raises:
        ValidationError: the class is of no supported kind, or the name belongs to another class.
    """
    if not is_supported(cls):
        raise ValidationError(
            f"register_type: {cls!r} must be a dataclass, enum, named tuple, Pydantic model or exception class"
        )
    key = name or _default_name(cls)
    known = _by_name.get(key)
    if known is not None and _default_name(known) != _default_name(cls):
        raise ValidationError(f"register_type: the name {key!r} already belongs to {_default_name(known)}")
    _by_name[key] = cls
    _names[cls] = key
    return cls


def learn_from_function(function: Callable[..., Any], *, whole_module: bool = False) -> None:
    """Register the classes a function's annotations name, and those its module defines, when first needed."""
    _unread_functions.append(function)
    if whole_module:
        _unread_modules.append(function.__module__)


def learn_from_type(annotation: Any) -> None:
    """Register the classes an annotation names, and those their fields name."""
    for cls in _classes_in(annotation):
        if cls not in _names and is_supported(cls):
            register_type(cls)
            for field_annotation in _hints(cls):
                learn_from_type(field_annotation)


def type_named(name: str) -> type | None:
    """Return the registered class of a stored name, or None."""
    if name not in _by_name:
        _read_pending()
    return _by_name.get(name)


def name_of(cls: type) -> str | None:
    """Return the stored name of a class, or None when it is not registered."""
    if cls not in _names:
        _read_pending()
    return _names.get(cls)


def is_supported(cls: object) -> bool:
    """Whether a class is of a kind that can be restored."""
    if not isinstance(cls, type):
        return False
    return (
        dataclasses.is_dataclass(cls)
        or issubclass(cls, (enum.Enum, Exception))
        or is_named_tuple(cls)
        or is_pydantic(cls)
    )


def is_named_tuple(cls: type) -> bool:
    """Whether a class was made by `NamedTuple` or `namedtuple`."""
    return issubclass(cls, tuple) and hasattr(cls, "_fields") and hasattr(cls, "_make")


def is_pydantic(cls: type) -> bool:
    """Whether a class is a Pydantic (2.x) model; Pydantic itself is not imported."""
    return hasattr(cls, "__pydantic_fields__") and hasattr(cls, "model_validate")


def _default_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _read_pending() -> None:
    while _unread_functions:
        for annotation in _hints(_unread_functions.pop()):
            learn_from_type(annotation)
    while _unread_modules:
        module_name = _unread_modules.pop()
        for value in list(vars(sys.modules.get(module_name, object)).values()):
            if isinstance(value, type) and value.__module__ == module_name:
                learn_from_type(value)


def _hints(annotated: Any) -> list[Any]:
    try:
        return list(typing.get_type_hints(annotated).values())
    except Exception:  # noqa: BLE001 - a name only type checkers see; such a class has to be registered by hand
        return []


def _classes_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _classes_in(argument)
