"""Callbacks, completed by boto3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from durable_engine.models import Execution
from tests.api.calls import callback_id, refused, start, status, wait_for

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


class TestCallbacks:
    def test_a_result_reaches_the_handler_byte_by_byte_and_the_first_one_wins(self, client: Any) -> None:
        arn = start(client, "ask")
        answer = callback_id(client, arn)
        text = ' {"weight": 1.50, "note": "\u00fc \\u00fc"} '
        client.send_durable_execution_callback_success(CallbackId=answer, Result=text.encode())

        assert json.loads(wait_for(client, arn, "SUCCEEDED")["Result"]) == text
        late = refused(client.send_durable_execution_callback_success, CallbackId=answer, Result=b"2")
        assert late[:2] == ("CallbackTimeoutException", 400)
        assert refused(client.send_durable_execution_callback_failure, CallbackId=answer)[:2] == late[:2]
        assert refused(client.send_durable_execution_callback_heartbeat, CallbackId=answer)[:2] == late[:2]

    def test_without_a_result_it_is_none(self, client: Any) -> None:
        arn = start(client, "ask")
        client.send_durable_execution_callback_success(CallbackId=callback_id(client, arn))

        assert wait_for(client, arn, "SUCCEEDED")["Result"] == "null"

    def test_a_failure_reaches_the_handler_as_it_was_sent(self, client: Any) -> None:
        arn = start(client, "ask")
        error = {"ErrorType": "Refused", "ErrorMessage": "no", "ErrorData": "{}", "StackTrace": ["line"]}
        client.send_durable_execution_callback_failure(CallbackId=callback_id(client, arn), Error=error)

        assert wait_for(client, arn, "FAILED")["Error"]["ErrorMessage"] == "no"
        events = client.get_durable_execution_history(DurableExecutionArn=arn)["Events"]
        (failed,) = [event for event in events if event["EventType"] == "CallbackFailed"]
        assert failed["CallbackFailedDetails"]["Error"]["Payload"] == error

    def test_a_heartbeat_moves_the_deadline(self, client: Any) -> None:
        arn = start(client, "ask", {"heartbeat_timeout": 3600})
        answer = callback_id(client, arn)
        execution = Execution.objects.get(pk=arn.rpartition("/")[2])
        before = execution.callbacks.get().heartbeat_deadline
        client.send_durable_execution_callback_heartbeat(CallbackId=answer)

        after = execution.callbacks.get().heartbeat_deadline
        assert before is not None
        assert after is not None
        assert after > before

    def test_after_its_timeout_it_is_too_late(self, client: Any) -> None:
        arn = start(client, "ask", {"timeout": 0.2})
        answer = callback_id(client, arn)
        assert wait_for(client, arn, "FAILED")["Error"]["ErrorType"] == "CallbackTimeoutError"

        late = refused(client.send_durable_execution_callback_success, CallbackId=answer, Result=b"1")
        assert late[:2] == ("CallbackTimeoutException", 400)

    def test_what_cannot_be_accepted_has_its_own_type_and_changes_nothing(self, client: Any) -> None:
        arn = start(client, "ask")
        answer = callback_id(client, arn)
        succeed = client.send_durable_execution_callback_success
        assert refused(succeed, CallbackId=answer, Result=b"x" * 262_145)[:2] == ("RequestTooLargeException", 413)
        assert refused(succeed, CallbackId=answer, Result=b"\xff\xfe")[:2] == ("InvalidParameterValueException", 400)
        assert refused(succeed, CallbackId=answer, Result=b"a\x00b")[:2] == ("InvalidParameterValueException", 400)
        changed = ("A" if answer[20] != "A" else "B").join((answer[:20], answer[21:]))
        assert refused(succeed, CallbackId=changed)[:2] == ("InvalidParameterValueException", 400)
        assert refused(succeed, CallbackId="QUJD")[:2] == ("InvalidParameterValueException", 400)

        assert status(client, arn) == "RUNNING"
        client.send_durable_execution_callback_success(CallbackId=answer, Result=b"1")
        assert wait_for(client, arn, "SUCCEEDED")["Result"] == '"1"'
