"""What can be done to an execution that exists, by name: one table for the API and the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from durable_engine.services import copies, deletions, executions, operations, tags
from durable_engine.services.actors import Actor
from durable_engine.services.starts import StartedExecution

STOP: Final = "stop"
REPAIR: Final = "repair"


@dataclass(frozen=True, slots=True)
class Act:
    """One of them. `summary` is for people who look for it, `scope` the right of an API key that it needs.

    `arguments` are those of the service beside the execution, the operation, who, why and the revision seen.
    """

    name: str
    summary: str
    scope: str
    service: Callable[..., StartedExecution | None]
    on_operation: bool = False
    arguments: tuple[str, ...] = ()

    def carry_out(
        self,
        execution_id: UUID,
        operation_id: str | None,
        arguments: Mapping[str, Any],
        *,
        actor: Actor,
        reason: str = "",
        seen_revision: str | None = None,
    ) -> StartedExecution | None:
        """Do it; returns the execution that goes on elsewhere, if one does.

        Raises:
            DurableServiceError: as the service.
        """
        target = (execution_id, operation_id) if self.on_operation else (execution_id,)
        return self.service(*target, **arguments, actor=actor, reason=reason, seen_revision=seen_revision)


_OF_NEW: Final = ("name", "version", "input_text")

_OF_EXECUTION: Final = (
    Act("stop", "End an execution, for good", STOP, executions.stop_execution),
    Act("pause", "Let an execution do nothing until it is resumed", STOP, executions.pause_execution),
    Act("resume", "Let a paused execution go on", STOP, executions.resume_execution),
    Act("delete", "Delete an execution that has ended, with its history", STOP, deletions.delete_execution),
    Act("retry", "Let every step in back-off make its next attempt now", REPAIR, executions.retry_all_now),
    Act(
        "redrive",
        "Let a failed, timed out or stopped execution go on from what failed",
        REPAIR,
        copies.redrive_execution,
        arguments=("version",),
    ),
    Act(
        "rerun",
        "Start the function again, with the same input or another one",
        REPAIR,
        copies.rerun_execution,
        arguments=_OF_NEW,
    ),
    Act("tags", "Give an execution these tags in place of those it has", REPAIR, tags.change_tags, arguments=("tags",)),
)
_OF_OPERATION: Final = (
    Act("retry", "Let a step in back-off make its next attempt now", REPAIR, executions.retry_now, on_operation=True),
    Act("skip", "Let a wait be over now", REPAIR, operations.skip_wait, on_operation=True),
    Act(
        "complete",
        "Give a step, callback, wait or invoke its outcome by hand",
        REPAIR,
        operations.complete_operation,
        on_operation=True,
        arguments=("result_text", "error"),
    ),
    Act(
        "rewind",
        "Let an ended or paused execution go on from before an operation",
        REPAIR,
        copies.rewind_execution,
        on_operation=True,
        arguments=("version",),
    ),
    Act(
        "fork",
        "Start a copy from before an operation, under a name of its own",
        REPAIR,
        copies.fork_execution,
        on_operation=True,
        arguments=_OF_NEW,
    ),
)
EXECUTION_ACTS: Final[Mapping[str, Act]] = {act.name: act for act in _OF_EXECUTION}
OPERATION_ACTS: Final[Mapping[str, Act]] = {act.name: act for act in _OF_OPERATION}
