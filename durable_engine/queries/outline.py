"""The outline of an execution: how many operations, how they ended, and one window of them, at bounded cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from durable_engine.storage.outline import STATUSES, read_outline

Show = Literal["all", "failed", "open"]

SLICES: Final = 240  # columns of the minimap
STOPS: Final = 40  # places of the minimap that lead to a window
LEAST_FOLDED: Final = 6  # siblings of one name that make one line
MOST_FAILED: Final = 50  # failed operations that a first view shows besides its first and last
CONTEXT_LINES: Final = 20  # shown before the operation that a window is opened around

_SHOWN: Final[Mapping[Show, Sequence[int]]] = {
    "all": tuple(range(len(STATUSES))),
    "failed": tuple(STATUSES.index(name) for name in ("PENDING", "FAILED", "TIMED_OUT")),
    "open": tuple(STATUSES.index(name) for name in ("STARTED", "PENDING")),
}


@dataclass(frozen=True, slots=True)
class OutlineWindow:
    """Which operations a page wants.

    `size` lines from `start`, or around the operation `around`; with neither, the first and the last half and what
    failed between. All lines when there are no more than `size`. `show` and `text` (part of a name, or the beginning of
    an id) narrow them; `group` is the `first_event` of a folded line, whose members are wanted. Siblings of one name
    that succeeded are folded into one line only where nothing of this is asked for.
    """

    size: int = 200
    start: int | None = None
    around: str = ""
    show: Show = "all"
    text: str = ""
    group: int = 0
    fold: bool = True

    @property
    def folds(self) -> bool:
        """Whether siblings may be folded."""
        return self.fold and self.show == "all" and not (self.text or self.group or self.around)


@dataclass(frozen=True, slots=True)
class FoldedSiblings:
    """Operations of one name and parent that all succeeded, shown as one line. Durations are in seconds."""

    members: int
    median_seconds: float
    longest_seconds: float


@dataclass(frozen=True, slots=True)
class OutlineLine:
    """One line of the window. `position` counts the lines of the whole execution from 0; `fold` makes it a group."""

    id: str
    name: str | None
    depth: int
    position: int
    status: str
    first_event: int
    last_event: int
    events: int
    started_at: datetime
    changed_at: datetime
    fold: FoldedSiblings | None = None


@dataclass(frozen=True, slots=True)
class OutlineSlice:
    """How many operations that stand so began in one of `SLICES` equal parts of the execution's time, from 0."""

    slice: int
    status: str
    operations: int


@dataclass(frozen=True, slots=True)
class InvocationSpan:
    """One ended invocation, or some near each other where there are very many; `number` is that of the first."""

    number: int
    invocations: int
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Outline:
    """An execution at a glance, and one window.

    `counts` is of all operations by status; `lines` is how many lines there would be without a window. `stops` are
    (place, position) pairs: the first line that began in one of `STOPS` equal parts of the time. The running invocation
    is not among `invocations`.
    """

    lines: int
    counts: Mapping[str, int]
    first_failed: int | None
    slices: Sequence[OutlineSlice]
    stops: Sequence[tuple[int, int]]
    invocations: Sequence[InvocationSpan]
    chosen: Sequence[OutlineLine] = field(default_factory=tuple)

    @property
    def operations(self) -> int:
        """How many operations there are, folded ones included."""
        return sum(self.counts.values())


def outline_of(
    execution_id: UUID, window: OutlineWindow, *, started_at: datetime, until: datetime, closed: bool
) -> Outline:
    """Return the outline in one statement, whose cost grows with the history but whose answer does not.

    `started_at` and `until` are the ends of the time that is cut into slices. What a `closed` execution left open is
    CANCELLED.
    """
    begin = started_at.timestamp()
    text = window.text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    found = read_outline(
        execution_id,
        {
            "fold": window.folds,
            "least_folded": LEAST_FOLDED,
            "group": window.group,
            "statuses": list(_SHOWN[window.show]),
            "text": window.text,
            "text_like": f"%{text}%",
            "id_like": f"{text}%",
            "start": window.start,
            "around": window.around,
            "before": CONTEXT_LINES,
            "size": window.size,
            "most_failed": MOST_FAILED,
            "from": begin,
            "until": max(until.timestamp(), begin + 0.001),
            "slices": SLICES,
            "stops": STOPS,
        },
    )
    names = _status_names(closed)
    counts: dict[str, int] = {}
    for code, count in found["counts"].items():
        counts[names[int(code)]] = counts.get(names[int(code)], 0) + count
    return Outline(
        lines=found["lines"],
        counts=counts,
        first_failed=found["first_failed"],
        slices=[OutlineSlice(_place(at, SLICES), names[code], count) for at, code, count in found["slices"]],
        stops=[(_place(at, STOPS), position) for at, position in found["stops"]],
        invocations=[
            InvocationSpan(number, count, datetime.fromisoformat(start), datetime.fromisoformat(end))
            for number, count, start, end in found["invocations"]
        ],
        chosen=[_line(row, names) for row in found["chosen"]],
    )


def _status_names(closed: bool) -> list[str]:
    return ["CANCELLED" if closed and name in {"STARTED", "PENDING"} else name for name in STATUSES]


def _place(bucket: int, buckets: int) -> int:
    # What lies on an end of the time, or a little beyond by another clock, belongs to the outermost part.
    return min(max(bucket - 1, 0), buckets - 1)


def _line(row: Mapping[str, Any], names: Sequence[str]) -> OutlineLine:
    fold = None
    if row["members"] is not None:
        fold = FoldedSiblings(row["members"], row["median"], row["longest"])
    return OutlineLine(
        id=row["id"],
        name=row["name"],
        depth=row["depth"],
        position=row["position"],
        status=names[row["status"]],
        first_event=row["first_event"],
        last_event=row["last_event"],
        events=row["events"],
        started_at=datetime.fromisoformat(row["started_at"]),
        changed_at=datetime.fromisoformat(row["changed_at"]),
        fold=fold,
    )
