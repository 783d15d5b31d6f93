"""The arguments of `manage.py durable`."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from functools import partial

from durable_engine.management.durable_acts import add_act_arguments
from durable_engine.management.durable_bulk import add_bulk_arguments
from durable_engine.management.durable_keys import add_key_arguments
from durable_engine.models import ExecutionStatus
from durable_engine.queries.filters import WAITING

EXIT_CODES = """
exit codes:
  0  done
  1  the execution waited for or followed ended without a result, or was still live
  2  wrong arguments or input
  4  no such function, execution, operation or callback
  5  refused: it does not apply, or somebody was first
  6  the server can't be reached, is too busy, or does not let this key do it
"""
EXAMPLES = """
examples:
  manage.py durable start order-processing --input '{"order_id": "A-1001"}' --wait
  manage.py durable list --status FAILED --since 2026-03-01
  manage.py durable tail order-A-1001
  DURABLE_TOKEN=ID.SECRET manage.py durable list --url https://perdure.example.com
"""

# An argument of an option that may be left out: `--wait` alone is not `--wait 0`.
FOR_EVER = -1.0

Actions = argparse._SubParsersAction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe all subcommands to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES + EXIT_CODES
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=argparse.ArgumentParser
    )
    _add_start(actions)
    _add_list(actions)
    _add_show(actions)
    _add_history(actions)
    _add_tail(actions)
    _add_callback(actions)
    _action(
        actions,
        "functions",
        "List functions: what runs on each version, and which versions nobody serves",
        "durable functions",
    )
    add_act_arguments(partial(_action, actions))
    add_bulk_arguments(_here(actions, "bulk", "Stop, pause, resume, retry, redrive or delete many executions"))
    add_key_arguments(_here(actions, "keys", "Make, list, rotate and revoke API keys"))


def _action(actions: Actions[argparse.ArgumentParser], name: str, what: str, *examples: str) -> argparse.ArgumentParser:
    """A subcommand that works on this database, or on the installation at `--url`."""
    parser = _here(actions, name, what)
    shown = "".join(f"  manage.py {example}\n" for example in examples)
    parser.epilog = f"\nexamples:\n{shown}{EXIT_CODES}"
    parser.add_argument(
        "--url",
        help="another installation instead of this database, with an API key of DURABLE_ACCESS_KEY_ID and "
        "DURABLE_SECRET_ACCESS_KEY, or of DURABLE_TOKEN; default: DURABLE_URL",
    )
    return parser


def _here(actions: Actions[argparse.ArgumentParser], name: str, what: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name, help=what, description=what, epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object instead of text")
    return parser


def _add_start(actions: Actions[argparse.ArgumentParser]) -> None:
    parser = _action(
        actions,
        "start",
        "Start an execution of a function",
        """durable start order-processing --input '{"order_id": "A-1001"}' --name order-A-1001""",
        "durable start report --input @input.json --tag team=billing --delay 60",
        "durable start report --wait 30 --json",
    )
    parser.add_argument("function", metavar="NAME", help="the function")
    parser.add_argument(
        "--input", default="null", metavar="JSON", help="its input; @FILE reads a file, - standard input"
    )
    parser.add_argument("--name", dest="execution_name", help="makes the start idempotent within the function")
    parser.add_argument("--version", type=int, dest="function_version", metavar="N", help="default: the latest known")
    parser.add_argument("--tag", action="append", default=[], dest="tags", metavar="KEY=VALUE", help="may be repeated")
    parser.add_argument("--delay", type=float, metavar="SECONDS", help="start it only then")
    parser.add_argument("--priority", type=int, metavar="N", help="of what is ready, higher goes first; default: 0")
    parser.add_argument("--queue", metavar="NAME", help="default: the function's")
    parser.add_argument("--concurrency-key", metavar="TEXT", help="what its concurrency limit counts it under")
    parser.add_argument(
        "--wait",
        nargs="?",
        type=float,
        const=FOR_EVER,
        metavar="SECONDS",
        help="wait until it has ended, that long at most, and show it",
    )


def _add_list(actions: Actions[argparse.ArgumentParser]) -> None:
    parser = _action(
        actions,
        "list",
        "List executions, newest first",
        "durable list --function order-processing --status FAILED",
        "durable list --waiting callback --tag team=billing",
        "durable list --since 2026-03-01T08:00 --until 2026-03-01T09:00 --json",
    )
    _add_filters(parser)
    parser.add_argument("--limit", type=_limit, default=50, help="default 50, at most 1000")


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--status", choices=ExecutionStatus.values)
    parser.add_argument("--function", metavar="NAME")
    parser.add_argument("--version", type=int, dest="function_version", metavar="N", help="of the function")
    parser.add_argument("--text", metavar="TEXT", help="the beginning of a name or an id")
    parser.add_argument("--tag", action="append", default=[], dest="tags", metavar="KEY=VALUE", help="may be repeated")
    parser.add_argument("--since", type=_moment, metavar="TIME", help="started then or later; ISO 8601, UTC")
    parser.add_argument("--until", type=_moment, metavar="TIME", help="started before")
    parser.add_argument("--waiting", choices=sorted(WAITING), help="what it waits for")


def _add_show(actions: Actions[argparse.ArgumentParser]) -> None:
    what = "Show an execution. In JSON, input and result are values; a text that is not JSON stays a text"
    parser = _action(actions, "show", what, "durable show order-A-1001", "durable show 01990b3e --json")
    parser.add_argument("execution", metavar="ID", help="its id, or the beginning of it, or its name")


def _add_history(actions: Actions[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "history", "Show the events of an execution", "durable history order-A-1001")
    parser.add_argument("execution", metavar="ID")


def _add_tail(actions: Actions[argparse.ArgumentParser]) -> None:
    what = "Follow the events of an execution until it has ended, or the executions that start, change and end"
    parser = _action(
        actions,
        "tail",
        what,
        "durable tail order-A-1001",
        "durable tail --function order-processing",
        "durable tail --seconds 60 --json",
    )
    parser.add_argument("execution", metavar="ID", nargs="?", help="default: all that match these options:")
    _add_filters(parser)
    parser.add_argument("--seconds", type=float, metavar="N", help="stop after that time; default: never")


def _add_callback(actions: Actions[argparse.ArgumentParser]) -> None:
    parser = _action(
        actions,
        "callback",
        "Complete an open callback",
        """durable callback report-7 --succeed '{"approved": true}'""",
        "durable callback --function order-processing --key order-7 --fail 'out of stock'",
        "durable callback report-7 --heartbeat",
    )
    parser.add_argument("callback", metavar="ID", nargs="?", help="a callback id, or an execution with --operation")
    parser.add_argument("--key", metavar="TEXT", help="instead of an id: the business key that the handler gave it")
    parser.add_argument("--function", metavar="NAME", help="with --key")
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


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time, such as 2026-03-01T08:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
