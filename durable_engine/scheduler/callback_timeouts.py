"""Open callbacks whose deadline or heartbeat deadline has passed time out, each in its own transaction."""

from __future__ import annotations

from durable_engine.scheduler.each import for_each
from durable_engine.scheduler.sweep import BATCH, Round, repeat
from durable_engine.services.callbacks import time_out_callback
from durable_engine.storage.outside import due_callbacks


def sweep(this: Round) -> None:
    """Time out what is late."""
    repeat(lambda: for_each("callback", due_callbacks(this.connection, BATCH), time_out_callback))
