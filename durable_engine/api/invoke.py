"""Invoke: start an execution, and wait for its result unless it is an Event."""

from __future__ import annotations

import json
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse

from durable_engine.api.actions import MIB, Call, api_action
from durable_engine.api.errors import ApiError, invalid_parameter, not_found
from durable_engine.api.executions import error_object
from durable_engine.api.parameters import function_of, text_of
from durable_engine.api.responses import to_json
from durable_engine.api.waiters import wait_for_outcome, waiting_place
from durable_engine.queries.arns import LATEST, execution_arn, function_arn
from durable_engine.queries.errors import ErrorView
from durable_engine.queries.executions import ExecutionOutcome
from durable_engine.queries.functions import function_named
from durable_engine.sdk.function_names import FunctionReference
from durable_engine.services.exceptions import FunctionNotFound, InvalidInput
from durable_engine.services.executions import StartedExecution, StartRequest, start_executions

EVENT: Final = "Event"
REQUEST_RESPONSE: Final = "RequestResponse"
DRY_RUN: Final = "DryRun"
TENANT_TAG: Final = "tenant_id"
# The input, 6 MiB, checked again as such; a little more is let in so that it is refused with the better message.
LIMIT: Final = 6 * MIB


@api_action("Invoke", scope="start", limit=LIMIT)
def invoke(call: Call, function: str) -> HttpResponse:
    """Start an execution, or find the one of that name. RequestResponse waits until it has ended."""
    wanted = function_of(function, call.query)
    call.caller.check_function(wanted.name)
    kind = call.request.headers.get("X-Amz-Invocation-Type") or REQUEST_RESPONSE
    if kind == DRY_RUN:
        return _dry_run(wanted)
    if kind == EVENT:
        return _headers(HttpResponse(status=202), call, wanted, _start(call, wanted))
    if kind != REQUEST_RESPONSE:
        raise invalid_parameter(f"InvocationType: {kind[:40]!r} is none of {REQUEST_RESPONSE}, {EVENT}, {DRY_RUN}.")
    with waiting_place():
        started = _start(call, wanted)
        outcome = wait_for_outcome(started.id, settings.DURABLE_API_WAIT_SECONDS)
    return _headers(_response(outcome), call, wanted, started)


def _dry_run(wanted: FunctionReference) -> HttpResponse:
    view = function_named(wanted.name)
    if view is None or (wanted.version is not None and wanted.version not in view.versions):
        raise _no_function(wanted)
    return HttpResponse(status=204)


def _start(call: Call, wanted: FunctionReference) -> StartedExecution:
    headers = call.request.headers
    tenant = headers.get("X-Amz-Tenant-Id")
    request = StartRequest(
        wanted.name,
        text_of(call.body, "Payload") or "{}",
        name=headers.get("X-Amz-Durable-Execution-Name"),
        version=wanted.version,
        tags=None if tenant is None else {TENANT_TAG: tenant},
        tenant_id=tenant,
    )
    try:
        return start_executions([request], actor=call.caller.actor)[0]
    except FunctionNotFound:
        raise _no_function(wanted) from None
    except InvalidInput as problem:
        if problem.field == "input":
            message = f"Could not parse request body into json: {problem}"
            raise ApiError("InvalidRequestContentException", 400, message) from None
        raise


def _no_function(wanted: FunctionReference) -> ApiError:
    return not_found(f"Function not found: {function_arn(wanted.name, str(wanted.version or LATEST))}")


def _headers(response: HttpResponse, call: Call, wanted: FunctionReference, started: StartedExecution) -> HttpResponse:
    call.about = str(started.id)
    response["X-Amz-Executed-Version"] = str(wanted.version or LATEST)
    response["X-Amz-Durable-Execution-Arn"] = execution_arn(wanted.name, started.name, started.id)
    return response


def _response(outcome: ExecutionOutcome | None) -> HttpResponse:
    if outcome is not None and outcome.status == "SUCCEEDED":
        return HttpResponse(_json_text(outcome.result), content_type="application/json")
    error = ErrorView("Sandbox.Timedout", "It has not ended yet. It goes on; ask with GetDurableExecution.")
    if outcome is not None:
        error = outcome.error or ErrorView(outcome.status, "")
    response = HttpResponse(to_json(_for_functions(error)), content_type="application/json")
    response["X-Amz-Function-Error"] = "Unhandled"
    return response


def _for_functions(error: ErrorView) -> dict[str, Any]:
    """The error object, and in the names that every function's clients read."""
    return {
        **error_object(error),
        "errorType": error.type,
        "errorMessage": error.message,
        "stackTrace": list(error.stack),
    }


def _json_text(result: str | None) -> str:
    """The result as it is stored; one that a serdes of the handler's own wrote as other text becomes a JSON text."""
    if result is None:
        return "null"
    try:
        json.loads(result)
    except (ValueError, RecursionError):
        return json.dumps(result, ensure_ascii=False)
    return result
