"""Values of a command line: texts in files, tags."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from durable_engine.services.exceptions import InvalidInput


def read_input(text: str) -> str:
    """Return the text itself, or that of the file after an `@`, or standard input for `-`."""
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("--input", f"{text[1:]} can't be read: {error}.") from error


def tags_of(pairs: Iterable[str]) -> dict[str, str]:
    """Return the tags of KEY=VALUE pairs."""
    tags = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidInput("--tag", f"{pair!r} is not KEY=VALUE.")
        tags[key] = value
    return tags
