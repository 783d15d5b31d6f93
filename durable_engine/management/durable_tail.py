"""`manage.py durable tail`: what happens, as it happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from durable_engine.management.backends.port import Backend, Described, ListWanted
from durable_engine.models import ExecutionStatus
from durable_engine.models.execution import CLOSED_STATUSES
from durable_engine.services.exceptions import DurableServiceError

FIRST_LOOK_SECONDS: Final = 0.05
LAST_LOOK_SECONDS: Final = 1.0
SHOWN_AT_FIRST: Final = 10
LOOKED_AT: Final = 200
MOST_FOLLOWED: Final = 1000

CLOSED: Final = frozenset(ExecutionStatus(status).value for status in CLOSED_STATUSES)


def end_of(backend: Backend, execution: str, seconds: float | None) -> Described:
    """Return the execution when it has ended, or as it is after `seconds`; of one that continued as new, the last."""
    looks = _Looks(seconds)
    while True:
        shown = backend.show(execution)
        if (follower := shown["continued_as"]) is not None:
            execution = str(follower)
        elif shown["status"] in CLOSED or not looks.again():
            return shown


def events_until_end(backend: Backend, execution: str, seconds: float | None) -> Iterator[Described]:
    """Yield the events of an execution, those to come too, until it has ended or `seconds` are over."""
    looks, last = _Looks(seconds), 0
    while True:
        # In this order: what is written before the end was seen is read after it.
        is_over = backend.show(execution)["status"] in CLOSED
        events = backend.events(execution, after=last)
        yield from events
        if events:
            last = events[-1]["EventId"]
            looks.begin_anew()
        if is_over or not looks.again():
            return


def changes(backend: Backend, wanted: ListWanted, seconds: float | None) -> Iterator[Described]:
    """Yield executions as they start, change their status and end: first the newest few, then what changes."""
    looks, seen, is_first = _Looks(seconds), dict[str, str](), True
    while True:
        rows = backend.executions(replace(wanted, limit=LOOKED_AT))
        for row in reversed(rows + _older(backend, seen, {str(row["id"]) for row in rows})):
            # Put last, so that the first ones are those not looked at for longest.
            known = seen.pop(str(row["id"]), None)
            if known != row["status"] and not (is_first and row in rows[SHOWN_AT_FIRST:]):
                yield row
            seen[str(row["id"])] = row["status"]
        while len(seen) > MOST_FOLLOWED:
            del seen[next(iter(seen))]
        is_first = False
        if not looks.again():
            return


def _older(backend: Backend, seen: dict[str, str], listed: set[str]) -> list[Described]:
    """Those that were live when they were last seen, and that newer ones have pushed out of the list."""
    live = [each for each, status in seen.items() if each not in listed and status not in CLOSED]
    found = []
    for each in live[:SHOWN_AT_FIRST]:
        try:
            found.append(backend.show(each))
        except DurableServiceError as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            del seen[each]
    return found


class _Looks:
    """When to look again: soon after something has changed, then ever less often."""

    def __init__(self, seconds: float | None) -> None:
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._delay = FIRST_LOOK_SECONDS

    def begin_anew(self) -> None:
        self._delay = FIRST_LOOK_SECONDS

    def again(self) -> bool:
        """Wait; False when the time is over."""
        left = self._delay if self._deadline is None else self._deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(self._delay, left))
        self._delay = min(self._delay * 1.5, LAST_LOOK_SECONDS)
        return True
