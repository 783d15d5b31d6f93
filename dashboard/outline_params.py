"""Which operations of an execution a page shows: from the query string to the window, and into links."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal
from urllib.parse import urlencode

from durable_engine.queries.outline import OutlineWindow, Show

LONGEST_TEXT = 200
SHOWS: Mapping[str, Show] = {"failed": "failed", "open": "open"}


@dataclass(frozen=True, slots=True)
class OutlineParams:
    """What the query string asks for. What can't be read is left out, so that an old link still opens.

    `start` is the position of the first line, `op` an operation to look at, `group` the first event of folded
    siblings, `gaps` whether idle times are squeezed.
    """

    show: str = ""
    q: str = ""
    group: int = 0
    start: int | None = None
    op: str = ""
    gaps: Literal["", "squeezed"] = ""

    @classmethod
    def of_request(cls, parameters: Mapping[str, str]) -> "OutlineParams":
        """Read the query string."""
        show = parameters.get("show", "")
        start = parameters.get("start", "")
        return cls(
            show=show if show in SHOWS else "",
            q=_clean(parameters.get("q", "")),
            group=whole_number(parameters.get("group", "")),
            start=whole_number(start) if start else None,
            op=_clean(parameters.get("op", "")),
            gaps="squeezed" if parameters.get("gaps") == "squeezed" else "",
        )

    @property
    def is_narrowed(self) -> bool:
        """Whether some operations are filtered out."""
        return bool(self.show or self.q or self.group)

    @property
    def is_window(self) -> bool:
        """Whether a part in the middle is asked for, rather than the beginning and the end."""
        return self.start is not None or bool(self.op)

    def window(self, size: int) -> OutlineWindow:
        """The window as the query takes it."""
        return OutlineWindow(
            size=size,
            start=self.start,
            around=self.op,
            show=SHOWS.get(self.show, "all"),
            text=self.q,
            group=self.group,
        )

    def query(self, **changes: Any) -> str:
        """The query string with some of it changed, with its question mark; empty when nothing is asked for."""
        changed = replace(self, **changes)
        values = {field.name: getattr(changed, field.name) for field in fields(changed)}
        text = urlencode({name: value for name, value in values.items() if value or (name == "start" and value == 0)})
        return f"?{text}" if text else "?"


def whole_number(text: str) -> int:
    """Return the number that the text is, 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else 0


def _clean(text: str) -> str:
    # Postgres refuses NUL in text.
    return text.replace("\x00", "").strip()[:LONGEST_TEXT]
