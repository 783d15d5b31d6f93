"""Patches: which branch of changed code an execution takes, decided once and recorded."""

from __future__ import annotations

import hashlib
import re

from durable_engine.core.history import OperationState
from durable_engine.core.operations.base import Scope
from durable_engine.core.ports import EventType

SUBTYPE = "Patched"
_READABLE = re.compile(r"[A-Za-z0-9_-]{1,24}")


def run_patched(scope: Scope, change_id: str) -> bool:
    """Whether the new branch is to be taken: yes if this place was first reached by code that knows the change.

    Decided at the first call in a context, and inherited by the contexts inside it. The operation has an id of its own
    beside the numbered ones, so asking shifts nothing, and code that no longer asks still matches the history.
    """
    if (decided := scope.patch_of(change_id)) is not None:
        return decided
    id = _operation_id(scope.prefix, change_id)
    known = scope.invocation.operations.get(id)
    is_new = known is not None or not scope.is_replaying()
    scope.patches[change_id] = is_new
    if known is None and is_new:
        _record(scope, OperationState(id, "STEP", SUBTYPE, change_id, scope.parent_id))
    return is_new


def _record(scope: Scope, state: OperationState) -> None:
    # Deferred: it is durable before anything that is recorded after it, and needs no round trip of its own.
    for event_type, payload in ((EventType.STEP_STARTED, None), (EventType.STEP_SUCCEEDED, "true")):
        scope.strand.defer(state, scope.strand.event(event_type, state, attempt=1, payload=payload))


def _operation_id(prefix: str, change_id: str) -> str:
    if _READABLE.fullmatch(change_id) and len(id := f"{prefix}patch_{change_id}") <= 64:
        return id
    digest = hashlib.blake2b(change_id.encode(), digest_size=8).hexdigest()
    id = f"{prefix}patch_{digest}"
    return id if len(id) <= 64 else hashlib.blake2b(id.encode(), digest_size=32).hexdigest()
