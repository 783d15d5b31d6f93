"""`manage.py durable`: start, look at, stop and answer executions from a terminal or a script."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from durable_engine import client
from durable_engine.management import durable_output as output
from durable_engine.management.durable_arguments import FOR_EVER, add_arguments
from durable_engine.queries.callbacks import execution_of_callback, open_callbacks_of
from durable_engine.queries.executions import find_execution
from durable_engine.services import callbacks, executions
from durable_engine.services.actors import COMMAND_LINE, Actor
from durable_engine.services.callback_ids import callback_id_for, parse_callback_id
from durable_engine.services.exceptions import (
    ActionRefused,
    CallbackNotFound,
    DurableServiceError,
    ExecutionNotFound,
    InvalidInput,
)
from durable_engine.services.validation import parse_json

USAGE, NOT_FOUND, REFUSED, NO_RESULT = 2, 4, 5, 1
# Names and ids of executions are at most 64 characters, callback ids longer.
LONGEST_EXECUTION: Final = 64
EXIT_CODES = {404: NOT_FOUND, 409: REFUSED, 408: NO_RESULT}


class Command(BaseCommand):
    """Turns arguments into calls of services and queries, and their answers into text or JSON."""

    help = "Start, list, show and stop durable executions, and complete their callbacks."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """See `durable_arguments`."""
        add_arguments(parser)

    def handle(self, *args: object, **options: Any) -> None:
        """Run the subcommand; what a service refuses goes to stderr with an exit code that says which kind it is."""
        try:
            getattr(self, f"_{options['action']}")(options)
        except DurableServiceError as error:
            raise CommandError(str(error), returncode=EXIT_CODES.get(error.status_code, USAGE)) from error

    def _start(self, options: Mapping[str, Any]) -> None:
        started = executions.start_execution(
            options["function"],
            _read_input(options["input"]),
            actor=_actor(),
            name=options["execution_name"],
            version=options["function_version"],
            tags=_tags(options["tags"]),
            delay_seconds=options["delay"],
        )
        self._after_start(started.id, created=started.created, options=options)

    def _after_start(self, execution_id: UUID, *, created: bool, options: Mapping[str, Any]) -> None:
        wait = options["wait"]
        problem: DurableServiceError | None = None
        if wait is not None:
            handle = client.ExecutionHandle(execution_id, "", created)
            try:
                handle.result(None if wait == FOR_EVER else wait)
            except (client.ExecutionNotSucceeded, client.ResultNotReady) as error:
                problem = error
        if options["as_json"] or wait is not None:
            self._print_execution(execution_id, options["as_json"], {"created": created})
        else:
            self.stdout.write(str(execution_id) if created else f"{execution_id} (was started before)")
        if problem is not None:
            raise CommandError(str(problem), returncode=NO_RESULT)

    def _list(self, options: Mapping[str, Any]) -> None:
        page = client.list_executions(status=options["status"], function=options["function"], limit=options["limit"])
        if options["as_json"]:
            self.stdout.write(output.to_json({"executions": [output.execution_line(row) for row in page.items]}))
        else:
            self.stdout.write(output.execution_table(page.items))

    def _show(self, options: Mapping[str, Any]) -> None:
        self._print_execution(_execution_id(options["execution"]), options["as_json"])

    def _history(self, options: Mapping[str, Any]) -> None:
        execution_id = _execution_id(options["execution"])
        events = client.history(execution_id)
        if options["as_json"]:
            status = client.get_execution(execution_id).status
            self.stdout.write(output.to_json({"id": execution_id, "status": status, "events": events}))
        else:
            self.stdout.write(output.history_text(events))

    def _stop(self, options: Mapping[str, Any]) -> None:
        execution_id = _execution_id(options["execution"])
        executions.stop_execution(execution_id, actor=_actor(), reason=options["reason"])
        self._print_done(execution_id, "Stopped", options["as_json"])

    def _callback(self, options: Mapping[str, Any]) -> None:
        execution_id, callback_id = _callback(options["callback"], options["operation"])
        if options["heartbeat"]:
            callbacks.heartbeat_callback(callback_id)
        elif options["fail"] is not None:
            error = {"ErrorType": options["error_type"], "ErrorMessage": options["fail"]}
            callbacks.complete_callback(callback_id, actor=_actor(), error=error)
        else:
            parse_json(options["succeed"], field="--succeed")
            callbacks.complete_callback(callback_id, actor=_actor(), succeed=options["succeed"])
        self._print_done(execution_id, "Done", options["as_json"])

    def _print_done(self, execution_id: UUID, text: str, as_json: bool) -> None:
        if as_json:
            self._print_execution(execution_id, as_json)
        else:
            self.stdout.write(f"{text}: execution {execution_id} is {client.get_execution(execution_id).status}")

    def _print_execution(self, execution_id: UUID, as_json: bool, more: dict[str, Any] | None = None) -> None:
        shown = output.execution_object(client.get_execution(execution_id)) | (more or {})
        self.stdout.write(output.to_json(shown) if as_json else output.execution_text(shown))


def _actor() -> Actor:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a user id without a name.
        user = "unknown"
    return Actor(f"command line ({user})", channel=COMMAND_LINE)


def _read_input(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("--input", f"{text[1:]} can't be read: {error}.") from error


def _tags(pairs: list[str]) -> dict[str, str]:
    tags = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InvalidInput("--tag", f"{pair!r} is not KEY=VALUE.")
        tags[key] = value
    return tags


def _execution_id(text: str) -> UUID:
    found = find_execution(text)
    if not found:
        raise ExecutionNotFound(text)
    if len(found) > 1:
        raise ActionRefused(f"{text!r} fits several executions.", fix="Give the whole id.")
    return found[0]


def _callback(text: str, operation_id: str | None) -> tuple[UUID, str]:
    """Return the execution and the callback id of what the command line names."""
    if len(text) > LONGEST_EXECUTION:
        if operation_id is not None:
            raise InvalidInput("--operation", "a callback id names its operation already.", "Leave it out.")
        return execution_of_callback(parse_callback_id(text)) or _no_callback(), text
    execution_id = _execution_id(text)
    return execution_id, callback_id_for(execution_id, operation_id or _only_open_operation(execution_id))


def _only_open_operation(execution_id: UUID) -> str:
    waiting = open_callbacks_of(execution_id)
    if len(waiting) == 1:
        return waiting[0].operation_id
    if not waiting:
        status = client.get_execution(execution_id).status
        raise ActionRefused(f"Execution {execution_id} has no open callback; it is {status}.")
    operations = ", ".join(f"{callback.operation_id} ({callback.name})" for callback in waiting)
    raise InvalidInput(
        "--operation", f"execution {execution_id} has several open callbacks.", f"Name one: {operations}."
    )


def _no_callback() -> NoReturn:
    raise CallbackNotFound
