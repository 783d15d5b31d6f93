"""How often a hit of each place kills its process: raised or lowered as the run goes, until every place kills as often.

How often a place is reached depends on the machine and on what else it does, so no fixed percentages give the same
number of deaths at every place.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
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
    "release.before": 40.0,
    "release.committed": 90.0,
}
MOST_PERCENT = 95.0
# So few more or less than wanted say nothing yet.
CHANCE = 4


class Rates:
    """The percentages, from what the record of kills says so far."""

    def __init__(self, record: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.percent = dict(FIRST_PERCENT)
        self._record = record
        self._clock = clock
        self._began = clock()

    def failpoints(self, places: Iterable[str]) -> str:
        """Return the failpoints of a worker that starts now and dies at these places."""
        self._adjust(places := list(places))
        return ",".join(f"{place}=kill:{self._record}%{self.percent[place]:.2f}" for place in places)

    def _adjust(self, places: Iterable[str]) -> None:
        done = Counter(line.split()[1] for line in self._record.read_text().splitlines() if line.startswith("kill "))
        wanted = KILLS_PER_SECOND * (self._clock() - self._began)
        for place in places:
            lag = (wanted + CHANCE) / (done[place] + CHANCE)
            self.percent[place] = min(MOST_PERCENT, FIRST_PERCENT[place] * lag**3)
