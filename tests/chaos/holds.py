"""Callbacks completed exactly while a worker stands at a failpoint around its suspend."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from tests.chaos import client
from tests.chaos.client import Journal, Starter
from tests.chaos.marks import Mark
from tests.chaos.programs import Generator, Program, callback_operation
from tests.chaos.stack import Stack

REACH_SECONDS = 8.0


@dataclass(frozen=True)
class Place:
    """A failpoint, and the function whose workers hold there; `after_wait`: at the claim that follows a wait."""

    failpoint: str
    function: str
    after_wait: bool = False

    @property
    def label(self) -> str:
        """Its name in the report."""
        return self.failpoint + (" and its reply lost" if self.function == "chaos-losing" else "")


PLACES = (
    Place("checkpoint.before", "chaos-held"),
    Place("checkpoint.committed", "chaos-held"),
    Place("suspend.before", "chaos-held"),
    Place("suspend.committed", "chaos-held"),
    Place("claim.committed", "chaos-held", after_wait=True),
    Place("checkpoint.committed", "chaos-losing"),
    Place("suspend.committed", "chaos-losing"),
)


def held_failpoints(directory: Path) -> str:
    """The failpoints of the workers that hold."""
    names = {place.failpoint for place in PLACES if place.function == "chaos-held"}
    return ",".join(f"{name}=hold:{directory}" for name in sorted(names))


def losing_failpoints(directory: Path, record: Path) -> str:
    """The failpoints of the worker that holds after each commit and then loses its reply."""
    names = {place.failpoint for place in PLACES if place.function == "chaos-losing"}
    return ",".join(f"{name}=hold:{directory},{name}=lose_reply:{record}" for name in sorted(names))


class Holder:
    """Runs one case after the other in a thread of its own, place by place."""

    def __init__(self, stack: Stack, generator: Generator, starter: Starter, journal: Journal, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.programs: dict[str, Program] = {}
        self._stack = stack
        self._generator = generator
        self._starter = starter
        self._journal = journal
        self._rng = random.Random(f"{seed}/holds")
        self._marked = threading.Event()
        self._current = ""
        self._place = PLACES[0]
        self._number = 0
        self.open_all()

    def on_mark(self, mark: Mark) -> None:
        """The body before the place has begun: from now on the place holds."""
        if mark.program == self._current and not self._marked.is_set():
            self._path("reached").unlink(missing_ok=True)
            self._path("go").unlink(missing_ok=True)
            self._marked.set()

    def run(self, goes_on: Callable[[], bool]) -> None:
        """Run cases while it may."""
        while goes_on():
            self._place = PLACES[self._number % len(PLACES)]
            self._number += 1
            self._case()
            self.open_all()
            time.sleep(self._rng.uniform(0.1, 0.8))

    def open_all(self) -> None:
        """Let everybody pass."""
        for place in PLACES:
            (self._directory(place) / f"{place.failpoint}.go").touch()

    def _case(self) -> None:
        program = self._generator.held(self._number, wait=self._place.after_wait)
        self._current = program["name"]
        self._marked.clear()
        self.programs[program["name"]] = program
        execution_id = self._starter.start(self._place.function, program["name"], program)
        if not self._marked.wait(REACH_SECONDS) or not _appears(self._path("reached")):
            return
        op = program["ops"][0]
        operation_id = callback_operation(program, op["n"])
        threads = [
            threading.Thread(target=self._complete, args=(execution_id, operation_id, plan)) for plan in op["plan"]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.counts[self._place.label] += 1

    def _complete(self, execution_id: str, operation_id: str, plan: dict[str, object]) -> None:
        succeeds, value = bool(plan["succeeds"]), str(plan["value"])
        while client.complete(self._journal, execution_id, operation_id, succeeds, value).outcome == "info":
            time.sleep(0.05)
        connection.close()

    def _path(self, suffix: str) -> Path:
        return self._directory(self._place) / f"{self._place.failpoint}.{suffix}"

    def _directory(self, place: Place) -> Path:
        return self._stack.losing_holds if place.function == "chaos-losing" else self._stack.holds


def _appears(path: Path) -> bool:
    deadline = time.monotonic() + REACH_SECONDS
    while not path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
