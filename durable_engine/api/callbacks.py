"""Complete callbacks from outside: succeed, fail, heartbeat. An id is the right to its own callback and no other."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse

from durable_engine.api.actions import KIB, Call, api_action
from durable_engine.api.errors import invalid_parameter, not_found
from durable_engine.api.parameters import json_object, text_of
from durable_engine.api.responses import json_response
from durable_engine.queries.callbacks import function_of_callback
from durable_engine.services.callback_ids import parse_callback_id
from durable_engine.services.callbacks import complete_callback, heartbeat_callback
from durable_engine.services.exceptions import CallbackNotFound

RESULT_LIMIT: Final = 256 * KIB


@api_action("SendDurableExecutionCallbackSuccess", scope="callback", limit=RESULT_LIMIT)
def callback_succeed(call: Call, callback_id: str) -> HttpResponse:
    """Complete a callback with the body, unchanged; without one, with no result."""
    _check(call, callback_id)
    result = text_of(call.body, "Result") if call.body else None
    complete_callback(callback_id, actor=call.caller.actor, succeed=result)
    return json_response({})


@api_action("SendDurableExecutionCallbackFailure", scope="callback")
def callback_fail(call: Call, callback_id: str) -> HttpResponse:
    """Complete a callback as failed; the body is the error object."""
    _check(call, callback_id)
    complete_callback(callback_id, actor=call.caller.actor, error=json_object(call.body))
    return json_response({})


@api_action("SendDurableExecutionCallbackHeartbeat", scope="callback")
def callback_heartbeat(call: Call, callback_id: str) -> HttpResponse:
    """Say that the work goes on."""
    _check(call, callback_id)
    heartbeat_callback(callback_id)
    return json_response({})


def _check(call: Call, callback_id: str) -> None:
    """Verify the id, and that the key is for the function whose callback it is, before anything is touched."""
    try:
        key = parse_callback_id(callback_id)
    except CallbackNotFound:
        raise invalid_parameter("CallbackId is not one of ours, or was changed on the way.") from None
    call.about = f"callback {key}"
    if call.caller.key is None or not call.caller.key.functions:
        return
    function = function_of_callback(key)
    if function is None:
        raise not_found("There is no such callback: its execution is gone.")
    call.caller.check_function(function)
