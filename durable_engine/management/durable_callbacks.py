"""`manage.py durable callback`: which callback is meant, and its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from durable_engine.management.backends.port import Backend
from durable_engine.management.durable_acts import error_of
from durable_engine.services.exceptions import ActionRefused, CallbackNotFound, InvalidInput
from durable_engine.services.validation import parse_json

# Names and ids of executions are at most 64 characters, callback ids longer.
LONGEST_EXECUTION: Final = 64


def run_callback(backend: Backend, options: Mapping[str, Any]) -> str | None:
    """Complete the callback, or keep it alive; returns its execution, None when that is not for us to know.

    Raises:
        DurableServiceError: as the services in `services.callbacks`.
    """
    if (options["callback"] is None) == (options["key"] is None):
        raise InvalidInput("ID", "name the callback by an id or by --key.")
    execution, callback_id = (
        _named(backend, options["callback"], options["operation"])
        if options["key"] is None
        else _with_key(backend, options["function"], options["key"])
    )
    if options["heartbeat"]:
        backend.heartbeat(callback_id)
    elif (error := error_of(options)) is not None:
        backend.complete(callback_id, error=error)
    else:
        parse_json(options["succeed"], field="--succeed")
        backend.complete(callback_id, result=options["succeed"])
    return execution


def _named(backend: Backend, text: str, operation: str | None) -> tuple[str | None, str]:
    if len(text) <= LONGEST_EXECUTION:
        return _open_one(backend.show(text), operation)
    if operation is not None:
        raise InvalidInput("--operation", "a callback id names its operation already.", "Leave it out.")
    return backend.execution_of_callback(text), text


def _with_key(backend: Backend, function: str | None, key: str) -> tuple[str, str]:
    if function is None:
        raise InvalidInput("--function", "is missing: keys are unique within a function only.")
    return backend.callback_with_key(function, key)


def _open_one(execution: Mapping[str, Any], operation: str | None) -> tuple[str, str]:
    """The open callback of an operation, or the only one that is open."""
    name = execution["id"]
    waiting = [each for each in execution["callbacks"] if operation in (None, each["operation_id"])]
    if len(waiting) == 1:
        if "callback_id" not in waiting[0]:
            raise CallbackNotFound("The API key may not see callback ids.", fix="It needs the scope callback.")
        return str(name), waiting[0]["callback_id"]
    if operation is not None:
        raise CallbackNotFound(f"Operation {operation!r} of execution {name} has no open callback.", fix="")
    if not waiting:
        raise ActionRefused(f"Execution {name} has no open callback; it is {execution['status']}.")
    operations = ", ".join(f"{each['operation_id']} ({each['name']})" for each in waiting)
    raise InvalidInput("--operation", f"execution {name} has several open callbacks.", f"Name one: {operations}.")
