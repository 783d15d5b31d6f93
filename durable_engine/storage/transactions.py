"""A body and its checkpoint in one transaction of Django's connection: what it writes there happens exactly once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Generic, TypeVar

from django.db import connection, transaction

from durable_engine.core.ports import Batch
from durable_engine.sdk.exceptions import InvalidStateError
from durable_engine.storage.failpoints import hit

P = TypeVar("P")

logger = logging.getLogger(__name__)


class CheckpointedTransaction(Generic[P]):
    """Runs a body and, as the last statement of its transaction, records what it returned.

    `writing` is held from the checkpoint until the commit is known: nothing else may be written under this lease
    meanwhile. `record` executes the checkpoint on Django's connection and returns where the row then stands; `find_out`
    returns that after a commit whose reply was lost, or None if it did not happen; `committed` is told before anything
    that the body wants done on commit.
    """

    def __init__(
        self,
        writing: AbstractContextManager[object],
        record: Callable[[Batch], P],
        find_out: Callable[[], P | None],
        committed: Callable[[P], None],
    ) -> None:
        self._writing = writing
        self._record = record
        self._find_out = find_out
        self._committed = committed
        self._position: P | None = None
        self._is_committed = False
        self._held = ExitStack()

    def run(self, body: Callable[[], Batch]) -> None:
        """Do both or neither.

        Raises:
            InvalidStateError: the connection is inside a transaction already, so nothing could be committed.
            Exception: what the body raised, or why the transaction could not be committed; it is rolled back.
        """
        if connection.in_atomic_block:
            raise InvalidStateError(
                "context.transaction() was called inside transaction.atomic(): the transaction would not be committed "
                "with its checkpoint. Move the atomic block into the body"
            )
        with self._held:
            try:
                with transaction.atomic():
                    transaction.on_commit(self._on_commit)
                    batch = body()
                    self._held.enter_context(self._writing)
                    self._position = self._record(batch)
            except Exception:
                if not self._is_committed:
                    self._position = None if self._position is None else self._find_out()
                    if self._position is None:
                        raise
                    self._finish(self._position)
                # What the body wanted done on commit has failed, or was lost with the reply: its writes stand.
                logger.exception("after the commit of a transaction")

    def _on_commit(self) -> None:
        hit("transaction.committed")
        if self._position is not None:
            self._finish(self._position)

    def _finish(self, position: P) -> None:
        self._is_committed = True
        self._committed(position)
        self._held.close()


def execute(sql: str, params: dict[str, Any], make: Callable[[tuple[Any, ...]], P]) -> P | None:
    """Execute a statement on Django's connection and return what `make` makes of its one row; None if it has none."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
    return None if row is None else make(row)
