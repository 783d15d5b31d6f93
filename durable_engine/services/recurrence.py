"""When a schedule is due: cron expressions in a time zone, or a fixed distance. Pure; moments are aware."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from durable_engine.services.exceptions import InvalidInput

LONGEST_CRON = 120
SHORTEST_EVERY_SECONDS = 1
LONGEST_EVERY_SECONDS = 366 * 86_400


@cache
def time_zones() -> frozenset[str]:
    """Return the names of all time zones. They are files: asked for once."""
    return frozenset(available_timezones())


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A rule. `cron` has five fields, or six with seconds in front; else every so many seconds from `anchor` on.

    Daylight saving, as cron of Debian does it: a time that a change of the clock leaves out runs right after it, one
    that comes twice runs once; rules for every hour or minute go by real time.
    """

    cron: str = ""
    timezone: str = "UTC"
    every_seconds: int | None = None
    anchor: datetime | None = None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the due times later than `moment`, in UTC; none for a rule that matches no date."""
        if self.every_seconds is not None:
            yield from self._by_distance(moment, self.every_seconds)
            return
        for each in CronSim(self.cron, moment.astimezone(ZoneInfo(self.timezone))):
            yield each.astimezone(UTC)

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first due time later than `moment`, or None."""
        return next(iter(self.after(moment)), None)

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the last due time that is not later than `moment`, or None."""
        if self.every_seconds is not None:
            anchor = self.anchor or datetime(1970, 1, 1, tzinfo=UTC)
            number = (moment - anchor) // timedelta(seconds=self.every_seconds)
            return anchor + number * timedelta(seconds=self.every_seconds) if number > 0 else None
        just_after = moment.astimezone(ZoneInfo(self.timezone)) + timedelta(seconds=1)
        earlier = (each.astimezone(UTC) for each in CronSim(self.cron, just_after, reverse=True))
        return next((each for each in earlier if each <= moment), None)

    def upcoming(self, moment: datetime, count: int) -> list[datetime]:
        """Return the next due times after `moment`."""
        return list(islice(self.after(moment), count))

    def _by_distance(self, moment: datetime, seconds: int) -> Iterator[datetime]:
        anchor = self.anchor or datetime(1970, 1, 1, tzinfo=UTC)
        distance = timedelta(seconds=seconds)
        # From one on: the schedule begins at its anchor, it was not due before.
        number = max((moment - anchor) // distance + 1, 1)
        while True:
            yield anchor + number * distance
            number += 1

    def in_words(self) -> str:
        """Return the rule in words, as `At 07:00 on Monday (Europe/Berlin)`."""
        if self.every_seconds is not None:
            return f"Every {_length(self.every_seconds)}"
        return f"{CronSim(self.cron, datetime.now(UTC)).explain()} ({self.timezone})"


def checked_cron(cron: str, timezone: str) -> Recurrence:
    """Return the rule of a cron expression.

    Raises:
        InvalidInput: the expression can't be read or never matches, or there is no such zone.
    """
    if timezone not in time_zones():
        raise InvalidInput("timezone", f"{timezone[:64]!r} is not a time zone.", "Example: Europe/Berlin.")
    text = " ".join(cron.split())
    problem = "is not a cron expression"
    try:
        if len(text) > LONGEST_CRON:
            raise CronSimError("too long")
        rule = Recurrence(cron=text, timezone=timezone)
        matches = rule.next_after(datetime.now(UTC)) is not None
    except CronSimError as error:
        fix = "Minute, hour, day, month, weekday, for example 30 7 * * MON-FRI."
        raise InvalidInput("cron", f"{text[:60]!r} {problem}: {str(error).lower()}.", fix) from None
    if not matches:
        raise InvalidInput("cron", f"{text[:60]!r} never matches a date.", "Choose days that the months have.")
    return rule


def checked_every(seconds: object, anchor: datetime) -> Recurrence:
    """Return the rule of a fixed distance in whole seconds.

    Raises:
        InvalidInput: it is no whole number from 1 second to 366 days.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise InvalidInput("every_seconds", f"{str(seconds)[:40]!r} is not a whole number of seconds.")
    if not SHORTEST_EVERY_SECONDS <= seconds <= LONGEST_EVERY_SECONDS:
        raise InvalidInput("every_seconds", f"{seconds} is not from 1 second to 366 days.")
    return Recurrence(every_seconds=seconds, anchor=anchor)


def _length(seconds: int) -> str:
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            count = seconds // size
            return unit if count == 1 else f"{count} {unit}s"
    return "second" if seconds == 1 else f"{seconds} seconds"
