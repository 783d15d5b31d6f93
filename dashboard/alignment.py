"""Two executions side by side: their operations aligned by name and order, and what differs in each pair."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from dashboard.statuses import operation_kind
from durable_engine.queries.operations import OperationView
from durable_engine.queries.outline import OutlineLine

Verdict = Literal["same", "outcome", "result", "attempts", "only-left", "only-right"]
# A duration is worth a word when it is this many times, and seconds, longer or shorter.
LEAST_FACTOR = 2.0
LEAST_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Side:
    """One operation, or folded siblings, of one execution. `digest` tells whether results are the same."""

    line: OutlineLine
    operation: OperationView | None
    digest: str | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return self.line.name or self.line.id

    @property
    def kind(self) -> str:
        """What kind of operation it is, in words."""
        if self.operation is None:
            return f"{self.line.fold.members:,} siblings" if self.line.fold else ""
        return operation_kind(self.operation.type, self.operation.subtype)

    @property
    def seconds(self) -> float:
        """How long it took, up to its last event for what is open."""
        return (self.line.changed_at - self.line.started_at).total_seconds()

    @property
    def attempts(self) -> int:
        """How many attempts were made."""
        return self.operation.attempt_count if self.operation is not None else 0

    @property
    def error(self) -> str:
        """The type of its error."""
        error = self.operation.error if self.operation is not None else None
        return error.type if error is not None else ""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same operation in both, or one that only one of them has."""

    left: Side | None
    right: Side | None
    verdict: Verdict

    @property
    def label(self) -> str:
        """What people call it."""
        side = self.left or self.right
        return "" if side is None else side.label

    @property
    def kind(self) -> str:
        """What kind of operation it is."""
        side = self.left or self.right
        return "" if side is None else side.kind

    @property
    def depth(self) -> int:
        """How deep it is nested."""
        side = self.left or self.right
        return 0 if side is None else side.line.depth

    @property
    def is_same(self) -> bool:
        """Whether nothing but the time it took differs."""
        return self.verdict == "same"

    @property
    def slower(self) -> float:
        """How many times longer the right one took; below 1 when it was quicker, 0 when it is not worth a word."""
        if self.left is None or self.right is None:
            return 0.0
        left, right = self.left.seconds, self.right.seconds
        if abs(right - left) < LEAST_SECONDS or min(left, right) <= 0:
            return 0.0
        factor = right / left
        return factor if factor >= LEAST_FACTOR or factor <= 1 / LEAST_FACTOR else 0.0


def sides_of(
    lines: Sequence[OutlineLine], operations: Mapping[str, OperationView], digests: Mapping[int, str]
) -> list[Side]:
    """The lines of one execution with what is known of each."""
    return [_side(line, operations.get(line.id) if line.fold is None else None, digests) for line in lines]


def aligned(left: Sequence[Side], right: Sequence[Side]) -> list[Pair]:
    """Pair what has the same name, kind and depth, in an order that both have."""
    matcher = SequenceMatcher(None, [_key(side) for side in left], [_key(side) for side in right], autojunk=False)
    return [
        pair
        for tag, i, i_end, j, j_end in matcher.get_opcodes()
        for pair in _pairs(left[i:i_end], right[j:j_end], same=tag == "equal")
    ]


def _side(line: OutlineLine, operation: OperationView | None, digests: Mapping[int, str]) -> Side:
    event = operation.result_event_id if operation is not None else None
    return Side(line, operation, digests.get(event) if event is not None else None)


def _key(side: Side) -> tuple[str, int, str]:
    kind = "" if side.operation is None else side.operation.type
    return side.label, side.line.depth, kind


def _pairs(left: Sequence[Side], right: Sequence[Side], *, same: bool) -> Iterator[Pair]:
    if same:
        yield from (Pair(mine, other, _verdict(mine, other)) for mine, other in zip(left, right, strict=True))
        return
    yield from (Pair(mine, None, "only-left") for mine in left)
    yield from (Pair(None, other, "only-right") for other in right)


def _verdict(left: Side, right: Side) -> Verdict:
    if left.line.status != right.line.status or left.error != right.error:
        return "outcome"
    if left.digest != right.digest:
        return "result"
    return "attempts" if left.attempts != right.attempts else "same"
