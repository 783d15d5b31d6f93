"""What the page that compares two executions shows."""

from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from dashboard.alignment import Pair, Side, aligned, sides_of
from dashboard.json_diff import MOST_LINES, Difference, differences
from durable_engine.queries.comparisons import digests_of
from durable_engine.queries.executions import ExecutionSummary, input_of
from durable_engine.queries.masking import masked, masked_keys_of
from durable_engine.queries.operation_windows import operations_in
from durable_engine.queries.outline import Outline, OutlineWindow, outline_of

LINES = 400  # of each; aligning takes the square of it


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of both, when it differs or is worth knowing."""

    label: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        """Whether the two are not the same."""
        return self.left != self.right


def comparison_of(left: ExecutionSummary, right: ExecutionSummary, *, with_payloads: bool) -> dict[str, Any]:
    """Return the context of the page: a bounded part of both, aligned."""
    (left_outline, left_sides), (right_outline, right_sides) = _sides(left), _sides(right)
    pairs = aligned(left_sides, right_sides)
    first = next((index for index, pair in enumerate(pairs) if not pair.is_same), None)
    inputs = _input_differences(left, right) if with_payloads else None
    return {
        "section": "executions",
        "left": left,
        "right": right,
        "facts": _facts(left, right),
        "pairs": pairs,
        "first": pairs[first] if first is not None else None,
        "first_index": first,
        "first_words": _words(pairs[first]) if first is not None else "",
        "same_count": sum(pair.is_same for pair in pairs),
        "is_partial": max(left_outline.lines, right_outline.lines) > LINES,
        "most_lines": LINES,
        "inputs": inputs,
        "inputs_are_known": with_payloads,
        "has_more_inputs": inputs is not None and len(inputs) > MOST_LINES,
    }


def _sides(execution: ExecutionSummary) -> tuple[Outline, list[Side]]:
    closed = execution.is_closed
    outline = outline_of(
        execution.id,
        OutlineWindow(size=LINES),
        started_at=execution.created_at,
        until=execution.closed_at or timezone.now(),
        closed=closed,
    )
    lines = [line for line in outline.chosen if line.fold is None]
    operations = operations_in(execution.id, lines, closed=closed)
    results = [each.result_event_id for each in operations.values() if each.result_event_id is not None]
    return outline, sides_of(outline.chosen, operations, digests_of(execution.id, results))


def _facts(left: ExecutionSummary, right: ExecutionSummary) -> list[Fact]:
    facts = [
        Fact("Function", left.function, right.function),
        Fact("Version", str(left.version), str(right.version)),
        Fact("Queue", left.queue, right.queue),
    ]
    facts += [
        Fact(f"Tag {key}", left.tags.get(key, ""), right.tags.get(key, "")) for key in sorted({*left.tags, *right.tags})
    ]
    return facts


def _input_differences(left: ExecutionSummary, right: ExecutionSummary) -> list[Difference] | None:
    return differences(*(_shown_input(side) for side in (left, right)))


def _shown_input(execution: ExecutionSummary) -> str:
    return masked(input_of(execution.id) or "null", masked_keys_of(execution.function, execution.version))


def _words(pair: Pair) -> str:
    """What differs in a pair, as a sentence."""
    name = f"“{pair.label}”"
    if pair.left is None:
        return f"{name} ran only in the later one."
    if pair.right is None:
        return f"{name} ran only in the earlier one."
    if pair.verdict == "result":
        return f"{name} returned another result."
    if pair.verdict == "attempts":
        return (
            f"{name} took {pair.left.attempts} attempts in the earlier one and {pair.right.attempts} in the later one."
        )
    sides = (side.error or side.line.status.replace("_", " ").lower() for side in (pair.left, pair.right))
    return "{}: {} in the earlier one, {} in the later one.".format(name, *sides)
