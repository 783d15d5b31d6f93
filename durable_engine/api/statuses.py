"""The statuses of an execution in the words of AWS's model, which has fewer of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from durable_engine.api.errors import invalid_parameter
from durable_engine.models import ExecutionStatus

_OURS: Final = {
    "RUNNING": (ExecutionStatus.PENDING, ExecutionStatus.RUNNING, ExecutionStatus.SUSPENDED),
    "PAUSING": (),
    "PAUSED": (ExecutionStatus.PAUSED,),
    "SUCCEEDED": (ExecutionStatus.SUCCEEDED,),
    "FAILED": (ExecutionStatus.FAILED,),
    "TIMED_OUT": (ExecutionStatus.TIMED_OUT,),
    "STOPPED": (ExecutionStatus.STOPPED,),
    "DELETING": (),
}
_THEIRS: Final = {ours.value: theirs for theirs, several in _OURS.items() for ours in several}
MOST: Final = 10


def status_for_clients(status: str) -> str:
    """Return the status as clients know it."""
    return _THEIRS[status]


def statuses_named(names: Iterable[str]) -> list[str] | None:
    """Return our statuses for those a client filters by; None when it names none, an empty list when none can fit."""
    wanted = list(names)
    if not wanted:
        return None
    if len(wanted) > MOST or (unknown := [name for name in wanted if name not in _OURS]):
        shown = f"at most {MOST} of them" if len(wanted) > MOST else f"not {unknown[0][:40]!r}"
        raise invalid_parameter(f"Statuses must be of {', '.join(_OURS)}; {shown}.")
    return sorted({ours.value for name in wanted for ours in _OURS[name]})
