"""The read-only facts of a request (any JSON) as pieces a page can lay out: pairs, tables, links, texts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

# More is in the JSON that a page offers below the table.
MOST_ROWS = 100
MOST_COLUMNS = 10
DEEPEST = 4

Kind = Literal["text", "long", "number", "yes", "no", "nothing", "link", "file", "pairs", "table", "list", "json"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One value. Which fields are set depends on `kind`; `text` is what a link or a scalar shows, `url` is a file's."""

    kind: Kind
    text: str = ""
    url: str = ""
    pairs: Sequence[tuple[str, "Piece"]] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence["Piece"]] = ()
    items: Sequence["Piece"] = ()
    left_out: int = 0


def piece_of(value: Any, depth: int = 0) -> Piece:
    """Return how to lay out a JSON value. What is too deep or too wide for a table is shown as JSON text."""
    match value:
        case Mapping() if not value:
            return Piece("nothing")
        case Mapping() if depth < DEEPEST:
            pairs = [(label_of(key), piece_of(each, depth + 1)) for key, each in list(value.items())[:MOST_ROWS]]
            return Piece("pairs", pairs=pairs, left_out=max(0, len(value) - MOST_ROWS))
        case str():
            return _text(value)
        case list() | tuple() if depth < DEEPEST:
            return _sequence(value, depth)
    return _scalar(value)


def _sequence(values: Sequence[Any], depth: int) -> Piece:
    if not values:
        return Piece("nothing")
    shown, left_out = values[:MOST_ROWS], max(0, len(values) - MOST_ROWS)
    columns = _columns(shown)
    if not columns:
        return Piece("list", items=[piece_of(each, depth + 1) for each in shown], left_out=left_out)
    rows = [[piece_of(each[key], depth + 1) if key in each else Piece("nothing") for key in columns] for each in shown]
    return Piece("table", columns=[label_of(key) for key in columns], rows=rows, left_out=left_out)


def _columns(values: Sequence[Any]) -> list[str]:
    """The keys of a list of objects, in order of appearance; none when it is no table."""
    if not all(isinstance(each, Mapping) and each for each in values):
        return []
    keys = list(dict.fromkeys(key for each in values for key in each))
    return keys if len(keys) <= MOST_COLUMNS else []


def _text(value: str) -> Piece:
    if _is_link(value):
        return Piece("link", value)
    if not value.strip():
        return Piece("nothing")
    return Piece("long" if "\n" in value or len(value) > 200 else "text", value)


def _scalar(value: Any) -> Piece:
    match value:
        case None:
            return Piece("nothing")
        case bool():
            return Piece("yes" if value else "no")
        case int() | float():
            return Piece("number", json.dumps(value))
    return Piece("json", json.dumps(value, ensure_ascii=False, indent=2, default=str))


def _is_link(value: str) -> bool:
    if len(value) > 2_000 or any(character.isspace() for character in value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def label_of(key: object) -> str:
    """Return a key as a label: `order_total` as `Order total`; what is no identifier is shown as it is."""
    text = str(key)
    return text.replace("_", " ").strip().capitalize() if text.isidentifier() and text.islower() else text
