"""Kinds of events, as people filter a history by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from durable_engine.core.ports import EventType

_PREFIXES: Final = {
    "step": "Step",
    "wait": "Wait",
    "callback": "Callback",
    "invoke": "ChainedInvoke",
    "context": "Context",
    "invocation": "Invocation",
    "execution": "Execution",
}
_FAILURES: Final = ("Failed", "TimedOut", "Stopped")

EVENT_KINDS: Final[Mapping[str, frozenset[str]]] = {
    "failed": frozenset(each.value for each in EventType if each.value.endswith(_FAILURES)),
    **{
        kind: frozenset(each.value for each in EventType if each.value.startswith(prefix))
        for kind, prefix in _PREFIXES.items()
    },
}
