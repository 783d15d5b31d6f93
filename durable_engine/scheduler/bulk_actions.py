"""Carries out bulk actions, each execution in its own transaction, for a moment at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from durable_engine import dispatch
from durable_engine.scheduler.sweep import Round
from durable_engine.services.bulk import carry_out_item
from durable_engine.storage import bulk
from durable_engine.storage.bulk import NextItem
from durable_engine.storage.server import is_away

EVERY_SECONDS = 0.2
# Timers that fall due meanwhile wait so long at most.
LONGEST_SECONDS = 0.5
BATCH = 50
DRAFTS_ARE_KEPT_SECONDS = 86_400.0

logger = logging.getLogger(__name__)


def sweep(this: Round) -> None:
    """Act on the next executions, then end what is through."""
    enough = time.monotonic() + LONGEST_SECONDS
    while _carry_out(bulk.next_items(this.connection, BATCH), enough):
        if time.monotonic() > enough:
            dispatch.poke_scheduler(0)
            return
    bulk.settle(this.connection)


def _carry_out(items: Sequence[NextItem], enough: float) -> int:
    """Return how many were done: none are left, or another scheduler is at them."""
    done = 0
    for item in items:
        done += _carried_out(item)
        if time.monotonic() > enough:
            break
    return done


def _carried_out(item: NextItem) -> bool:
    try:
        return carry_out_item(*item)
    except Exception as problem:
        if is_away(problem):
            raise
        # What became of it can't be written down: it stays where it is, and holds up no other.
        logger.exception("item %s of bulk action %s", item.position, item.bulk_action_id)
        return False


def delete_drafts(this: Round) -> None:
    """Forget what somebody drew up and never started."""
    bulk.delete_old_drafts(this.connection, DRAFTS_ARE_KEPT_SECONDS)
