"""Invokes: another function, run as an execution of its own whose end is this operation's outcome."""

from __future__ import annotations

import json
from typing import Any

from durable_engine.core import payloads
from durable_engine.core.history import NEW, STARTED, SUCCEEDED, OperationState, divergence
from durable_engine.core.operations.base import Scope, recorded_error
from durable_engine.core.ports import EventType, NewChild, UnknownFunction
from durable_engine.sdk.config import InvokeConfig
from durable_engine.sdk.exceptions import InvokeError, SerDesError
from durable_engine.sdk.function_names import FunctionReference
from durable_engine.sdk.serdes import DEFAULT_JSON_SERDES

DEFAULT_CONFIG: InvokeConfig[Any, Any] = InvokeConfig()
TOO_LARGE = "Store the data elsewhere and pass where it is."


def run_invoke(
    scope: Scope,
    state: OperationState,
    function: FunctionReference,
    payload: Any,
    config: InvokeConfig[Any, Any] | None,
) -> Any:
    """Return what the invoked function returned; suspend until it has ended.

    Raises:
        InvokeError: it failed, timed out or was stopped, or there is no such function.
    """
    strand, options = scope.strand, config or DEFAULT_CONFIG
    if state.status == NEW:
        _start(scope, state, function, payload, options)
    elif state.function != function.name:
        # Two unnamed invokes that changed places differ in nothing else.
        difference = divergence(state, state.type, state.subtype, state.name, state.parent_id, function.name)
        strand.pause("divergence", difference)
    if state.status == SUCCEEDED:
        return strand.read(state, options.serdes_result or DEFAULT_JSON_SERDES)
    if state.status == STARTED:
        strand.suspend(state)
    raise recorded_error(strand, state, InvokeError)


def _start(
    scope: Scope, state: OperationState, function: FunctionReference, payload: Any, options: InvokeConfig[Any, Any]
) -> None:
    strand = scope.strand
    strand.check_release()
    text = _payload_text(scope, state, payload, options)
    try:
        target = strand.find_function(function)
    except UnknownFunction as unknown:
        _record_unknown(scope, state, function, text, options, str(unknown))
        return
    child = NewChild(
        state.id,
        state.parent_id,
        state.name,
        scope.invocation.store.new_execution_id(),
        target,
        text,
        options.tenant_id,
        None if scope.invocation.plugins is None else scope.invocation.plugins.trace,
    )
    details = _details(function, options)
    details |= {"function": target.function, "version": target.version, "execution_id": child.execution_id}
    event = strand.event(EventType.CHAINED_INVOKE_STARTED, state, payload=text, details=details)
    if strand.parent is None:
        # The statement that suspends the execution, which comes next, takes it along.
        strand.defer(state, event, child=child)
    else:  # other branches may keep the execution running for long
        strand.checkpoint(state, [event], children=[child])


def _record_unknown(
    scope: Scope,
    state: OperationState,
    function: FunctionReference,
    text: str,
    options: InvokeConfig[Any, Any],
    problem: str,
) -> None:
    """Fail the operation, durably: a function that appears later must not change what replay sees."""
    strand = scope.strand
    error = json.dumps({"ErrorType": "FunctionNotFound", "ErrorMessage": problem})
    events = [
        strand.event(EventType.CHAINED_INVOKE_STARTED, state, payload=text, details=_details(function, options)),
        strand.event(EventType.CHAINED_INVOKE_FAILED, state, error=error),
    ]
    strand.checkpoint(state, events)


def _details(function: FunctionReference, options: InvokeConfig[Any, Any]) -> dict[str, object]:
    details: dict[str, object] = {"function": function.name}
    if options.tenant_id is not None:
        details["tenant_id"] = options.tenant_id
    return details


def _payload_text(scope: Scope, state: OperationState, payload: Any, options: InvokeConfig[Any, Any]) -> str:
    serdes, what = options.serdes_payload or DEFAULT_JSON_SERDES, f"the payload of {state}"
    text = payloads.written(payload, serdes, state.id, scope.invocation.arn, what)
    payloads.check_size(text, payloads.MAX_RESULT_BYTES, what, TOO_LARGE)
    if options.serdes_payload is not None:
        try:
            json.loads(text)
        except ValueError as error:
            raise SerDesError(
                f"{what} must be JSON text, for it is the input of another function, and is not: {error}"
            ) from error
    return text
