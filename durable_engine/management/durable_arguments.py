"""The arguments of `manage.py durable`."""

from __future__ import annotations

import argparse

from durable_engine.models import ExecutionStatus

EXIT_CODES = """
exit codes:
  0  done
  1  the execution waited for ended without a result, or was still live
  2  wrong arguments or input
  4  no such function, execution or callback
  5  refused: it does not apply, or somebody was first
"""

# An argument of an option that may be left out: `--wait` alone is not `--wait 0`.
FOR_EVER = -1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe all subcommands to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXIT_CODES
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=argparse.ArgumentParser
    )
    _add_start(actions)
    _add_list(actions)
    _add_show(actions)
    _add_history(actions)
    _add_stop(actions)
    _add_callback(actions)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name, help=what, description=what, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object instead of text")
    return parser


def _add_start(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "start", "Start an execution of a function")
    parser.add_argument("function", metavar="NAME", help="the function")
    parser.add_argument(
        "--input", default="null", metavar="JSON", help="its input; @FILE reads a file, - standard input"
    )
    parser.add_argument("--name", dest="execution_name", help="makes the start idempotent within the function")
    parser.add_argument("--version", type=int, dest="function_version", metavar="N", help="default: the latest known")
    parser.add_argument("--tag", action="append", default=[], dest="tags", metavar="KEY=VALUE", help="may be repeated")
    parser.add_argument("--delay", type=float, metavar="SECONDS", help="start it only then")
    parser.add_argument(
        "--wait",
        nargs="?",
        type=float,
        const=FOR_EVER,
        metavar="SECONDS",
        help="wait until it has ended, that long at most, and show it",
    )


def _add_list(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "list", "List executions, newest first")
    parser.add_argument("--status", choices=ExecutionStatus.values)
    parser.add_argument("--function", metavar="NAME")
    parser.add_argument("--limit", type=_limit, default=50, help="default 50, at most 1000")


def _add_show(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    what = "Show an execution. In JSON, input and result are values; a text that is not JSON stays a text"
    _action(actions, "show", what).add_argument(
        "execution", metavar="ID", help="its id, or the beginning of it, or its name"
    )


def _add_history(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "history", "Show the events of an execution")
    parser.add_argument("execution", metavar="ID")


def _add_stop(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "stop", "End an execution, for good")
    parser.add_argument("execution", metavar="ID")
    parser.add_argument("--reason", default="", help="kept in its history and in the audit")


def _add_callback(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "callback", "Complete an open callback")
    parser.add_argument("callback", metavar="ID", help="a callback id, or an execution with --operation")
    parser.add_argument("--operation", metavar="ID", help="of an execution; default: its only open callback")
    outcome = parser.add_mutually_exclusive_group(required=True)
    outcome.add_argument("--succeed", metavar="JSON", help="the result")
    outcome.add_argument("--fail", metavar="MESSAGE", help="the error's message")
    outcome.add_argument("--heartbeat", action="store_true", help="only say that the work goes on")
    parser.add_argument("--error-type", metavar="TYPE", help="with --fail")


def _limit(text: str) -> int:
    limit = int(text)
    if not 1 <= limit <= 1000:
        raise argparse.ArgumentTypeError(f"{limit} is not between 1 and 1000")
    return limit
