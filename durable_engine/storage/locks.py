"""The only row locks of the write side.

Order everywhere: approval request, schedule, parent execution, execution, callback, slot.
"""

from __future__ import annotations

from uuid import UUID

from durable_engine.models import Callback, Execution, Schedule


def lock_execution(execution_id: UUID, *, skip_locked: bool = False) -> Execution | None:
    """Lock the execution's row until the end of the transaction and return it as it now stands.

    None if unknown, or with `skip_locked` if somebody holds it.
    """
    return Execution.objects.select_for_update(of=("self",), skip_locked=skip_locked).filter(pk=execution_id).first()


def lock_schedule(schedule_id: UUID, *, skip_locked: bool = False) -> Schedule | None:
    """Lock a schedule's row; None if unknown, or with `skip_locked` if somebody holds it. Before any execution's."""
    rows = Schedule.objects.select_for_update(of=("self",), skip_locked=skip_locked)
    return rows.filter(pk=schedule_id).first()


def lock_callback(callback_id: UUID) -> Callback | None:
    """Lock a callback's row. The execution's lock must be held already, or a close and a completion could deadlock."""
    return Callback.objects.select_for_update(of=("self",)).filter(pk=callback_id).first()
