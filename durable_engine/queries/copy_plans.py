"""What a redrive, rewind or fork would keep and what it would run again, before anybody does it. No locks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from durable_engine.core import prefix
from durable_engine.core.ports import RecordedEvent
from durable_engine.core.prefix import Prefix, UnknownOperation
from durable_engine.storage.copies import events_to_copy


@dataclass(frozen=True, slots=True)
class PlannedOperation:
    """An operation that would run again."""

    id: str
    type: str
    subtype: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """How many operations would be kept, and which would run again, in the order they began."""

    kept: int
    repeated: Sequence[PlannedOperation]


def redrive_plan(execution_id: UUID) -> CopyPlan | None:
    """Return what redriving would do; None when there is no such execution. One query."""
    return _plan(execution_id, prefix.redriven)


def rewind_plan(execution_id: UUID, operation_id: str) -> CopyPlan | None:
    """Return what rewinding to an operation would do; None when there is no such execution or operation. One query."""
    return _plan(execution_id, lambda events: prefix.rewound(events, operation_id))


def fork_plan(execution_id: UUID, operation_id: str) -> CopyPlan | None:
    """Return what forking from an operation would do; None when there is no such execution or operation. One query."""
    return _plan(execution_id, lambda events: prefix.forked(events, operation_id))


def _plan(execution_id: UUID, choose: Callable[[Sequence[RecordedEvent]], Prefix]) -> CopyPlan | None:
    events = [event for event, _ in events_to_copy(execution_id)]
    if not events:
        return None
    try:
        chosen = choose(events)
    except UnknownOperation:
        return None
    repeated = [PlannedOperation(each.id, each.type, each.subtype, each.name) for each in chosen.repeated]
    return CopyPlan(chosen.kept_count, repeated)
