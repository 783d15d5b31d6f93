"""The only row locks of the write side.

Order everywhere: approval request, parent execution, execution, callback, slot.
"""

from __future__ import annotations

from uuid import UUID

from durable_engine.models import Callback, Execution


def lock_execution(execution_id: UUID) -> Execution | None:
    """Lock the execution's row until the end of the transaction and return it as it now stands; None if unknown."""
    return Execution.objects.select_for_update(of=("self",)).filter(pk=execution_id).first()


def lock_callback(callback_id: UUID) -> Callback | None:
    """Lock a callback's row. The execution's lock must be held already, or a close and a completion could deadlock."""
    return Callback.objects.select_for_update(of=("self",)).filter(pk=callback_id).first()
