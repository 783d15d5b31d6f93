"""Where two JSON texts differ: one line a place, values as they were written."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashboard.json_tree import MOST_PARSED, Token

MOST_LINES = 100
LONGEST_VALUE = 200
MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place. A side that has nothing there is None."""

    path: str
    left: str | None
    right: str | None


def differences(left: str, right: str) -> list[Difference] | None:
    """Return where the texts differ, at most `MOST_LINES` + 1 places; None when one is no JSON or too long to compare.

    Lists are compared place by place.
    """
    if max(len(left), len(right)) > MOST_PARSED:
        return None
    try:
        sides = (_read(left), _read(right))
    except (ValueError, RecursionError):
        return None
    found = []
    try:
        for difference in _differ("$", *sides):
            found.append(difference)
            if len(found) > MOST_LINES:
                break
    except RecursionError:
        return None
    return found


def _read(text: str) -> Any:
    return json.loads(text, parse_int=Token, parse_float=Token, parse_constant=Token)


def _differ(path: str, left: Any, right: Any) -> Iterator[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in dict.fromkeys([*left, *right]):
            where = f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key, ensure_ascii=False)}]"
            yield from _differ(where, left.get(key, MISSING), right.get(key, MISSING))
    elif isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            sides = (side[index] if index < len(side) else MISSING for side in (left, right))
            yield from _differ(f"{path}[{index}]", *sides)
    elif type(left) is not type(right) or left != right:
        yield Difference(path, _text(left), _text(right))


def _written(value: Any) -> str:
    """The value as JSON text, numbers as they were written."""
    if isinstance(value, Token):
        return str(value)
    if isinstance(value, dict):
        members = (f"{json.dumps(key, ensure_ascii=False)}: {_written(each)}" for key, each in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str | None:
    if value is MISSING:
        return None
    text = _written(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
