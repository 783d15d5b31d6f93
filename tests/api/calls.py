"""Calls of boto3 that many tests make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from durable_engine.models import Execution
from tests.faults.stack import until


def invoke(client: Any, function: str = "greet", payload: object = None, **options: Any) -> Any:
    answer = client.invoke(FunctionName=function, Payload=json.dumps(payload or {}), **options)
    answer["Payload"] = answer["Payload"].read()
    return answer


def start(client: Any, function: str = "sleep", payload: object = None, **options: Any) -> str:
    """Start an execution and return its ARN."""
    return str(invoke(client, function, payload, InvocationType="Event", **options)["DurableExecutionArn"])


def refused(call: Any, **options: Any) -> tuple[str, int, str]:
    """Make a call that must be refused: the type, the HTTP status and the message."""
    with pytest.raises(ClientError) as problem:
        call(**options)
    error = problem.value.response
    # A type that the operation documents becomes an exception class of its own.
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def status(client: Any, arn: str) -> str:
    return str(client.get_durable_execution(DurableExecutionArn=arn)["Status"])


def wait_for(client: Any, arn: str, wanted: str) -> Any:
    until(lambda: status(client, arn) == wanted, f"{wanted}, is {status(client, arn)}")
    return client.get_durable_execution(DurableExecutionArn=arn)


def waiting(client: Any, arn: str) -> Any:
    """Wait until the execution is suspended, which clients can't tell from running."""
    execution_id = arn.rpartition("/")[2]
    until(lambda: Execution.objects.get(pk=execution_id).status == "SUSPENDED", f"{arn} suspended")


def callback_id(client: Any, arn: str) -> str:
    waiting(client, arn)
    events = client.get_durable_execution_history(DurableExecutionArn=arn)["Events"]
    opened = [event for event in events if event["EventType"] == "CallbackStarted"]
    return str(opened[0]["CallbackStartedDetails"]["CallbackId"])


def arn_of(execution: Execution) -> str:
    return (
        f"arn:aws:lambda:us-east-1:000000000000:function:{execution.function}:$LATEST"
        f"/durable-execution/{execution.name}/{execution.pk}"
    )
