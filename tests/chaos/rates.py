"""How often a hit of each place kills its process: told to each worker at its start, from how often it has so far.

How often a place is reached depends on the machine and on what else it does, so no fixed percentages give the same
number of deaths at every place.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# Of each place; 270 in half an hour, and a place that is seldom reached stays behind a little.
KILLS_PER_SECOND = 0.15
# What the run begins with, in percent: about right on two cores.
FIRST_PERCENT = {
    "claim.committed": 3.5,
    "checkpoint.before": 1.3,
    "checkpoint.committed": 1.3,
    "suspend.before": 3.5,
    "suspend.committed": 3.5,
    "close.before": 9.0,
    "close.committed": 9.0,
    "release.before": 35.0,
    "release.committed": 90.0,
}
MOST_PERCENT = 95.0
# So few more or less than wanted say nothing yet.
CHANCE = 4


class Rates:
    """The percentages; `record` is the file to which each kill adds its line."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._began = time.monotonic()

    def failpoints(self, places: Iterable[str]) -> str:
        """Return the failpoints of a worker that starts now and dies at these places."""
        done = Counter(line.split()[1] for line in self._record.read_text().splitlines() if line.startswith("kill "))
        wanted = KILLS_PER_SECOND * (time.monotonic() - self._began)
        percents = {place: percent_of(place, done[place], wanted) for place in places}
        return ",".join(f"{place}=kill:{self._record}%{percent:.2f}" for place, percent in percents.items())


def percent_of(place: str, done: int, wanted: float) -> float:
    """Return how many of 100 hits should kill where so many have, of so many that were wanted by now."""
    lag = (wanted + CHANCE) / (done + CHANCE)
    return min(MOST_PERCENT, FIRST_PERCENT[place] * lag**3)
