"""What the SDK of a handler that runs elsewhere calls: record a batch, read the state."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse

from durable_engine.api.actions import MIB, Call, api_action
from durable_engine.api.errors import invalid_parameter
from durable_engine.api.parameters import LONGEST_CLIENT_TOKEN, execution_of, json_object, max_items, text_field
from durable_engine.api.responses import json_response
from durable_engine.services.checkpoint_tokens import MAX_LENGTH, CheckpointToken, read_checkpoint_token
from durable_engine.services.checkpoints import StaleCheckpointToken, record_checkpoint
from durable_engine.services.operation_updates import parse_updates
from durable_engine.services.remote_invocations import remote_state

# The result of an execution, 6 MiB, escaped as JSON text in its envelope.
LIMIT = 8 * MIB


@api_action("CheckpointDurableExecution", scope="checkpoint", limit=LIMIT)
def execution_checkpoint(call: Call, arn: str) -> HttpResponse:
    """Record updates and tell what else has changed; without a new token when the execution is out of its hands."""
    fields = json_object(call.body)
    token = _token(call, arn, text_field(fields, "CheckpointToken", longest=MAX_LENGTH))
    client_token = text_field(fields, "ClientToken", longest=LONGEST_CLIENT_TOKEN)
    answer = record_checkpoint(token, parse_updates(fields.get("Updates")), client_token=client_token)
    body: dict[str, Any] = {"NewExecutionState": {"Operations": answer.operations}}
    if answer.token is not None:
        body["CheckpointToken"] = answer.token
    return json_response(body)


@api_action("GetDurableExecutionState", scope="checkpoint")
def execution_state(call: Call, arn: str) -> HttpResponse:
    """A page of the operations that replay needs, in the order they began."""
    token = _token(call, arn, call.query.get("CheckpointToken"))
    page = remote_state(token, call.query.get("Marker") or "", max_items(call.query))
    answer: dict[str, Any] = {"Operations": page.operations}
    if page.next_marker:
        answer["NextMarker"] = page.next_marker
    return json_response(answer)


def _token(call: Call, arn: str, text: str | None) -> CheckpointToken:
    named = execution_of(arn)
    call.about = str(named.execution_id)
    call.caller.check_function(named.function)
    if not text:
        raise invalid_parameter("CheckpointToken is missing.")
    token = read_checkpoint_token(text)
    if token is None or token.execution_id != named.execution_id:
        raise StaleCheckpointToken
    return token
