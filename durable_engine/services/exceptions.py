"""What the services refuse, and why. Each error carries data, so that a page, a command and an API can word it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from durable_engine.sdk.function_names import known_first, not_found


class DurableServiceError(Exception):
    """An action was refused; nothing has changed.

    `status_code` is the HTTP status that fits. `problem` says what is wrong and `fix` what to do about it, both for
    people; `field` names the argument at fault, when there is one.
    """

    status_code = 400

    def __init__(self, problem: str, *, fix: str = "", field: str | None = None) -> None:
        super().__init__(" ".join(filter(None, (problem, fix))))
        self.problem = problem
        self.fix = fix
        self.field = field


class InvalidInput(DurableServiceError):
    """An argument has a value that can't be accepted."""

    def __init__(self, field: str, problem: str, fix: str = "") -> None:
        super().__init__(f"{field}: {problem}", fix=fix, field=field)


class FunctionNotFound(DurableServiceError):
    """No worker ever served the function, or this version of it, and this process doesn't know it.

    `known` has the names of the known functions, close matches first; with a `version`, the known versions.
    """

    status_code = 404

    def __init__(self, function: str, known: Sequence[str], *, version: int | None = None) -> None:
        self.function = function
        self.version = version
        self.known = list(known) if version is not None else known_first(function, known)
        problem, fix = not_found(function, version, self.known)
        super().__init__(problem, fix=fix, field="function")


class FunctionPaused(DurableServiceError):
    """The function is paused and takes no new executions; `because` says by whom and why."""

    status_code = 409

    def __init__(self, function: str, because: str) -> None:
        super().__init__(
            f"{function} takes no new executions: it is paused {because}".rstrip(".") + ".",
            fix="Start it again when it is resumed.",
            field="function",
        )
        self.function = function
        self.because = because


class ExecutionNotFound(DurableServiceError):
    """No execution has this id: it never existed, or its retention is over."""

    status_code = 404

    def __init__(self, execution_id: UUID | str) -> None:
        super().__init__(f"There is no execution {execution_id}.", field="execution_id")
        self.execution_id = execution_id


class OperationNotFound(DurableServiceError):
    """The history of the execution has no operation with this id."""

    status_code = 404

    def __init__(self, execution_id: UUID, operation_id: str) -> None:
        super().__init__(
            f"Execution {execution_id} has no operation {operation_id[:64]!r}.",
            fix="Use an id from its history, like 3 or 3-1.",
            field="operation_id",
        )
        self.execution_id = execution_id
        self.operation_id = operation_id


class BulkActionNotFound(DurableServiceError):
    """No bulk action has this id: it never existed, or was a draft that nobody started."""

    status_code = 404

    def __init__(self, bulk_action_id: UUID | str) -> None:
        super().__init__(f"There is no bulk action {bulk_action_id}.", field="bulk_action_id")
        self.bulk_action_id = bulk_action_id


class NameTaken(DurableServiceError):
    """Another execution of the function has the name."""

    status_code = 409

    def __init__(self, function: str, name: str) -> None:
        super().__init__(f"{function}/{name} exists already.", fix="Use another name, or none.", field="name")
        self.function = function
        self.name = name


class ExecutionAlreadyStarted(DurableServiceError):
    """The name is taken by an execution that was started with another input."""

    status_code = 409

    def __init__(self, function: str, name: str, execution_id: UUID) -> None:
        super().__init__(
            f"{function}/{name} was already started with another input, as execution {execution_id}.",
            fix="Use another name, or the same input to get that execution.",
            field="name",
        )
        self.function = function
        self.name = name
        self.execution_id = execution_id


class ActionRefused(DurableServiceError):
    """The action doesn't apply to the state the execution is in; `reason` is the sentence that says why."""

    status_code = 409

    def __init__(self, reason: str, *, fix: str = "") -> None:
        super().__init__(reason, fix=fix)
        self.reason = reason


class StaleRevision(DurableServiceError):
    """The execution has moved on since the caller looked; the message says what it is now."""

    status_code = 409

    def __init__(self, execution_id: UUID, status: str, revision: str) -> None:
        super().__init__(
            f"The execution has changed since you looked: it is {status} now.",
            fix="Look at it again, then decide again.",
        )
        self.execution_id = execution_id
        self.status = status
        self.revision = revision


class SavedViewNotFound(DurableServiceError):
    """No saved view has this id, or it is somebody else's."""

    status_code = 404

    def __init__(self, view_id: UUID) -> None:
        super().__init__(f"There is no saved view {view_id} of yours.", field="view_id")


class CallbackNotFound(DurableServiceError):
    """The callback id is forged, damaged, signed with a dropped key, or its execution is gone."""

    status_code = 404

    def __init__(
        self,
        problem: str = "There is no such callback.",
        *,
        fix: str = "Use the callback id exactly as the handler received it.",
    ) -> None:
        super().__init__(problem, fix=fix, field="callback_id")


class CallbackClosed(DurableServiceError):
    """Somebody or something was first: the callback is no longer open. `status` is its final status."""

    status_code = 409

    def __init__(self, status: str, *, completed_at: datetime | None = None, completed_by: str = "") -> None:
        by = f" by {completed_by}" if completed_by else ""
        at = f" at {completed_at:%Y-%m-%d %H:%M:%S} UTC" if completed_at else ""
        super().__init__(f"The callback is closed: {status}{by}{at}. Nothing was changed.", field="callback_id")
        self.status = status
        self.completed_at = completed_at
        self.completed_by = completed_by
