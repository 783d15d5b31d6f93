"""Which events the history tab shows: from the query string to the query, and into links."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal
from urllib.parse import urlencode

from dashboard.outline_params import LONGEST_TEXT, whole_number
from durable_engine.queries.event_kinds import EVENT_KINDS

LABELS = {
    "failed": "Failures",
    "step": "Steps",
    "wait": "Waits",
    "callback": "Callbacks",
    "invoke": "Invokes",
    "context": "Contexts",
    "invocation": "Invocations",
    "execution": "Execution",
}


@dataclass(frozen=True, slots=True)
class HistoryParams:
    """What the query string asks for; what can't be read is left out. `after` is an event id, `op` an operation's."""

    kind: str = ""
    op: str = ""
    order: Literal["", "newest"] = ""
    after: int = 0

    @classmethod
    def of_request(cls, parameters: Mapping[str, str]) -> "HistoryParams":
        """Read the query string."""
        kind = parameters.get("kind", "")
        return cls(
            kind=kind if kind in LABELS else "",
            op=parameters.get("op", "").replace("\x00", "").strip()[:LONGEST_TEXT],
            order="newest" if parameters.get("order") == "newest" else "",
            after=whole_number(parameters.get("after", "")),
        )

    @property
    def event_types(self) -> Collection[str]:
        """The types of the kind, none for all."""
        return EVENT_KINDS.get(self.kind, ())

    def query(self, **changes: Any) -> str:
        """The query string with some of it changed, with its question mark."""
        changed = replace(self, **changes)
        values = {field.name: getattr(changed, field.name) for field in fields(changed)}
        return "?" + urlencode({name: value for name, value in values.items() if value})
