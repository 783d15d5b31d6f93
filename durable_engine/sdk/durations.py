"""Lengths of time. `timedelta` is accepted wherever a `Duration` is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from durable_engine.sdk.exceptions import ValidationError

# 366 days: the longest wait, retry delay or timeout, as AWS has it. Beyond it is a unit mix-up, not a plan.
MAX_SECONDS = 31_622_400.0


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in seconds; fractions are kept.

    Raises:
        ValidationError: negative, or not a number.
    """

    seconds: float = 0

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, (int, float)):
            raise ValidationError(f"Duration: seconds must be a number, not {type(self.seconds).__name__}")
        if not math.isfinite(self.seconds) or self.seconds < 0:
            raise ValidationError(f"Duration: seconds must be a finite number of 0 or more, not {self.seconds}")

    def to_seconds(self) -> float:
        """The length in seconds."""
        return self.seconds

    @classmethod
    def from_seconds(cls, value: float) -> Duration:
        """A number of seconds."""
        return cls(value)

    @classmethod
    def from_minutes(cls, value: float) -> Duration:
        """A number of minutes."""
        return cls(value * 60)

    @classmethod
    def from_hours(cls, value: float) -> Duration:
        """A number of hours."""
        return cls(value * 3600)

    @classmethod
    def from_days(cls, value: float) -> Duration:
        """A number of days of 24 hours."""
        return cls(value * 86400)


def seconds_of(value: Duration | timedelta, argument: str, *, more_than_zero: bool = False) -> float:
    """Return the seconds of a duration given as `argument`.

    Raises:
        ValidationError: not a duration, negative, above 366 days, or 0 where that makes no sense; names `argument`.
    """
    if isinstance(value, Duration):
        seconds = value.seconds
    elif isinstance(value, timedelta):
        seconds = value.total_seconds()
    else:
        raise ValidationError(
            f"{argument} must be a Duration or a timedelta, not {type(value).__name__}: "
            "write Duration.from_seconds(…) or timedelta(seconds=…)"
        )
    if seconds < 0:
        raise ValidationError(f"{argument} must not be negative, and is {seconds:g} seconds")
    if seconds > MAX_SECONDS:
        raise ValidationError(f"{argument} must be at most 366 days, and is {seconds / 86400:g} days")
    if more_than_zero and seconds == 0:
        raise ValidationError(f"{argument} must be more than 0")
    return seconds
