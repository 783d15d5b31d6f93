"""What people and programs call an execution or an operation, and which one that is."""

from __future__ import annotations

from uuid import UUID

from durable_engine.queries.executions import find_execution, find_operations
from durable_engine.services.exceptions import ActionRefused, ExecutionNotFound, InvalidInput, OperationNotFound

NUL = "\x00"  # Postgres refuses it in a query; nothing has one in its name


def execution_named(text: str) -> UUID:
    """Return the execution with this id, beginning of an id, or name.

    Raises:
        ExecutionNotFound: there is none.
        ActionRefused: it fits several.
    """
    found = [] if NUL in text else find_execution(text)
    if not found:
        raise ExecutionNotFound(text)
    if len(found) > 1:
        raise ActionRefused(f"{text!r} fits several executions.", fix="Give the whole id.")
    return found[0]


def operation_named(execution_id: UUID, text: str) -> str:
    """Return the operation with this id, or the only one with this name.

    Raises:
        OperationNotFound: there is none.
        InvalidInput: several have the name.
    """
    found = [] if NUL in text else find_operations(execution_id, text)
    if not found:
        raise OperationNotFound(execution_id, text)
    if len(found) > 1:
        raise InvalidInput("operation", f"{text!r} is the name of several.", f"Give one of their ids: {found}.")
    return found[0]
