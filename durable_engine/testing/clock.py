"""Virtual time: nothing waits, and nothing happens before somebody moves the clock."""

from __future__ import annotations


class VirtualClock:
    """Seconds since the start of the test. Serves as the store's clock and as the handler's monotonic one."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Read the clock."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"seconds must not be negative, and is {seconds}")
        self.now += seconds
