"""What is kept, how much room it takes, and for how long it stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings

from durable_engine.models import ExecutionStatus, Function
from durable_engine.queries.executions import COUNT_CAP
from durable_engine.storage import counts, sizes
from durable_engine.storage.sizes import DatabaseState, TableSize

__all__ = ["COUNT_CAP", "DatabaseState", "StorageState", "TableSize", "storage_state"]


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """A function version that keeps its executions for another time than the default, in seconds."""

    function: str
    version: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StorageState:
    """Everything of it. `default_days` None keeps executions for ever."""

    database: DatabaseState
    tables: Sequence[TableSize]
    counts: dict[str, int]
    default_days: float | None
    rules: Sequence[RetentionRule]


def storage_state() -> StorageState:
    """Look at the database, in four queries."""
    own = Function.objects.filter(config__retention_seconds__isnull=False).exclude(config__retention_seconds=None)
    return StorageState(
        database=sizes.database_state(),
        tables=sizes.table_sizes(),
        counts=counts.count_by_status([status.value for status in ExecutionStatus], COUNT_CAP + 1),
        default_days=settings.DURABLE_RETENTION_DAYS,
        rules=[RetentionRule(row.name, row.version, float(row.config["retention_seconds"])) for row in own],
    )
