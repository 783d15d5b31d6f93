"""Payloads as people read them: indented, with every token kept as it was stored."""

import json
import re
from dataclasses import dataclass

from django.utils.safestring import SafeString

from dashboard.json_tree import tree_of

MOST_SHOWN = 64 * 1024
MOST_DEPTH = 200
OPENING = ("[", "{")
CLOSING = ("]", "}")

# A JSON text is strings, structure, and runs of anything else (numbers, literals). Parsing it into Python and back
# would change numbers beyond what a float holds and drop doubled keys.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+|"')


@dataclass(frozen=True, slots=True)
class ShownPayload:
    """A payload for a page. `cut` says that `text` is only its beginning; `size` is in bytes.

    `tree` is the same as a folded tree, None where there is nothing to fold.
    """

    text: str
    size: int
    cut: bool
    tree: SafeString | None = None


def shown(stored: str) -> ShownPayload:
    """Prepare a stored JSON text for reading; what is too long for a page is cut and not indented."""
    size = len(stored.encode())
    tree = tree_of(stored)
    if len(stored) > MOST_SHOWN:
        return ShownPayload(stored[:MOST_SHOWN], size, cut=True, tree=tree)
    return ShownPayload(indented(stored) if _is_json(stored) else stored, size, cut=False, tree=tree)


def indented(text: str) -> str:
    """Indent a JSON text by two spaces a level, changing nothing but white space between tokens."""
    out: list[str] = []
    depth = 0
    previous = ""
    for part in _TOKEN.findall(text):
        if part in CLOSING and previous not in OPENING:
            depth = max(depth - 1, 0)
            out.append(_line(depth))
        elif part in CLOSING:
            depth = max(depth - 1, 0)
        elif previous in {*OPENING, ","}:
            out.append(_line(depth))
        out.append(": " if part == ":" else part)
        if part in OPENING:
            depth += 1
        previous = part
    return "".join(out)


def _is_json(text: str) -> bool:
    # A serdes of the handler's own may store anything.
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _line(depth: int) -> str:
    return "\n" + "  " * min(depth, MOST_DEPTH)
