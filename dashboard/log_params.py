"""Which records the Logs tab shows: from the query string to the query, and into links."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal
from urllib.parse import urlencode

from dashboard.outline_params import LONGEST_TEXT, whole_number

# Word in the address: what the page calls it, and the levels it stands for.
LEVELS: Mapping[str, tuple[str, Collection[str]]] = {
    "warning": ("Warnings and errors", ("WARNING", "ERROR", "CRITICAL")),
    "error": ("Errors", ("ERROR", "CRITICAL")),
}


@dataclass(frozen=True, slots=True)
class LogParams:
    """What the query string asks for; what can't be read is left out. `after` is a position, `op` an operation's id."""

    level: str = ""
    op: str = ""
    order: Literal["", "newest"] = ""
    after: int = 0

    @classmethod
    def of_request(cls, parameters: Mapping[str, str]) -> "LogParams":
        """Read the query string."""
        level = parameters.get("level", "")
        return cls(
            level=level if level in LEVELS else "",
            op=parameters.get("op", "").replace("\x00", "").strip()[:LONGEST_TEXT],
            order="newest" if parameters.get("order") == "newest" else "",
            after=whole_number(parameters.get("after", "")),
        )

    @property
    def levels(self) -> Collection[str]:
        """The levels to show, none for all."""
        return LEVELS[self.level][1] if self.level else ()

    def query(self, **changes: Any) -> str:
        """The query string with some of it changed, with its question mark."""
        changed = replace(self, **changes)
        values = {field.name: getattr(changed, field.name) for field in fields(changed)}
        return "?" + urlencode({name: value for name, value in values.items() if value})
