"""`continue_as_new`: an execution ends, and the next one begins in its place with an empty history."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from durable_engine.core import payloads
from durable_engine.core.operations.base import Scope
from durable_engine.core.ports import NewSuccessor, Target, UnknownFunction
from durable_engine.core.suspension import ContinueAsNew
from durable_engine.sdk.exceptions import InvalidStateError
from durable_engine.sdk.function_names import FunctionReference
from durable_engine.sdk.inputs import parse_input
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.serdes import DEFAULT_JSON_SERDES

WHAT = "the input of continue_as_new"
TOO_LARGE = "Store the data elsewhere and hand on where it is."


def continue_as_new(scope: Scope, value: Any) -> NoReturn:
    """End the invocation with the execution, and have the next one start with `value` as its input.

    Raises:
        InvalidStateError: this is not the handler's own context.
        SerDesError, PayloadTooLargeError, ValidationError: the input cannot be stored, or the handler would refuse it.
    """
    if scope.outer is not None or scope.strand.parent is not None:
        raise InvalidStateError(
            "continue_as_new() ends the whole execution: call it on the context that the handler was given, outside of "
            "child contexts and branches"
        )
    scope.check_all_reached("the code that calls continue_as_new")
    strand, handler = scope.strand, scope.invocation.handler
    text = payloads.written(value, DEFAULT_JSON_SERDES, "", scope.invocation.arn, WHAT)
    payloads.check_size(text, payloads.MAX_RESULT_BYTES, WHAT, TOO_LARGE)
    target = _newest(scope, handler)
    if target.version == handler.version:
        parse_input(handler.input, json.loads(text))
    strand.end(ContinueAsNew(NewSuccessor(scope.invocation.store.new_execution_id(), target, text)))


def _newest(scope: Scope, handler: DurableHandler) -> Target:
    """The newest version: an endless loop takes up a deploy at its next turn."""
    timeout = handler.execution_timeout
    own = Target(handler.name, handler.version, handler.queue, None if timeout is None else timeout.to_seconds())
    try:
        found = scope.strand.find_function(FunctionReference(handler.name, None))
    except UnknownFunction:
        return own
    return found if found.version > own.version else own
