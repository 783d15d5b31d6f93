"""Executions whose execution timeout has passed end as TIMED_OUT, each in its own transaction."""

from __future__ import annotations

from durable_engine.scheduler.each import for_each
from durable_engine.scheduler.sweep import BATCH, Round, repeat
from durable_engine.services.executions import time_out_execution
from durable_engine.storage.outside import due_executions


def sweep(this: Round) -> None:
    """Time out what is late."""
    repeat(lambda: for_each("execution", due_executions(this.connection, BATCH), time_out_execution))
