"""This installation, by its database."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from durable_engine.management.backends.port import Described, ListWanted
from durable_engine.queries import callbacks as callback_queries
from durable_engine.queries.described import execution_line, execution_object, version_line
from durable_engine.queries.executions import execution_summary, list_executions
from durable_engine.queries.filters import ExecutionFilters
from durable_engine.queries.history import history
from durable_engine.queries.versions import versions_in_use
from durable_engine.services import callbacks
from durable_engine.services.actors import COMMAND_LINE, Actor
from durable_engine.services.acts import EXECUTION_ACTS, OPERATION_ACTS
from durable_engine.services.callback_ids import callback_id_for, parse_callback_id
from durable_engine.services.exceptions import CallbackNotFound, ExecutionNotFound
from durable_engine.services.lookups import execution_named, operation_named
from durable_engine.services.starts import start_execution


class LocalBackend:
    """See `port.Backend`. Whoever may run commands here may do everything; the audit has the user of the machine."""

    def start(self, function: str, input_text: str, options: Mapping[str, Any]) -> Described:
        """Start an execution."""
        started = start_execution(function, input_text, actor=command_actor(), **options)
        return {"id": str(started.id), "name": started.name, "created": started.created}

    def executions(self, wanted: ListWanted) -> list[Described]:
        """List executions."""
        fields = asdict(wanted)
        limit = fields.pop("limit")
        return [execution_line(row) for row in list_executions(ExecutionFilters(**fields), None, limit).items]

    def functions(self) -> list[Described]:
        """List the versions of functions."""
        return [version_line(use) for use in versions_in_use()]

    def show(self, execution: str) -> Described:
        """Return one execution."""
        summary = execution_summary(execution_named(execution))
        if summary is None:
            raise ExecutionNotFound(execution)
        return execution_object(summary, callback_id_for)

    def events(self, execution: str, after: int = 0) -> list[Described]:
        """Return its events."""
        return history(execution_named(execution), after=after, callback_id_for=callback_id_for)

    def act(
        self, name: str, execution: str, operation: str | None, arguments: Mapping[str, Any], reason: str
    ) -> Described:
        """Carry out an act."""
        execution_id = execution_named(execution)
        act = (EXECUTION_ACTS if operation is None else OPERATION_ACTS)[name]
        operation_id = None if operation is None else operation_named(execution_id, operation)
        started = act.carry_out(execution_id, operation_id, arguments, actor=command_actor(), reason=reason)
        if started is None:
            return {"id": str(execution_id)}
        return {"id": str(started.id), "name": started.name, "created": started.created}

    def complete(self, callback_id: str, *, result: str | None = None, error: Mapping[str, str] | None = None) -> None:
        """Complete a callback."""
        if error is None:
            callbacks.complete_callback(callback_id, actor=command_actor(), succeed=result)
        else:
            callbacks.complete_callback(callback_id, actor=command_actor(), error=error)

    def heartbeat(self, callback_id: str) -> None:
        """Keep a callback alive."""
        callbacks.heartbeat_callback(callback_id)

    def callback_with_key(self, function: str, key: str) -> tuple[str, str]:
        """Find a callback by its business key."""
        execution_id, operation_id = callbacks.callback_with_key(function, key)
        return str(execution_id), callback_id_for(execution_id, operation_id)

    def execution_of_callback(self, callback_id: str) -> str | None:
        """Find the execution of a callback."""
        found = callback_queries.execution_of_callback(parse_callback_id(callback_id))
        if found is None:
            raise CallbackNotFound
        return str(found)


def command_actor() -> Actor:
    """Return who runs the command: the user of the machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        user = "unknown"
    return Actor(f"command line ({user})", channel=COMMAND_LINE)
