"""Executions that ended and whose parent has not been told: whoever closed them died before it could."""

from __future__ import annotations

from durable_engine.scheduler.each import for_each
from durable_engine.scheduler.sweep import BATCH, Round, repeat
from durable_engine.services.children import tell_parent
from durable_engine.storage.children import untold


def sweep(this: Round) -> None:
    """Tell their parents."""
    repeat(
        lambda: for_each(
            "child", untold(this.connection, BATCH), lambda child_id: tell_parent(this.connection, child_id)
        )
    )
