"""What makes two failures the same: what failed, where, with which kind of error, and the shape of its message."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import PurePath
from typing import Any, Final

# Of the errors of operations it is what failed inside that tells one problem from another.
WRAPPERS: Final = frozenset(
    {
        "DurableOperationError",
        "StepError",
        "InvokeError",
        "ChildContextError",
        "WaitForConditionError",
        "CallbackError",
        "CallbackExternalError",
        "CallbackSubmitterError",
    }
)
LONGEST_MESSAGE: Final = 1_000
LONGEST_SHAPE: Final = 300
LIBRARY: Final = ("site-packages", "/lib/python", "<frozen")
FRAME: Final = re.compile(r'\s*File "([^"]{1,500})", line \d+, in ([^\n]{1,200})')

# In this order: what is more particular first.
_PARTICULARS: Final = (
    (re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>]+", re.IGNORECASE), "<url>"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}"), "<email>"),
    (re.compile(r"\b[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<time>"),
    (re.compile(r"(?<!\w)'[^'\n]{1,200}'(?!\w)|\"[^\"\n]{1,200}\"|“[^”\n]{1,200}”|`[^`\n]{1,200}`"), "<text>"),
    (re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8,64}\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "#"),
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the failures of a group have in common. `kind` is FAILED, TIMED_OUT or PAUSED."""

    kind: str
    function: str
    operation: str
    error_type: str
    frame: str
    message_shape: str

    @property
    def digest(self) -> str:
        """The same text for the same failure, 64 characters."""
        return hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()


def fingerprint(
    *, kind: str, function: str, error_text: str | None, operation: str | None = None, inner_text: str | None = None
) -> Fingerprint:
    """Return the fingerprint of an execution's end.

    `error_text` is its error object as JSON text; `inner_text` that of the operation that failed last, called
    `operation`. What can't be read counts as it is.
    """
    outer, inner = _object(error_text), _object(inner_text)
    error = outer
    if inner and (outer.get("ErrorType") in WRAPPERS or outer.get("ErrorMessage") == inner.get("ErrorMessage")):
        error = inner
    stack = error.get("StackTrace") or outer.get("StackTrace")
    return Fingerprint(
        kind=kind,
        function=function,
        operation=shape_of(operation or "")[:256],
        error_type=str(error.get("ErrorType") or "")[:256],
        frame=own_frame(stack if isinstance(stack, list) else []),
        message_shape=shape_of(str(error.get("ErrorMessage") or "")),
    )


def shape_of(message: str) -> str:
    """Return a message without its particulars: numbers, ids, times, addresses and quoted texts."""
    text = message[:LONGEST_MESSAGE]
    for pattern, word in _PARTICULARS:
        text = pattern.sub(word, text)
    return " ".join(text.split())[:LONGEST_SHAPE]


def own_frame(stack: Sequence[object]) -> str:
    """Return where in the handler's own code it failed, as `orders/tasks.py in charge`.

    Without the line: that moves with every edit. The own frames come first in a recorded stack, the innermost of them
    last.
    """
    found = ""
    for line in stack:
        match = FRAME.match(str(line))
        if match is None or any(part in match[1] for part in LIBRARY):
            break
        found = f"{'/'.join(PurePath(match[1]).parts[-2:])} in {match[2].strip()}"
    return found[:512]


def _object(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"ErrorMessage": text}
    return found if isinstance(found, dict) else {"ErrorMessage": text}
