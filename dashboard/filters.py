"""The filters of the executions list: from the URL to the query, to chips, and back into URLs."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.statuses import EXECUTION_STATUSES, Status
from durable_engine.queries.executions import ExecutionFilters

PARAMETERS = ("status", "function", "q")
LONGEST_TEXT = 256


@dataclass(frozen=True, slots=True)
class Chip:
    """One active filter and the URL without it."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class StatusChoice:
    """One entry of the status filter; `count` may be one above the cap. `status` is None for all."""

    status: Status | None
    url: str
    count: int | None
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class ListFilters:
    """What the list's URL asks for. Unknown statuses are left out, so an old link still opens."""

    status: str = ""
    function: str = ""
    text: str = ""

    @classmethod
    def of_request(cls, parameters: Mapping[str, str]) -> "ListFilters":
        """Read the query string."""
        status = parameters.get("status", "")
        return cls(
            status=status if status in EXECUTION_STATUSES else "",
            function=_clean(parameters.get("function", "")),
            text=_clean(parameters.get("q", "")),
        )

    @property
    def is_active(self) -> bool:
        """Whether anything is filtered."""
        return bool(self.status or self.function or self.text)

    @property
    def query_string(self) -> str:
        """The filters as they stand in the URL."""
        return self._with()

    def for_query(self) -> ExecutionFilters:
        """The filters as the query takes them."""
        return ExecutionFilters(status=self.status or None, function=self.function or None, text=self.text or None)

    def chips(self) -> list[Chip]:
        """One chip for each active filter."""
        words = {
            "status": f"Status: {EXECUTION_STATUSES[self.status].label}" if self.status else "",
            "function": f"Function: {self.function}" if self.function else "",
            "q": f"Name or id: {self.text}" if self.text else "",
        }
        return [Chip(label, "?" + self._with(**{name: ""})) for name, label in words.items() if label]

    def status_choices(self, counts: Mapping[str, int]) -> list[StatusChoice]:
        """All statuses, each with its URL and how many executions have it."""
        everything = StatusChoice(None, "?" + self._with(status=""), None, is_chosen=not self.status)
        return [everything] + [
            StatusChoice(row, "?" + self._with(status=code), counts.get(code, 0), is_chosen=code == self.status)
            for code, row in EXECUTION_STATUSES.items()
        ]

    def _with(self, **changes: str) -> str:
        values = {"status": self.status, "function": self.function, "q": self.text} | changes
        return urlencode({name: value for name, value in values.items() if value})


def _clean(text: str) -> str:
    # Postgres refuses NUL in text.
    return text.replace("\x00", "").strip()[:LONGEST_TEXT]
