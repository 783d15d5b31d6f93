"""What `manage.py durable` needs of an installation, whether it is this one's database or another one's URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

Described = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListWanted:
    """What a list is narrowed to; see `queries.filters.ExecutionFilters`."""

    status: str | None = None
    function: str | None = None
    text: str | None = None
    version: int | None = None
    tags: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    waiting: str | None = None
    limit: int = 50


class Backend(Protocol):
    """An installation. What it refuses is a `DurableServiceError` with the status code that says which kind it is.

    Executions come as the JSON objects of `queries.described`, their times as `datetime`. An execution is named by its
    id, the beginning of it, or its name.
    """

    def start(self, function: str, input_text: str, options: Mapping[str, Any]) -> Described:
        """Start an execution; returns `id`, `name` and `created`."""

    def executions(self, wanted: ListWanted) -> list[Described]:
        """List executions, the newest first."""

    def functions(self) -> list[Described]:
        """List the versions of functions."""

    def show(self, execution: str) -> Described:
        """Return one execution with its data."""

    def events(self, execution: str, after: int = 0) -> list[Described]:
        """Return its events in the form of AWS, those with a higher id than `after`."""

    def act(
        self, name: str, execution: str, operation: str | None, arguments: Mapping[str, Any], reason: str
    ) -> Described:
        """Carry out one of `services.acts`; returns at least `id`, and `created` when another execution goes on."""

    def complete(self, callback_id: str, *, result: str | None = None, error: Mapping[str, str] | None = None) -> None:
        """Complete a callback."""

    def heartbeat(self, callback_id: str) -> None:
        """Say that the work behind a callback goes on."""

    def callback_with_key(self, function: str, key: str) -> tuple[str, str]:
        """Return the execution's id and the callback id of the open callback that has a business key."""

    def execution_of_callback(self, callback_id: str) -> str | None:
        """Return the execution's id, or None where only its holder may know."""
