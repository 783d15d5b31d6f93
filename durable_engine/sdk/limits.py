"""How many executions of a function may run at once: its limit, and by which key it is counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from durable_engine.sdk.exceptions import ValidationError

MAX_CONCURRENCY = 1000
MAX_KEY_LENGTH = 256


class ConcurrencyScope(StrEnum):
    """What takes up a place of a concurrency limit."""

    INVOCATION = "invocation"  # while a worker runs it; one that waits takes none
    EXECUTION = "execution"  # from its first run to its end, waits included


@dataclass(frozen=True, slots=True)
class ConcurrencyLimit:
    """At most `count` at once, of all executions of a function, or of those with the same key.

    `key` is a place in the input, as `customer.id`, or a function of the handler's input.

    Raises:
        ValidationError: a field cannot be used; names it and the fix.
    """

    count: int
    key: str | Callable[[Any], object] | None = None
    scope: ConcurrencyScope = ConcurrencyScope.INVOCATION

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 1 <= self.count <= MAX_CONCURRENCY:
            raise ValidationError(f"max_concurrency: {self.count!r} must be a whole number from 1 to {MAX_CONCURRENCY}")
        key: object = self.key
        if not (key is None or callable(key) or (isinstance(key, str) and key)):
            raise ValidationError(
                f"concurrency_key: {self.key!r} must be a place in the input, such as 'customer.id', or a function"
            )
        if not isinstance(self.scope, ConcurrencyScope):
            raise ValidationError(f"concurrency_scope: {self.scope!r} must be a ConcurrencyScope")

    def key_of(self, function: str, text: str | None, parse: Callable[[Any], Any]) -> str:
        """Return what an execution is counted under. `text` is its input; `parse` makes the handler's input of it.

        Raises:
            ValidationError: the input has no such key.
            Exception: what the function of the key, or `parse`, raised.
        """
        if self.key is None:
            return function
        value = json.loads(text) if text else None
        found = self.key(parse(value)) if callable(self.key) else _at(value, self.key)
        return limit_key(function, found)


def limit_key(function: str, key: object) -> str:
    """Return what executions of a function with this key are counted under.

    Raises:
        ValidationError: it is not a text, number or id of 1 to 256 printable characters.
    """
    text = "" if key is None or isinstance(key, (Mapping, list)) else str(key)
    if not (0 < len(text) <= MAX_KEY_LENGTH and text.isprintable()):
        raise ValidationError(f"concurrency_key: {key!r:.80} is not 1 to {MAX_KEY_LENGTH} printable characters")
    return f"{function}/{text}"


def _at(value: Any, place: str) -> object:
    for part in place.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise ValidationError(f"concurrency_key: the input has no {place!r}")
        value = value[part]
    return value
