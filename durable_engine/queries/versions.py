"""Versions of functions: who serves them, and what is still running on them. Asked before and after a deploy."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from durable_engine.models import Function
from durable_engine.queries.workers import live_workers
from durable_engine.storage.versions import live_by_version


@dataclass(frozen=True, slots=True)
class VersionUse:
    """One version of a function. `live` executions have not ended; `workers` serve it and are not about to stop."""

    function: str
    version: int
    is_newest: bool
    live: int
    workers: int

    @property
    def is_missing(self) -> bool:
        """Whether executions need it and nobody serves it: they stand still, or will when they wake."""
        return self.live > 0 and self.workers == 0

    @property
    def is_over(self) -> bool:
        """Whether its code can go: a newer version exists, and nothing runs on this one."""
        return not self.is_newest and self.live == 0


def versions_in_use() -> list[VersionUse]:
    """Return every version that a worker has registered, that is served, or that something runs on, by function.

    Three queries; one of them reads every live execution.
    """
    live = live_by_version()
    workers = Counter(served for worker in live_workers() if not worker.draining for served in worker.functions)
    known = {*Function.objects.values_list("name", "version"), *live, *map(_parsed, workers)}
    newest = dict(sorted(known))
    return [
        VersionUse(
            function,
            version,
            is_newest=version == newest[function],
            live=live.get((function, version), 0),
            workers=workers[f"{function}:{version}"],
        )
        for function, version in sorted(known, key=lambda each: (each[0], -each[1]))
    ]


def _parsed(served: str) -> tuple[str, int]:
    name, _, version = served.rpartition(":")
    return name, int(version)
