"""What an execution belongs to: who invoked it, whom it invoked, what it came of and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.seen import Seen
from durable_engine.queries.audit import list_audit_entries
from durable_engine.queries.relations import RelatedExecution, children_of, copies_of, origin_of, parent_of

MOST_ACTIONS = 50
# How an execution came of another one, from the one's side and from the other's.
CAME_OF = {
    "redrive": "Redriven from",
    "rewind": "Rewound from",
    "fork": "Forked from",
    "rerun": "Run again with the input of",
}
BECAME = {"redrive": "Redriven as", "rewind": "Rewound as", "fork": "Forked as", "rerun": "Run again as"}


@dataclass(frozen=True, slots=True)
class Relation:
    """One execution beside this one, and what it is to it. `gone` is the id of one that is deleted."""

    label: str
    other: RelatedExecution | None
    gone: str = ""


def relations_tab(seen: Seen) -> dict[str, Any]:
    """Everything related, and what people did. A constant number of queries."""
    execution = seen.execution
    children = children_of(execution.id, seen.request.GET.get("children"))
    copies = copies_of(execution.id, seen.request.GET.get("copies"))
    actions = list_audit_entries(limit=MOST_ACTIONS, execution_id=execution.id) if seen.may("view_auditentry") else None
    return {
        "above": _above(seen),
        "copies": [Relation(BECAME.get(copy.origin_kind, "Continued as"), copy) for copy in copies.items],
        "copies_next": copies.next,
        "copies_previous": copies.previous,
        "children": children.items,
        "children_next": children.next,
        "children_previous": children.previous,
        "audit_entries": None if actions is None else actions.items,
        "has_more_actions": actions is not None and actions.next is not None,
    }


def _above(seen: Seen) -> Sequence[Relation]:
    execution = seen.execution
    relations = []
    if execution.parent_execution_id is not None:
        relations.append(Relation("Invoked by", parent_of(execution), str(execution.parent_execution_id)))
    if execution.origin_id is not None:
        label = CAME_OF.get(execution.origin_kind, "Continues")
        relations.append(Relation(label, origin_of(execution), str(execution.origin_id)))
    return relations
