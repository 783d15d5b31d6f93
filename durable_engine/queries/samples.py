"""Single executions for charts: a sample of those that ended in a span, and the newest that began in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Q

from durable_engine.models import Execution
from durable_engine.storage import samples
from durable_engine.storage.figures import Span

PARTS: Final = 150
EACH: Final = 10
MOST_POINTS: Final = PARTS * EACH


@dataclass(frozen=True, slots=True)
class SampleView:
    """One execution. `closed_at` is None for a live one."""

    id: UUID
    function: str
    version: int
    name: str
    status: str
    created_at: datetime
    closed_at: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None for a live one."""
        return None if self.closed_at is None else max((self.closed_at - self.created_at).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a chart of single executions shows; `is_all` tells whether that is every one of the span."""

    items: Sequence[SampleView]
    is_all: bool


def sample_of_ended(span: Span) -> Sample:
    """Return some of those that ended in a span, up to ten of each of 150 parts of it, in one query."""
    rows = [SampleView(*row) for row in samples.ended_in(span, parts=PARTS, each=EACH)]
    width = (span.until - span.since) / PARTS
    counts = [0] * (PARTS + 1)
    for row in rows:
        if row.closed_at is not None:
            counts[(row.closed_at - span.since) // width] += 1
    return Sample(rows, is_all=max(counts) < EACH)


def newest_begun(span: Span, limit: int) -> Sample:
    """Return the newest executions that began in a span, the oldest of them first, in one query."""
    condition = Q(created_at__gte=span.since, created_at__lt=span.until)
    if span.function is not None:
        condition &= Q(function=span.function)
    if span.version is not None:
        condition &= Q(version=span.version)
    rows = Execution.objects.visible().filter(condition).order_by("-created_at", "-id")
    found = [SampleView(*row) for row in rows.values_list(*SampleView.__dataclass_fields__)[: limit + 1]]
    return Sample(found[:limit][::-1], is_all=len(found) <= limit)
