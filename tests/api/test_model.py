"""Every operation with every parameter that boto3's model has, and every error the model documents for what we have."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from django.db import connection

from durable_engine.services.api_keys import KeyPair
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.checkpoint_tokens import CheckpointToken, make_checkpoint_token
from durable_engine.services.function_pauses import pause_function, resume_function
from tests.api.calls import arn_of, refused
from tests.api.site import OPERATOR, REGION, Site, make_key
from tests.factories import make_callback, make_execution, make_running

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

Calls = dict[str, dict[str, Any]]

MODEL = boto3.client("lambda", region_name=REGION).meta.service_model
# What can't happen here: no key management, no networks, no file systems, no code to be loaded.
NOT_OURS = (
    "KMS", "EC2", "EFS", "ENI", "S3", "SnapStart", "Subnet", "InvalidSubnet", "InvalidSecurityGroup", "CodeArtifact",
    "Runtime", "InvalidRuntime", "InvalidZipFile", "RecursiveInvocation", "ModeNotSupported", "NoPublishedVersion",
    "ServiceQuotaExceeded", "SerializedRequestEntityTooLarge", "UnsupportedMediaType", "ResourceNotReady",
)  # fmt: skip
UNKNOWN = "01900000-0000-7000-8000-000000000000"


def snake(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")


def call(client: Any, operation: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(client, snake(operation))
    return found


def held() -> tuple[str, str]:
    """An execution that an invocation elsewhere holds: its ARN, and its checkpoint token."""
    execution = make_running(make_execution(function="elsewhere"))
    return arn_of(execution), make_checkpoint_token(CheckpointToken(execution.pk, execution.fence, execution.batch, 1))


def open_callback() -> str:
    execution = make_execution(status="SUSPENDED")
    make_callback(execution)
    return callback_id_for(execution.pk, "1")


def finished() -> str:
    return arn_of(make_execution(status="SUCCEEDED", result="1"))


def live(status: str = "SUSPENDED") -> str:
    columns: dict[str, Any] = {"paused_at": datetime.now(UTC), "pause_kind": "operator"} if status == "PAUSED" else {}
    return arn_of(make_execution(status=status, function="night", **columns))


def good_calls() -> Calls:
    """A call of every operation with every parameter."""
    arn, token = held()
    state_arn, state_token = held()
    error = {"ErrorType": "E", "ErrorMessage": "m", "ErrorData": "d", "StackTrace": ["s"]}
    day = timedelta(days=1)
    return {
        "Invoke": {
            "FunctionName": "greet",
            "Qualifier": "2",
            "InvocationType": "RequestResponse",
            "LogType": "Tail",
            "ClientContext": base64.b64encode(b"{}").decode(),
            "DurableExecutionName": "with-everything",
            "Payload": b"{}",
            "TenantId": "acme",
        },
        "GetDurableExecution": {"DurableExecutionArn": finished(), "IncludeExecutionData": True},
        "GetDurableExecutionHistory": {
            "DurableExecutionArn": finished(),
            "IncludeExecutionData": False,
            "MaxItems": 5,
            "Marker": "",
            "ReverseOrder": True,
        },
        "ListDurableExecutionsByFunction": {
            "FunctionName": "greet",
            "Qualifier": "2",
            "DurableExecutionName": "with-everything",
            "Statuses": ["SUCCEEDED", "RUNNING"],
            "StartedAfter": datetime.now(UTC) - day,
            "StartedBefore": datetime.now(UTC) + day,
            "ReverseOrder": False,
            "Marker": "",
            "MaxItems": 5,
        },
        "StopDurableExecution": {"DurableExecutionArn": live(), "Error": error},
        "PauseDurableExecution": {
            "DurableExecutionArn": live(),
            "ClientToken": "token",
            "Reason": "stocktaking",
            "ExecutionTimeoutPaused": True,
        },
        "ResumeDurableExecution": {
            "DurableExecutionArn": live("PAUSED"),
            "ClientToken": "token",
            "Reason": "done",
        },
        "DeleteDurableExecution": {"DurableExecutionArn": finished()},
        "SendDurableExecutionCallbackSuccess": {"CallbackId": open_callback(), "Result": b"1"},
        "SendDurableExecutionCallbackFailure": {"CallbackId": open_callback(), "Error": error},
        "SendDurableExecutionCallbackHeartbeat": {"CallbackId": open_callback()},
        "CheckpointDurableExecution": {
            "DurableExecutionArn": arn,
            "CheckpointToken": token,
            "ClientToken": "once",
            "Updates": [{"Id": "w", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 5}}],
        },
        "GetDurableExecutionState": {
            "DurableExecutionArn": state_arn,
            "CheckpointToken": state_token,
            "Marker": "",
            "MaxItems": 5,
        },
        "GetFunction": {"FunctionName": "greet", "Qualifier": "1"},
        "GetFunctionConfiguration": {"FunctionName": "greet", "Qualifier": "$LATEST"},
        "ListFunctions": {"MasterRegion": "ALL", "FunctionVersion": "ALL", "Marker": "", "MaxItems": 5},
    }


OPERATIONS = (
    "Invoke", "GetDurableExecution", "GetDurableExecutionHistory", "ListDurableExecutionsByFunction",
    "StopDurableExecution", "PauseDurableExecution", "ResumeDurableExecution", "DeleteDurableExecution",
    "SendDurableExecutionCallbackSuccess", "SendDurableExecutionCallbackFailure",
    "SendDurableExecutionCallbackHeartbeat", "CheckpointDurableExecution", "GetDurableExecutionState", "GetFunction",
    "GetFunctionConfiguration", "ListFunctions",
)  # fmt: skip


def test_every_operation_of_durable_functions_is_among_them() -> None:
    assert {name for name in MODEL.operation_names if "Durable" in name} <= set(OPERATIONS)


def test_every_operation_takes_every_parameter_of_the_model(client: Any) -> None:
    calls = good_calls()
    assert calls.keys() == set(OPERATIONS)
    for operation, parameters in calls.items():
        assert parameters.keys() == set(MODEL.operation_model(operation).input_shape.members), operation
        answer = call(client, operation)(**parameters)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] // 100 == 2, operation


def test_a_checkpoint_with_the_same_client_token_is_recorded_once_and_answered_again(client: Any) -> None:
    parameters = good_calls()["CheckpointDurableExecution"]
    first, again = (client.checkpoint_durable_execution(**parameters) for _ in range(2))
    assert (first["CheckpointToken"], first["NewExecutionState"]) == (
        again["CheckpointToken"],
        again["NewExecutionState"],
    )
    events = client.get_durable_execution_history(DurableExecutionArn=parameters["DurableExecutionArn"])["Events"]
    assert [event["EventType"] for event in events] == ["ExecutionStarted", "WaitStarted"]


class TestErrors:
    """Each documented error of each operation, as the exception class that boto3 makes of it."""

    INVALID: Calls = {  # noqa: RUF012 - the table of the test
        "Invoke": {"FunctionName": "greet", "InvocationType": "Sometimes"},
        "GetDurableExecution": {"DurableExecutionArn": "arn:aws:x"},
        "GetDurableExecutionHistory": {"DurableExecutionArn": "arn:aws:x"},
        "ListDurableExecutionsByFunction": {"FunctionName": "greet", "Statuses": ["DONE"]},
        "StopDurableExecution": {"DurableExecutionArn": "arn:aws:x"},
        "PauseDurableExecution": {"DurableExecutionArn": "arn:aws:x"},
        "ResumeDurableExecution": {"DurableExecutionArn": "arn:aws:x"},
        "DeleteDurableExecution": {"DurableExecutionArn": "arn:aws:x"},
        "SendDurableExecutionCallbackSuccess": {"CallbackId": "QUJD"},
        "SendDurableExecutionCallbackFailure": {"CallbackId": "QUJD"},
        "SendDurableExecutionCallbackHeartbeat": {"CallbackId": "QUJD"},
        "CheckpointDurableExecution": {"DurableExecutionArn": "arn:aws:x", "CheckpointToken": "QUJD"},
        "GetDurableExecutionState": {"DurableExecutionArn": "arn:aws:x", "CheckpointToken": "QUJD"},
        "GetFunction": {"FunctionName": "greet:1", "Qualifier": "2"},
        "GetFunctionConfiguration": {"FunctionName": "greet:1", "Qualifier": "2"},
        "ListFunctions": {"FunctionVersion": "SOME"},
    }

    def missing(self) -> Calls:
        """Calls about what does not exist, or does no longer."""
        arn = f"arn:aws:lambda:{REGION}:000000000000:function:greet:$LATEST/durable-execution/x/{UNKNOWN}"
        execution = make_execution()
        make_callback(execution)
        gone = callback_id_for(execution.pk, "1")
        execution.delete()
        names = [name for name in OPERATIONS if name.endswith(("DurableExecution", "History"))]
        return {
            **{name: {"DurableExecutionArn": arn} for name in names if name != "CheckpointDurableExecution"},
            **{name: {"CallbackId": gone} for name in OPERATIONS if "Callback" in name},
            "Invoke": {"FunctionName": "nothing"},
            "ListDurableExecutionsByFunction": {"FunctionName": "nothing"},
            "GetFunction": {"FunctionName": "nothing"},
            "GetFunctionConfiguration": {"FunctionName": "nothing"},
        }

    def conflicts(self) -> Calls:
        """Calls that the state of what they are about does not allow."""
        return {
            "Invoke": {"FunctionName": "greet"},  # paused meanwhile
            "PauseDurableExecution": {"DurableExecutionArn": finished()},
            "ResumeDurableExecution": {"DurableExecutionArn": live()},
            "DeleteDurableExecution": {"DurableExecutionArn": live()},
        }

    def closed(self, client: Any) -> Calls:
        """Calls about a callback that is completed."""
        done = open_callback()
        client.send_durable_execution_callback_success(CallbackId=done)
        return {name: {"CallbackId": done} for name in OPERATIONS if "Callback" in name}

    def of_invoke(self) -> dict[str, dict[str, Any]]:
        """What only Invoke documents."""
        taken = make_execution(function="greet", input_text='{"a": 1}').name
        named = {"FunctionName": "greet", "DurableExecutionName": taken}
        return {
            "DurableExecutionAlreadyStartedException": named,
            "InvalidRequestContentException": {"FunctionName": "greet", "Payload": b"{"},
            "RequestTooLargeException": {"FunctionName": "greet", "Payload": b'"' + b"x" * 6_291_456 + b'"'},
        }

    def test_the_errors_below_are_all_that_the_model_documents_and_that_can_happen_here(self, site: Site) -> None:
        everywhere = {"TooManyRequestsException", "ServiceException", "InvalidParameterValueException"}
        missing = self.missing()
        for operation in OPERATIONS:
            documented = {shape.name for shape in MODEL.operation_model(operation).error_shapes}
            ours = {name for name in documented if not name.startswith(NOT_OURS)}
            tested = set(everywhere)
            tested |= {"ResourceNotFoundException"} if operation in missing else set()
            tested |= {"ResourceConflictException"} if operation in self.conflicts() else set()
            tested |= {"CallbackTimeoutException"} if "Callback" in operation else set()
            tested |= set(self.of_invoke()) if operation == "Invoke" else set()
            assert ours <= tested, (operation, ours - tested)

    def check(self, client: Any, calls: Calls, code: str, status: int) -> None:
        for operation, parameters in calls.items():
            assert refused(call(client, operation), **parameters)[:2] == (code, status), operation
            assert getattr(client.exceptions, code)  # a class of its own, that programs catch

    def test_invalid_parameters(self, client: Any) -> None:
        assert self.INVALID.keys() == set(OPERATIONS)
        self.check(client, self.INVALID, "InvalidParameterValueException", 400)

    def test_what_does_not_exist(self, client: Any) -> None:
        self.check(client, self.missing(), "ResourceNotFoundException", 404)

    def test_conflicts(self, client: Any) -> None:
        calls = self.conflicts()
        pause_function("greet", actor=OPERATOR, refuse_starts=True)
        try:
            self.check(client, calls, "ResourceConflictException", 409)
        finally:
            resume_function("greet", actor=OPERATOR)

    def test_closed_callbacks(self, client: Any) -> None:
        self.check(client, self.closed(client), "CallbackTimeoutException", 400)

    def test_what_only_invoke_documents(self, client: Any) -> None:
        status = {"RequestTooLargeException": 413, "DurableExecutionAlreadyStartedException": 409}
        for code, parameters in self.of_invoke().items():
            self.check(client, {"Invoke": parameters}, code, status.get(code, 400))

    def test_too_many_requests(self, site: Site) -> None:
        calls = good_calls()
        for operation, parameters in calls.items():
            client = site.client(make_key("slow", requests_per_second=1))
            client.get_function(FunctionName="greet")
            # The bucket may fill again while the machine is busy: of a few calls one is too many.
            codes = {code_of(call(client, operation), parameters) for _ in range(6)}
            assert "TooManyRequestsException" in codes, (operation, codes)

    def test_an_error_of_the_server(self, site: Site, pair: KeyPair) -> None:
        client = site.client(pair)
        calls = good_calls()
        with no_keys():
            self.check(client, calls, "ServiceException", 503)


def code_of(function: Callable[..., Any], parameters: dict[str, Any]) -> str:
    try:
        function(**parameters)
    except Exception as problem:  # noqa: BLE001 - botocore makes a class of each
        return str(getattr(problem, "response", {}).get("Error", {}).get("Code", type(problem).__name__))
    return "-"


@contextmanager
def no_keys() -> Iterator[None]:
    """The table of keys is away, as during an outage that only the API notices."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE durable_api_key RENAME TO durable_api_key_away")
        try:
            yield
        finally:
            cursor.execute("ALTER TABLE durable_api_key_away RENAME TO durable_api_key")
