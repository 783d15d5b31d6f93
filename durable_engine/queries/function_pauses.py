"""Which functions are paused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from durable_engine.models import FunctionPause


@dataclass(frozen=True, slots=True)
class PauseView:
    """A paused function: by whom, since when and why, and whether starts are refused meanwhile."""

    function: str
    paused_at: datetime
    paused_by: str
    reason: str
    refuses_starts: bool


_FIELDS: Final = tuple(PauseView.__dataclass_fields__)


def paused_functions() -> dict[str, PauseView]:
    """Return all paused functions by name."""
    return {row[0]: PauseView(*row) for row in FunctionPause.objects.order_by("function").values_list(*_FIELDS)}


def pause_of(function: str) -> PauseView | None:
    """Return the pause of a function, or None when it isn't paused."""
    row = FunctionPause.objects.filter(function=function).values_list(*_FIELDS).first()
    return None if row is None else PauseView(*row)
