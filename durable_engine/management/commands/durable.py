"""`manage.py durable`: start, look at, follow, repair, stop and answer executions from a terminal or a script."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from durable_engine.management import durable_output as output
from durable_engine.management.backends.http import URL_VARIABLE, Credentials, Server
from durable_engine.management.backends.local import LocalBackend, command_actor
from durable_engine.management.backends.port import Backend, Described, ListWanted
from durable_engine.management.backends.remote import RemoteBackend
from durable_engine.management.durable_acts import ACTS, DONE, run_act
from durable_engine.management.durable_arguments import FOR_EVER, add_arguments
from durable_engine.management.durable_bulk import run_bulk
from durable_engine.management.durable_callbacks import run_callback
from durable_engine.management.durable_keys import run_keys
from durable_engine.management.durable_tail import CLOSED, changes, end_of, events_until_end
from durable_engine.management.durable_values import read_input, tags_of
from durable_engine.services.exceptions import DurableServiceError, InvalidInput

NO_RESULT, USAGE, NOT_FOUND, REFUSED, NO_ACCESS = 1, 2, 4, 5, 6
EXIT_CODES = {404: NOT_FOUND, 409: REFUSED, 403: NO_ACCESS, 429: NO_ACCESS}
ONLY_HERE = frozenset({"bulk", "keys"})
START_OPTIONS = {
    "execution_name": "name",
    "function_version": "version",
    "delay": "delay_seconds",
    "priority": "priority",
    "queue": "queue",
    "concurrency_key": "concurrency_key",
}


class Command(BaseCommand):
    """Turns arguments into calls of a backend, and its answers into text or JSON."""

    help = "Start, list, show, follow, repair and stop durable executions, and complete their callbacks."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """See `durable_arguments`."""
        add_arguments(parser)

    def handle(self, *args: object, **options: Any) -> None:
        """Run the subcommand; what is refused goes to stderr with an exit code that says which kind it is."""
        action = options["action"]
        try:
            self._backend = _backend(options)
            getattr(self, "_act" if action in ACTS else f"_{action}")(options)
        except DurableServiceError as error:
            raise CommandError(str(error), returncode=_exit_code(error.status_code)) from error
        except KeyboardInterrupt:
            if action != "tail":
                raise

    def _start(self, options: Mapping[str, Any]) -> None:
        given = {name: options[option] for option, name in START_OPTIONS.items() if options[option] is not None}
        if tags := tags_of(options["tags"]):
            given["tags"] = tags
        started = self._backend.start(options["function"], read_input(options["input"]), given)
        if options["wait"] is not None:
            self._wait(started, options)
        elif options["as_json"]:
            self._print_execution(self._backend.show(started["id"]) | {"created": started["created"]}, as_json=True)
        else:
            self.stdout.write(started["id"] if started["created"] else f"{started['id']} (was started before)")

    def _wait(self, started: Described, options: Mapping[str, Any]) -> None:
        seconds = None if options["wait"] == FOR_EVER else options["wait"]
        shown = end_of(self._backend, started["id"], seconds)
        self._print_execution(shown | {"created": started["created"]}, as_json=options["as_json"])
        if shown["status"] not in CLOSED:
            problem = f"Execution {shown['id']} is {shown['status']} after {seconds:g} seconds of waiting."
            raise CommandError(problem, returncode=NO_RESULT)
        _check_success(shown)

    def _list(self, options: Mapping[str, Any]) -> None:
        rows = self._backend.executions(_wanted(options, options["limit"]))
        if options["as_json"]:
            self.stdout.write(output.to_json({"executions": rows}))
        else:
            self.stdout.write(output.execution_table(rows))

    def _functions(self, options: Mapping[str, Any]) -> None:
        versions = self._backend.functions()
        if options["as_json"]:
            self.stdout.write(output.to_json({"functions": versions}))
        else:
            self.stdout.write(output.version_table(versions))

    def _show(self, options: Mapping[str, Any]) -> None:
        self._print_execution(self._backend.show(options["execution"]), as_json=options["as_json"])

    def _history(self, options: Mapping[str, Any]) -> None:
        shown = self._backend.show(options["execution"])
        events = self._backend.events(str(shown["id"]))
        if options["as_json"]:
            self.stdout.write(output.to_json({"id": shown["id"], "status": shown["status"], "events": events}))
        else:
            self.stdout.write(output.history_text(events))

    def _tail(self, options: Mapping[str, Any]) -> None:
        as_json, seconds = options["as_json"], options["seconds"]
        if options["execution"] is None:
            for row in changes(self._backend, _wanted(options), seconds):
                self._print_line(output.to_json(row, indent=None) if as_json else output.execution_change(row))
            return
        execution = str(self._backend.show(options["execution"])["id"])
        for event in events_until_end(self._backend, execution, seconds):
            self._print_line(output.to_json(event, indent=None) if as_json else output.event_line(event))
        shown = self._backend.show(execution)
        if shown["status"] not in CLOSED:
            raise CommandError(f"Execution {execution} is {shown['status']}.", returncode=NO_RESULT)
        _check_success(shown)

    def _callback(self, options: Mapping[str, Any]) -> None:
        execution = run_callback(self._backend, options)
        if execution is not None:
            self._print_done(execution, "Done", options["as_json"])
        else:
            self.stdout.write(output.to_json({"done": "Done"}) if options["as_json"] else "Done")

    def _act(self, options: Mapping[str, Any]) -> None:
        action, as_json = options["action"], options["as_json"]
        done = run_act(self._backend, options)
        if action == "delete":
            text = f"{DONE[action]}: execution {done['id']}"
            self.stdout.write(output.to_json({"done": text}) if as_json else text)
        elif action in DONE:
            self._print_done(str(done["id"]), DONE[action], as_json)
        elif as_json:
            self._print_execution(self._backend.show(str(done["id"])), as_json=True)
        else:
            self.stdout.write(str(done["id"]))

    def _bulk(self, options: Mapping[str, Any]) -> None:
        self.stdout.write(run_bulk(options, command_actor()))

    def _keys(self, options: Mapping[str, Any]) -> None:
        self.stdout.write(run_keys(options, command_actor()))

    def _print_done(self, execution: str, text: str, as_json: bool) -> None:
        shown = self._backend.show(execution)
        if as_json:
            self._print_execution(shown, as_json=True)
        else:
            self.stdout.write(f"{text}: execution {shown['id']} is {shown['status']}")

    def _print_execution(self, shown: Described, *, as_json: bool) -> None:
        self.stdout.write(output.to_json(shown) if as_json else output.execution_text(shown))

    def _print_line(self, line: str) -> None:
        # Whoever follows through a pipe sees each line when it is written.
        self.stdout.write(line)
        self.stdout.flush()


def _backend(options: Mapping[str, Any]) -> Backend:
    from_environment = os.environ.get(URL_VARIABLE, "").strip()
    if options["action"] in ONLY_HERE:
        if from_environment:
            problem = f"durable {options['action']} works on the database of this installation only."
            raise InvalidInput(URL_VARIABLE, problem, f"Run it without {URL_VARIABLE}.")
        return LocalBackend()
    url = options["url"] or from_environment
    return RemoteBackend(Server(url, Credentials.of_environment(os.environ))) if url else LocalBackend()


def _exit_code(status: int) -> int:
    return NO_ACCESS if status >= 500 else EXIT_CODES.get(status, USAGE)


def _check_success(shown: Described) -> None:
    if shown["status"] != "SUCCEEDED":
        cause = f": {shown['error']['type']}: {shown['error']['message']}" if shown["error"] else ""
        raise CommandError(f"Execution {shown['id']} is {shown['status']}{cause}", returncode=NO_RESULT)


def _wanted(options: Mapping[str, Any], limit: int = 50) -> ListWanted:
    return ListWanted(
        status=options["status"],
        function=options["function"],
        text=options["text"],
        version=options["function_version"],
        tags=tuple(tags_of(options["tags"]).items()),
        since=options["since"],
        until=options["until"],
        waiting=options["waiting"],
        limit=limit,
    )
