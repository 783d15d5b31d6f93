"""What a bulk action may be told, and which operation of an execution its name stands for when its turn comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID

from durable_engine.queries.bulk import UNNAMED
from durable_engine.queries.bulk_options import TAKEN, BulkOptions, needs_operation
from durable_engine.queries.named_operations import KINDS, chosen_operation, found_operations
from durable_engine.queries.refusals import RULES, Refusal
from durable_engine.services.exceptions import ActionRefused, InvalidInput
from durable_engine.services.targets import locked_execution, refuse
from durable_engine.services.validation import (
    MAX_CALLBACK_RESULT_BYTES,
    checked_error,
    checked_input,
    checked_text,
    parse_json,
)

MAX_NAME: Final = 256  # characters of an operation's name


def checked_options(action: str, options: BulkOptions) -> BulkOptions:
    """Return the options of an action.

    Raises:
        InvalidInput: it does not take one of them, or one can't be accepted.
    """
    taken = TAKEN.get(action, frozenset())
    for name in options.to_json():
        if name not in taken:
            raise InvalidInput(name, f"{action} for many does not take it.", "Leave it out.")
    if options.kind and options.kind not in KINDS.values():
        raise InvalidInput("kind", f"{options.kind!r} is no kind of operation.", f"Use {', '.join(KINDS.values())}.")
    if len(checked_text(options.operation, field="operation", limit=4 * MAX_NAME)) > MAX_NAME:
        raise InvalidInput("operation", f"has more than {MAX_NAME} characters; no operation has such a name.")
    if options.input_text is not None:
        checked_input(options.input_text)
    return _with_checked_outcome(options)


def check_complete(action: str, options: BulkOptions) -> None:
    """Raise what keeps an action from being started.

    Raises:
        ActionRefused: it is on an operation that is not named yet.
    """
    if needs_operation(action) and not options.operation:
        refuse(UNNAMED)


def operation_for(execution_id: UUID, action: str, options: BulkOptions) -> str:
    """Lock an execution and return the id of the operation that is meant, as the preview chooses it.

    Raises:
        ExecutionNotFound: there is no such execution.
        ActionRefused: the action does not apply to it, or it isn't clear which operation is meant.
    """
    execution = locked_execution(execution_id, None)
    rule = RULES.get(action)
    refuse(None if rule is None else rule(execution))
    found = found_operations([execution_id], options).get(execution_id, [])
    chosen = chosen_operation(action, execution.status, options, found)
    if isinstance(chosen, Refusal):
        raise ActionRefused(chosen.reason, fix=chosen.fix)
    return chosen.id


def _with_checked_outcome(options: BulkOptions) -> BulkOptions:
    if options.result_text is not None:
        if options.error is not None:
            raise InvalidInput("error", "an operation succeeds or fails, not both.", "Give a result or an error.")
        # Of many operations some may be steps, whose results are JSON.
        checked_text(options.result_text, field="result", limit=MAX_CALLBACK_RESULT_BYTES)
        parse_json(options.result_text, field="result")
    return options if options.error is None else replace(options, error=checked_error(options.error))
