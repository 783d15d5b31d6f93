"""`manage.py durable` for what is done to an execution that exists: stop, pause, redrive, rewind and their like."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Final

from durable_engine.management.backends.port import Backend, Described
from durable_engine.management.durable_values import read_input, tags_of
from durable_engine.services.acts import EXECUTION_ACTS, OPERATION_ACTS
from durable_engine.services.validation import parse_json

AddAction = Callable[..., argparse.ArgumentParser]

ACTS: Final = frozenset(EXECUTION_ACTS) | frozenset(OPERATION_ACTS)
# What is printed when it is done; those that are not here print the id of the execution that goes on.
DONE: Final = {
    "stop": "Stopped",
    "pause": "Paused",
    "resume": "Resumed",
    "delete": "Deleted",
    "retry": "Retried",
    "skip": "Skipped",
    "complete": "Completed",
    "tags": "Tagged",
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "stop": "durable stop order-7 --reason 'sent twice'",
    "pause": "durable pause order-7",
    "resume": "durable resume order-7",
    "delete": "durable delete order-7",
    "retry": "durable retry order-7 charge",
    "skip": "durable skip order-7 'wait for the weekend'",
    "complete": """durable complete order-7 charge --succeed '{"paid": true}' --reason 'paid in cash'""",
    "redrive": "durable redrive order-7 --reason 'the card was renewed'",
    "rewind": "durable rewind order-7 charge --version 2",
    "fork": """durable fork order-7 charge --name order-7-b --input '{"order": 8}'""",
    "rerun": "durable rerun order-7",
    "tags": "durable tags order-7 team=billing priority=high",
}


def add_act_arguments(add: AddAction) -> None:
    """Describe the subcommands."""
    for name in _EXAMPLES:
        act = EXECUTION_ACTS.get(name) or OPERATION_ACTS[name]
        summary = (
            "Let a step in back-off, or all of them, make the next attempt now" if name == "retry" else act.summary
        )
        parser = add(name, summary, _EXAMPLES[name])
        parser.add_argument("execution", metavar="ID", help="its id, or the beginning of it, or its name")
        if name in OPERATION_ACTS:
            what = "its id in the history, or its name if only one has it"
            more: dict[str, Any] = {"nargs": "?"} if name in EXECUTION_ACTS else {}
            parser.add_argument("operation", metavar="OPERATION", help=what, **more)
        parser.add_argument("--reason", default="", help="kept in the audit, of a stop in the history too")
        for argument in act.arguments:
            _ARGUMENTS[argument](parser)


def run_act(backend: Backend, options: Mapping[str, Any]) -> Described:
    """Do what was asked for; returns what the backend does.

    Raises:
        DurableServiceError: as the service behind it.
    """
    name, operation = options["action"], options.get("operation")
    act = (EXECUTION_ACTS if operation is None else OPERATION_ACTS)[name]
    arguments = {argument: _READ[argument](options) for argument in act.arguments}
    given = {argument: value for argument, value in arguments.items() if value is not None}
    return backend.act(name, options["execution"], operation, given, options["reason"])


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--version", type=int, dest="function_version", metavar="N", help="of the function to go on with"
    )


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", dest="execution_name", help="of the new execution")


def _add_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input", metavar="JSON", help="another input; @FILE reads a file, - standard input")


def add_outcome(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `result_of` and `error_of`."""
    outcome = parser.add_mutually_exclusive_group()
    outcome.add_argument("--succeed", metavar="JSON", help="the result; default: none")
    outcome.add_argument("--fail", metavar="MESSAGE", help="the error's message")
    parser.add_argument("--error-type", metavar="TYPE", help="with --fail")


def _add_tags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tags", nargs="*", metavar="KEY=VALUE", help="none takes all of them away")


_ARGUMENTS: Final[Mapping[str, Callable[[argparse.ArgumentParser], None]]] = {
    "version": _add_version,
    "name": _add_name,
    "input_text": _add_input,
    "result_text": add_outcome,
    "error": lambda parser: None,
    "tags": _add_tags,
}


def result_of(options: Mapping[str, Any]) -> str | None:
    """Return the JSON text of `--succeed`, checked."""
    if options["succeed"] is not None:
        parse_json(options["succeed"], field="--succeed")
    text: str | None = options["succeed"]
    return text


def error_of(options: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the error object of `--fail` and `--error-type`."""
    if options["fail"] is None:
        return None
    kind = {} if options["error_type"] is None else {"ErrorType": options["error_type"]}
    return {**kind, "ErrorMessage": options["fail"]}


_READ: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "version": lambda options: options["function_version"],
    "name": lambda options: options["execution_name"],
    "input_text": lambda options: None if options["input"] is None else read_input(options["input"]),
    "result_text": result_of,
    "error": error_of,
    "tags": lambda options: tags_of(options["tags"]),
}
