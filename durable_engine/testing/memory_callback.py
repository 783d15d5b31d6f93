"""A callback in memory: its row."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass
class MemoryCallback:
    """A callback as the outside sees it."""

    operation_id: str
    name: str | None
    status: str
    timeout: float | None
    heartbeat_timeout: float | None
    deadline: float | None
    heartbeat_deadline: float | None
    key: str | None = None

    def holds(self, key: str) -> bool:
        """Whether it is open and has the key."""
        return self.status == "STARTED" and self.key == key

    def opened_again(self, now: float) -> MemoryCallback:
        """Return the callback of a copy of its execution; its time limits count from now."""
        return replace(
            self,
            status="STARTED",
            deadline=now + self.timeout if self.timeout else None,
            heartbeat_deadline=now + self.heartbeat_timeout if self.heartbeat_timeout else None,
        )
