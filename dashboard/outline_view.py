"""A window of an execution's operations with what a page shows around it: filters, pages, and what is left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.outline_params import OutlineParams
from dashboard.seen import Seen
from durable_engine.queries.operation_windows import operations_in
from durable_engine.queries.operations import OperationView
from durable_engine.queries.outline import Outline, outline_of

FAILING = ("FAILED", "TIMED_OUT", "PENDING")
OPEN = ("STARTED", "PENDING")
LEAST_FOR_FILTERS = 10


@dataclass(frozen=True, slots=True)
class ShowChoice:
    """One of the filters by status: its word, its count and its address."""

    label: str
    count: int
    url: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class OutlineView:
    """What is shown of the operations, and how to see the rest."""

    params: OutlineParams
    outline: Outline
    operations: Mapping[str, OperationView]
    size: int

    @property
    def has_filters(self) -> bool:
        """Whether there is enough to be worth filtering."""
        return self.params.is_narrowed or self.outline.operations > LEAST_FOR_FILTERS

    @property
    def choices(self) -> Sequence[ShowChoice]:
        """All, what fails, what is open."""
        counts = self.outline.counts
        failing = sum(counts.get(status, 0) for status in FAILING)
        is_open = sum(counts.get(status, 0) for status in OPEN)
        plain = {"start": None, "op": "", "group": 0}
        choices = [
            ShowChoice("All", self.outline.operations, self.params.query(show="", **plain), not self.params.show),
            ShowChoice("Failing", failing, self.params.query(show="failed", **plain), self.params.show == "failed"),
            ShowChoice("Open", is_open, self.params.query(show="open", **plain), self.params.show == "open"),
        ]
        return [choice for choice in choices if choice.count or choice.is_chosen or choice.label == "All"]

    @property
    def clear_url(self) -> str:
        """All operations again."""
        return self.params.query(show="", q="", group=0, start=None, op="")

    @property
    def is_window(self) -> bool:
        """Whether a part in the middle is shown."""
        return self.params.is_window and self.outline.lines > self.size

    @property
    def first(self) -> int:
        """The position of the first line that is shown."""
        return self.outline.chosen[0].position if self.outline.chosen else 0

    @property
    def range_text(self) -> str:
        """Which lines of how many."""
        count = len(self.outline.chosen)
        if not count:
            return "Nothing here"
        return f"{self.first + 1:,} to {self.first + count:,} of {self.outline.lines:,}"

    @property
    def earlier_url(self) -> str:
        """The window before, empty at the beginning."""
        return self.window_url(max(self.first - self.size, 0)) if self.is_window and self.first else ""

    @property
    def later_url(self) -> str:
        """The window after, empty at the end."""
        after = self.first + len(self.outline.chosen)
        return self.window_url(after) if self.is_window and after < self.outline.lines else ""

    @property
    def ends_url(self) -> str:
        """The beginning and the end again."""
        return self.params.query(start=None, op="")

    def window_url(self, position: int) -> str:
        """The window that begins at a position."""
        return self.params.query(start=position, op="")

    def group_url(self, first_event: int) -> str:
        """The members of folded siblings."""
        return self.params.query(group=first_event, start=None, op="")


def view_outline(seen: Seen, params: OutlineParams, size: int) -> OutlineView:
    """Read the window that the parameters ask for. A constant number of queries."""
    execution = seen.execution
    outline = outline_of(
        execution.id,
        params.window(size),
        started_at=execution.created_at,
        until=seen.until,
        closed=execution.is_closed,
    )
    lines = [line for line in outline.chosen if line.fold is None]
    return OutlineView(params, outline, operations_in(execution.id, lines, closed=execution.is_closed), size)


def operation_url(steps_url: str, operation_id: str) -> str:
    """The address of one operation on the steps page, in whichever window it is."""
    return f"{steps_url}?{urlencode({'op': operation_id})}#operation-{operation_id}"
