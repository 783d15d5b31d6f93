"""A JSON text as a folded tree, every token as it was stored: big numbers, doubled keys and the order of keys."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString

MOST_PARSED = 1024 * 1024  # characters: reading more would hold the page up
MOST_NODES = 600
MOST_ITEMS = 100  # of one array or object
MOST_DEPTH = 60
MOST_STRING = 2_000
OPEN_LEVELS = 2
OPEN_ITEMS = 20


class Token(str):
    """A number or literal, as it was written."""

    __slots__ = ()


class _Object(NamedTuple):
    """The members of an object in their order, doubled keys included."""

    members: list[tuple[str, Any]]


class _Tree:
    """Writes nodes until there are too many."""

    def __init__(self) -> None:
        self.left = MOST_NODES

    def nodes(self, value: Any, key: str | int | None, depth: int) -> Iterator[str]:
        self.left -= 1
        children = _children(value)
        if children is None:
            yield f'<li class="json-leaf"{_key_attribute(key)}>{_key(key)}{_leaf(value)}</li>'
            return
        is_open = depth < OPEN_LEVELS and (depth == 0 or len(children) <= OPEN_ITEMS)
        summary = f"{_key(key)}{_size(value, len(children))}"
        yield f"<li{_key_attribute(key)}><details{' open' if is_open else ''}><summary>{summary}</summary><ul>"
        for shown, (child_key, child) in enumerate(children):
            if shown == MOST_ITEMS or self.left <= 0 or depth == MOST_DEPTH:
                yield f'<li class="json-more">{len(children) - shown:,} more in the raw text</li>'
                break
            yield from self.nodes(child, child_key, depth + 1)
        yield "</ul></details></li>"


def tree_of(text: str) -> SafeString | None:
    """Return the tree as nested lists; None for what is no JSON, only one value, or too long to read for a page."""
    if len(text) > MOST_PARSED:
        return None
    try:
        value = json.loads(text, parse_int=Token, parse_float=Token, parse_constant=Token, object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        return None
    if _children(value) is None:
        return None
    # Safe: keys and values went through escape(), everything else is a number or a fixed word.
    return SafeString(f'<ul class="json-tree">{"".join(_Tree().nodes(value, None, 0))}</ul>')


def _children(value: Any) -> list[tuple[str | int, Any]] | None:
    if isinstance(value, _Object):
        return list(value.members)
    if isinstance(value, list):
        return list(enumerate(value))
    return None


def _key_attribute(key: str | int | None) -> str:
    """What the path of a node is made of: a key as a JSON string, an index as a number."""
    return "" if key is None else f' data-key="{escape(json.dumps(key, ensure_ascii=False))}"'


def _key(key: str | int | None) -> str:
    return "" if key is None else f'<span class="json-key">{escape(str(key))}</span> '


def _size(value: Any, count: int) -> str:
    kind, unit = ("[ ]", "item") if isinstance(value, list) else ("{ }", "key")
    plural = "" if count == 1 else "s"
    return f'<span class="json-size">{kind} {count:,} {unit}{plural}</span>'


def _leaf(value: Any) -> str:
    if isinstance(value, Token):
        return f'<span class="json-value json-number">{escape(str(value))}</span>'
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        if len(text) > MOST_STRING:
            return (
                f'<span class="json-value json-string" data-cut>{escape(text[:MOST_STRING])}…</span>'
                f' <span class="json-size">{len(value):,} characters</span>'
            )
        return f'<span class="json-value json-string">{escape(text)}</span>'
    return f'<span class="json-value json-literal">{json.dumps(value)}</span>'
