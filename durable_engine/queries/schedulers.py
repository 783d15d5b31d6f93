"""The processes that sweep, as they say themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import DurationField, ExpressionWrapper, F

from durable_engine.models import SchedulerProcess
from durable_engine.storage.clock import ClockTimestamp

# One says that it lives every five seconds, or at each of its rounds when those are rarer.
LONGEST_SILENCE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class SchedulerView:
    """One scheduler. `silent_for` is the time since it last said that it lives, by the database clock."""

    id: UUID
    hostname: str
    pid: int
    release: str
    started_at: datetime
    last_seen: datetime
    stopped_at: datetime | None
    slowest_round_seconds: float
    silent_for: timedelta

    @property
    def label(self) -> str:
        """Host and process, as logs name it."""
        return f"{self.hostname}:{self.pid}"

    @property
    def is_live(self) -> bool:
        """Whether it was heard of lately and has not stopped."""
        return self.stopped_at is None and self.silent_for.total_seconds() < longest_scheduler_silence()


_FIELDS: Final = tuple(SchedulerView.__dataclass_fields__)


def longest_scheduler_silence() -> float:
    """Return after how many seconds of silence a scheduler is taken for gone."""
    return max(LONGEST_SILENCE_SECONDS, 3 * float(settings.DURABLE_SCHEDULER_TICK_SECONDS))


def list_schedulers(limit: int = 50) -> list[SchedulerView]:
    """Return the schedulers, those heard of last first."""
    silence = ExpressionWrapper(ClockTimestamp() - F("last_seen"), output_field=DurationField())
    rows = SchedulerProcess.objects.annotate(silent_for=silence).order_by("-last_seen").values_list(*_FIELDS)
    return [SchedulerView(*row) for row in rows[:limit]]
