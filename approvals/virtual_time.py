"""A clock for tests: reminders, escalations and ends of days pass at once, in the order in which they fall due."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import TracebackType

from approvals.clock import database_now, offset
from approvals.models import ApprovalTimer
from approvals.sweeps.timers import tick

# More than any request has: a test whose timers make each other due for ever ends.
MOST_STEPS = 10_000


class VirtualClock:
    """Moves the time by which approvals of this process go; the time of the engine itself stands.

    `with VirtualClock() as clock: … clock.advance(days=2)` does what falls due meanwhile, as the scheduler would.
    """

    def __enter__(self) -> VirtualClock:
        self._before = offset.value
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        offset.value = self._before

    def now(self) -> datetime:
        """Return the time as approvals see it."""
        return database_now()

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        """Let time pass, and do what falls due at its moment.

        Raises:
            ValueError: the time is negative.
        """
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if step < timedelta():
            raise ValueError(f"time does not go back, and {step} is negative")
        until = database_now() + step
        for _ in range(MOST_STEPS):
            due = ApprovalTimer.objects.filter(is_held=False).order_by("fire_at").values_list("fire_at", flat=True)
            first = due.first()
            if first is None or first > until:
                break
            self._move_to(first)
            if not tick():
                break
        self._move_to(until)

    @staticmethod
    def _move_to(moment: datetime) -> None:
        missing = moment - database_now()
        if missing > timedelta():
            offset.value += missing
