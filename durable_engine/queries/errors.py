"""Error objects as they are stored, for people."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorView:
    """What failed. `stack` has the handler's own frames first; `data` is whatever the error carried, as text."""

    type: str
    message: str
    stack: tuple[str, ...] = ()
    data: str | None = None

    @classmethod
    def of_json(cls, text: str) -> ErrorView:
        """Read an error object; one that can't be read is shown as it is, because it must not hide the page."""
        try:
            fields = json.loads(text)
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            return cls(type="", message=text)
        stack = fields.get("StackTrace")
        data = fields.get("ErrorData")
        return cls(
            type=str(fields.get("ErrorType") or ""),
            message=str(fields.get("ErrorMessage") or ""),
            stack=tuple(str(line) for line in stack) if isinstance(stack, list) else (),
            data=None if data is None else str(data),
        )
