"""`manage.py durable bulk`: one action on many executions, from a terminal or a script."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from durable_engine.management.durable_acts import add_outcome, error_of, result_of
from durable_engine.management.durable_output import Described, table, to_json
from durable_engine.management.durable_values import read_input
from durable_engine.models import ExecutionStatus
from durable_engine.queries import bulk as bulk_queries
from durable_engine.queries.bulk_options import BulkOptions, needs_operation
from durable_engine.queries.filters import ExecutionFilters
from durable_engine.queries.named_operations import KINDS
from durable_engine.services import bulk
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import BulkActionNotFound, InvalidInput
from durable_engine.services.lookups import execution_named

EXAMPLES = """
examples:
  manage.py durable bulk create redrive --function order-processing --status FAILED --reason "bank is back"
  manage.py durable bulk create rewind --function order-processing --status FAILED --operation charge
  manage.py durable bulk create complete --status SUSPENDED --operation approval --succeed '{"approved": true}'
  manage.py durable bulk start 01990b… --canary 5
  manage.py durable bulk show 01990b…
  manage.py durable bulk continue 01990b…
"""
MOST_SHOWN = 20


def add_bulk_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the subcommands of `bulk`."""
    parser.epilog = EXAMPLES + (parser.epilog or "")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=argparse.ArgumentParser)
    create = _verb(verbs, "create", "Choose executions, and show what would be done to them; nothing is done yet")
    create.add_argument("bulk_action", choices=tuple(bulk.PERMISSIONS), metavar="ACTION")
    create.add_argument("executions", nargs="*", metavar="ID", help="ids or names; or all that match these options:")
    create.add_argument("--status", choices=ExecutionStatus.values)
    create.add_argument("--function", metavar="NAME")
    create.add_argument("--text", metavar="TEXT", help="the beginning of a name or an id")
    create.add_argument("--reason", default="", help="kept in the audit")
    create.add_argument(
        "--version", type=int, dest="function_version", metavar="N", help="of the function to go on with"
    )
    create.add_argument("--operation", default="", metavar="NAME", help="of rewind, fork, complete: its name in each")
    create.add_argument("--kind", default="", choices=tuple(KINDS.values()), help="what the operation has to be")
    add_outcome(create)
    create.add_argument("--input", metavar="JSON", help="of rerun and fork: another one for all; @FILE reads a file")
    start = _verb(verbs, "start", "Begin")
    start.add_argument("id", type=UUID, metavar="ID")
    start.add_argument("--canary", type=int, metavar="N", help="do the first N, then wait for `continue` or `cancel`")
    _verb(verbs, "continue", "Do the rest after the first few").add_argument("id", type=UUID, metavar="ID")
    cancel = _verb(verbs, "cancel", "Do nothing more")
    cancel.add_argument("id", type=UUID, metavar="ID")
    cancel.add_argument("--reason", default="", help="kept in the audit")
    _verb(verbs, "show", "How far it is, and what was refused or failed").add_argument("id", type=UUID, metavar="ID")


def run_bulk(options: Mapping[str, Any], actor: Actor) -> str:
    """Do what was asked for and return what to print.

    Raises:
        DurableServiceError: as the services in `services.bulk`.
    """
    verb = options["verb"]
    bulk_id = _create(options, actor) if verb == "create" else options["id"]
    if verb == "start":
        bulk.start_bulk_action(bulk_id, actor=actor, canary=options["canary"])
    elif verb == "continue":
        bulk.continue_bulk_action(bulk_id, actor=actor)
    elif verb == "cancel":
        bulk.cancel_bulk_action(bulk_id, actor=actor, reason=options["reason"])
    shown = _described(bulk_id)
    return to_json(shown) if options["as_json"] else _text(shown)


def _create(options: Mapping[str, Any], actor: Actor) -> UUID:
    chosen: dict[str, Any]
    if options["executions"]:
        chosen = {"execution_ids": [execution_named(each) for each in options["executions"]]}
    else:
        chosen = {"filters": ExecutionFilters(options["status"], options["function"], options["text"])}
    action, wanted = options["bulk_action"], _bulk_options(options)
    if needs_operation(action) and not wanted.operation:
        raise InvalidInput("--operation", f"{action} is on an operation.", "Give the name that it has in each of them.")
    return bulk.create_bulk_action(action, actor=actor, reason=options["reason"], options=wanted, **chosen)


def _bulk_options(options: Mapping[str, Any]) -> BulkOptions:
    return BulkOptions(
        version=options["function_version"],
        operation=options["operation"],
        kind=options["kind"],
        result_text=result_of(options),
        error=error_of(options),
        input_text=None if options["input"] is None else read_input(options["input"]),
    )


def _described(bulk_id: UUID) -> Described:
    view, preview = bulk_queries.bulk_action(bulk_id), bulk_queries.bulk_preview(bulk_id)
    if view is None or preview is None:
        raise BulkActionNotFound(bulk_id)
    problems = [
        item for status in ("REFUSED", "FAILED") for item in bulk_queries.bulk_items(bulk_id, status=status, limit=1000)
    ]
    return {
        "id": view.id,
        "action": view.action,
        "status": view.status,
        "total": view.total,
        "counts": dict(view.counts),
        "options": dict(view.options),
        "reason": view.reason,
        "left": {
            "would_act": preview.would_act,
            "unseen": preview.unseen,
            "refused": [{"reason": group.reason, "count": group.count} for group in preview.refused],
        },
        "problems": [
            {"id": item.execution_id, "name": item.name, "status": item.status, "message": item.message}
            for item in problems
        ],
    }


def _text(shown: Described) -> str:
    counts = ", ".join(f"{count} {status.lower()}" for status, count in shown["counts"].items())
    lines = [
        f"bulk action {shown['id']}",
        f"{shown['action']} {shown['total']} executions: {shown['status']} ({counts})",
    ]
    lines += [f"{name}: {value}" for name, value in BulkOptions.of_json(shown["options"]).facts.items()]
    if shown["status"] not in ("DONE", "CANCELLED"):
        lines.append(f"would act on {shown['left']['would_act']} of those that are left")
        lines += [f"would refuse {group['count']}: {group['reason']}" for group in shown["left"]["refused"]]
        lines += [f"{unseen} were not looked at yet"] if (unseen := shown["left"]["unseen"]) else []
    if problems := shown["problems"]:
        rows = [(str(each["id"]), each["status"], each["message"]) for each in problems[:MOST_SHOWN]]
        lines += ["", table([("ID", "STATUS", "WHY"), *rows])]
        if len(problems) > MOST_SHOWN:
            lines.append(f"and {len(problems) - MOST_SHOWN} more; --json has them")
    return "\n".join(lines)


def _verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=what, description=what)
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object instead of text")
    return parser
