"""Fields of payloads that pages hide: by the names of their keys, in the stored text, every other token untouched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.conf import settings
from django.db.models import QuerySet

from durable_engine.models import Function
from durable_engine.sdk import registry

MASK: Final = "•••"
# A JSON text is strings, structure, and runs of anything else.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+|"')
_MASKED_JSON: Final = json.dumps(MASK, ensure_ascii=False)


def masked_keys_of(function: str, version: int | None) -> frozenset[str]:
    """Return the keys that are hidden in payloads of a function version, None for the newest. One query."""
    own: Iterable[str] = ()
    rows = Function.objects.filter(name=function).order_by("-version")
    config = (rows if version is None else rows.filter(version=version)).values_list("config", flat=True).first()
    handler = registry.latest(function) if version is None else registry.get(function, version)
    if config is not None:
        own = config.get("masked_keys") or ()
    elif handler is not None:
        own = handler.masked_keys
    return frozenset(map(normal_key, (*settings.DURABLE_MASKED_KEYS, *own)))


def masked_keys_of_many(functions: Iterable[str] | QuerySet[Any, str]) -> frozenset[str]:
    """Return the keys that are hidden in payloads of any version of these functions. One query."""
    configs = Function.objects.filter(name__in=functions).values_list("config", flat=True)
    own = [key for config in configs for key in config.get("masked_keys") or ()]
    return frozenset(map(normal_key, (*settings.DURABLE_MASKED_KEYS, *own)))


def normal_key(key: str) -> str:
    """Return a key as keys are compared: `apiKey`, `api_key` and `API-KEY` are one."""
    return re.sub(r"[-_\s]", "", key).casefold()


def masked(text: str, keys: frozenset[str]) -> str:
    """Return a JSON text with the values of these keys replaced; the text itself when there are none.

    Of what is no JSON, everything from the first value of such a key on is replaced: nobody knows where it ends.
    """
    if not keys:
        return text
    tokens = list(_TOKEN.finditer(text))
    spans = list(_hidden_spans(tokens, keys))
    if not spans:
        return text
    if not _is_json(text):
        return text[: spans[0][0]] + _MASKED_JSON
    parts: list[str] = []
    copied = 0
    for start, end in spans:
        parts += [text[copied:start], _MASKED_JSON]
        copied = end
    return "".join((*parts, text[copied:]))


def holds_mask(text: str) -> bool:
    """Whether a text that somebody sends still has what stands for a hidden value."""
    return _MASKED_JSON in text or json.dumps(MASK) in text


def _hidden_spans(tokens: list[re.Match[str]], keys: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Where the values of the keys are; what is inside one is not looked at again."""
    place = 0
    while place < len(tokens) - 2:
        if tokens[place][0][0] == '"' and tokens[place + 1][0] == ":" and _key(tokens[place][0]) in keys:
            last = _end_of_value(tokens, place + 2)
            yield tokens[place + 2].start(), tokens[last].end()
            place = last
        place += 1


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _end_of_value(tokens: list[re.Match[str]], place: int) -> int:
    """The place of the last token of the value that begins here."""
    depth = 0
    for last in range(place, len(tokens)):
        if tokens[last][0] in "[{":
            depth += 1
        elif tokens[last][0] in "]}":
            depth -= 1
        if depth <= 0:
            return last
    return len(tokens) - 1


def _key(token: str) -> str:
    try:
        return normal_key(str(json.loads(token)))
    except ValueError:
        return normal_key(token.strip('"'))
