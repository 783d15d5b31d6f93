"""Operations of many executions, found by the name that the handler gave them: one rule for what is previewed and done.

An id is of one execution only, so a bulk action is told a name. Which operation of an execution is meant is never
guessed: where it isn't clear the execution is refused, with the reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from durable_engine.core.history import EFFECTS, STARTED
from durable_engine.models import BulkItem, ExecutionStatus
from durable_engine.queries.bulk_options import BulkOptions
from durable_engine.queries.callbacks import CALLBACK_ID_NAME, callback_label
from durable_engine.queries.refusals import Refusal
from durable_engine.sdk.types import OperationSubType
from durable_engine.storage import named_operations as stored

# Names are offered from so many executions, and from the newest events of each.
SAMPLED_EXECUTIONS: Final = 200
SAMPLED_EVENTS: Final = 200
MOST_OFFERED: Final = 50

# Operation type -> what people call it.
KINDS: Final[Mapping[str, str]] = {
    "STEP": "step",
    "WAIT": "wait",
    "CALLBACK": "callback",
    "CHAINED_INVOKE": "invoke",
    "CONTEXT": "context",
}


@dataclass(frozen=True, slots=True)
class FoundOperation:
    """An operation that has the name. `kind` is one of `KINDS`; a `wait_for_callback` is a callback."""

    id: str
    name: str
    type: str
    kind: str
    at_top: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class OfferedName:
    """A name that an action could be told, and in how many of the sampled executions."""

    name: str
    kind: str
    executions: int


def found_operations(execution_ids: Sequence[UUID], options: BulkOptions) -> dict[UUID, list[FoundOperation]]:
    """Return what of each execution has the name and the kind, in the order it began. One query."""
    found: dict[UUID, list[FoundOperation]] = defaultdict(list)
    for row in stored.operations_with_name(execution_ids, [options.operation, _callback_name(options.operation)]):
        operation = _found(row)
        if operation.name == options.operation and options.kind in {"", operation.kind}:
            found[row.execution_id].append(operation)
    return found


def chosen_operation(
    action: str, status: str, options: BulkOptions, found: Iterable[FoundOperation]
) -> FoundOperation | Refusal:
    """Return which operation of an execution with this status is meant, or why none is. Pure.

    To rewind or fork it is the last one at the top that has its outcome; to complete the only one that is open.
    """
    candidates = list(found)
    if not candidates:
        return Refusal(f"It has no {options.what}.")
    return _CHOOSE[action](status, options, candidates)


def offered_names(bulk_action_id: UUID, action: str) -> list[OfferedName]:
    """Return names that the action could be told, those of most executions first. From a sample; two queries."""
    items = BulkItem.objects.filter(bulk_action_id=bulk_action_id).order_by("position")
    ids = list(items.values_list("execution_id", flat=True)[:SAMPLED_EXECUTIONS])
    rows = {(row.execution_id, _found(row)) for row in stored.latest_operations(ids, SAMPLED_EVENTS)}
    names = {(execution_id, each.name, each.kind) for execution_id, each in rows if each.name and _fits(action, each)}
    counted = Counter((name, kind) for _, name, kind in names)
    offered = [OfferedName(name, kind, count) for (name, kind), count in counted.items()]
    return sorted(offered, key=lambda each: (-each.executions, each.name, each.kind))[:MOST_OFFERED]


def _rewound(status: str, options: BulkOptions, found: list[FoundOperation]) -> FoundOperation | Refusal:
    at_top = [each for each in found if each.at_top]
    if not at_top:
        return Refusal(f"Its {options.what} is inside another operation.", "Choose it on the execution's own page.")
    ended = [each for each in at_top if not each.is_open]
    return ended[-1] if ended else Refusal(f"Its {options.what} has no outcome yet.")


def _completed(status: str, options: BulkOptions, found: list[FoundOperation]) -> FoundOperation | Refusal:
    still_open = [each for each in found if each.is_open]
    candidates = [each for each in still_open if each.type != "CONTEXT"]
    if len(candidates) > 1:
        return Refusal(f"More than one {options.what} is open.", "Complete them on the execution's own page.")
    if candidates:
        return _not_completed(candidates[0], status, options) or candidates[0]
    if still_open:
        return Refusal("A context completes when its operations do.", "Name the one it waits for.")
    return Refusal(f"Its {options.what} has its outcome already.")


def _not_completed(operation: FoundOperation, status: str, options: BulkOptions) -> Refusal | None:
    if operation.type == "WAIT" and options.has_outcome:
        return Refusal("A wait has neither a result nor an error.", "Leave both out.")
    if operation.type in {"STEP", "CHAINED_INVOKE"} and status == ExecutionStatus.RUNNING:
        return Refusal("The execution is running, and so may the operation be.", "Pause it first.")
    return None


_CHOOSE: Final[Mapping[str, Callable[[str, BulkOptions, list[FoundOperation]], FoundOperation | Refusal]]] = {
    "rewind": _rewound,
    "fork": _rewound,
    "complete": _completed,
}


def _fits(action: str, operation: FoundOperation) -> bool:
    if action == "complete":
        return operation.is_open and operation.type != "CONTEXT"
    return operation.at_top and not operation.is_open


def _found(row: stored.NamedOperation) -> FoundOperation:
    type_, status = EFFECTS[row.event_type]
    waits_for_callback = row.subtype == OperationSubType.WAIT_FOR_CALLBACK
    return FoundOperation(
        id=row.id,
        name=callback_label(row.name) if type_ == "CALLBACK" else row.name,
        type=type_,
        kind="callback" if waits_for_callback else KINDS[type_],
        at_top=row.at_top,
        is_open=status == STARTED or row.backs_off,
    )


def _callback_name(name: str) -> str:
    return f"{name} {CALLBACK_ID_NAME}"
