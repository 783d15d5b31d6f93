"""What a bulk action is told besides its executions. It is kept with the bulk action, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """What of it an action takes is in `TAKEN`; the rest is as here.

    `version` is that of the function. `operation` is the name of the operation in each execution, `kind` what it has to
    be, if that matters. `result_text` (JSON text) or `error` is the outcome it is given. `input_text` is the input of
    new executions, None for the one that each had.
    """

    version: int | None = None
    operation: str = ""
    kind: str = ""
    result_text: str | None = None
    error: Mapping[str, Any] | None = None
    input_text: str | None = None

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> BulkOptions:
        """Read what was stored."""
        return cls(**{each.name: stored[each.name] for each in fields(cls) if each.name in stored})

    def to_json(self) -> dict[str, Any]:
        """What is stored: what is given."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}

    def arguments(self, action: str) -> dict[str, Any]:
        """What of it the service of an action is called with, beside the execution and the operation."""
        return {name: getattr(self, name) for name in TAKEN.get(action, frozenset()) - _OPERATION}

    @property
    def facts(self) -> dict[str, Any]:
        """What may stand in the audit: everything but the value."""
        facts = {name: value for name, value in self.to_json().items() if name in {"version", "operation", "kind"}}
        facts |= {} if self.input_text is None else {"input": "another one"}
        return facts | ({"outcome": "SUCCEEDED" if self.error is None else "FAILED"} if self.has_outcome else {})

    @property
    def value(self) -> str | None:
        """The payload that is given, if one is."""
        return self.result_text if self.input_text is None else self.input_text

    @property
    def has_outcome(self) -> bool:
        """Whether a result or an error is given."""
        return self.result_text is not None or self.error is not None

    @property
    def what(self) -> str:
        """The operation in words: `step named 'charge'`."""
        return f"{self.kind or 'operation'} named {self.operation!r}"


_VERSION: Final = frozenset({"version"})
_INPUT: Final = frozenset({"input_text"})
_OPERATION: Final = frozenset({"operation", "kind"})
TAKEN: Final[Mapping[str, frozenset[str]]] = {
    "redrive": _VERSION,
    "rerun": _VERSION | _INPUT,
    "rewind": _VERSION | _OPERATION,
    "fork": _VERSION | _OPERATION | _INPUT,
    "complete": _OPERATION | {"result_text", "error"},
}
"""What the actions take; those that are not here take nothing."""


def needs_operation(action: str) -> bool:
    """Whether the action is on an operation, which has to be named."""
    return "operation" in TAKEN.get(action, ())


def options_revision(stored: Mapping[str, Any]) -> str:
    """What changes when the options do."""
    return sha256(json.dumps(stored, sort_keys=True).encode()).hexdigest()[:16]
