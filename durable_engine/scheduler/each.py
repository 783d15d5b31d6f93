"""Do something to each of a batch of rows, so that one that fails does not hold up the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from uuid import UUID

from durable_engine.storage.server import is_away

logger = logging.getLogger(__name__)


def for_each(what: str, ids: Sequence[UUID], action: Callable[[UUID], bool]) -> int:
    """Call `action` with each id; return how many ids there were, or 0 when it achieved nothing at all.

    Raises:
        psycopg.OperationalError, django.db.OperationalError: Postgres is away.
    """
    done = 0
    for each in ids:
        try:
            done += action(each)
        except Exception as problem:
            if is_away(problem):
                raise
            logger.exception("%s %s", what, each)
    return len(ids) if done else 0
