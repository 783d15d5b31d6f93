"""`build_preview`: the few fields of a value that stand beside a reference to it, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from durable_engine.sdk.exceptions import ValidationError

__all__ = ["FieldMatchMode", "PreviewConfig", "PreviewField", "PreviewMode", "build_preview"]

Path = tuple[str, ...]


class PreviewMode(StrEnum):
    """Which fields a preview begins with."""

    INCLUDE_ALL = "INCLUDE_ALL"
    EXCLUDE_ALL = "EXCLUDE_ALL"


class FieldMatchMode(StrEnum):
    """Where a `PreviewField` is looked for. PATH: at exactly that place from the root, such as `customer.email`."""

    ANYWHERE = "ANYWHERE"
    PATH = "PATH"


@dataclass(frozen=True)
class PreviewField:
    """The name of a field, wherever it stands, with everything below it; or, with PATH, one place."""

    name: str
    match: FieldMatchMode = FieldMatchMode.ANYWHERE

    def matches(self, path: Path) -> bool:
        """Whether a field at that place is meant."""
        if self.match is FieldMatchMode.PATH:
            return ".".join(path) == self.name
        return self.name in path


@dataclass(frozen=True)
class PreviewConfig:
    """What a preview shows.

    `exclude` always wins. A field of `mask` is shown with `mask_string` for its value. `max_preview_bytes` bounds the
    JSON of the preview: fields are taken in order until it is full.
    """

    mode: PreviewMode
    include: Sequence[PreviewField] = ()
    exclude: Sequence[PreviewField] = ()
    mask: Sequence[PreviewField] = ()
    mask_string: str = "***"
    max_preview_bytes: int = 4096

    def __post_init__(self) -> None:
        limit: object = self.max_preview_bytes
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 2:
            raise ValidationError(f"PreviewConfig.max_preview_bytes must be a whole number of 2 or more, not {limit!r}")
        if not isinstance(self.mode, PreviewMode):
            raise ValidationError(f"PreviewConfig.mode must be a PreviewMode, not {self.mode!r}")


def build_preview(value: Any, config: PreviewConfig) -> dict[str, Any] | None:
    """Return the fields of a dict that `config` shows, nested as they are; None when there are none.

    The fields of the items of a list are put together in one dict in the list's place; a later item's wins.
    """
    if not isinstance(value, dict):
        return None
    preview: dict[str, Any] = {}
    room = config.max_preview_bytes - 2
    for path, leaf in _shown(value, (), config):
        room -= len(json.dumps({".".join(path): leaf}, default=str)) - 1
        if room < 0:
            break
        _put(preview, path, leaf)
    return preview or None


def _shown(value: Any, path: Path, config: PreviewConfig) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _shown(item, path, config)
        return
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        place = (*path, str(key))
        if _any(config.exclude, place):
            continue
        if _any(config.mask, place):
            yield place, config.mask_string
        elif isinstance(item, dict | list | tuple):
            yield from _shown(item, place, config)
        elif config.mode is PreviewMode.INCLUDE_ALL or _any(config.include, place):
            yield place, item


def _any(fields: Sequence[PreviewField], path: Path) -> bool:
    # A place that lies below a matched one is matched too.
    return any(field.matches(path[:depth]) for field in fields for depth in range(1, len(path) + 1))


def _put(preview: dict[str, Any], path: Path, leaf: Any) -> None:
    node = preview
    for key in path[:-1]:
        inner = node.get(key)
        if not isinstance(inner, dict):
            inner = node[key] = {}
        node = inner
    node[path[-1]] = leaf
