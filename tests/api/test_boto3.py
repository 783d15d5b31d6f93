"""The newest boto3 against a running installation; every answer is checked against the model that boto3 has."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from durable_engine.models import AuditEntry, Execution
from tests.api.calls import (
    arn_of,
    callback_id,
    invoke,
    refused,
    start,
    status,
    wait_for,
    waiting,
)
from tests.api.site import Site, make_bearer
from tests.faults.stack import until

CONFLICT = ("ResourceConflictException", 409)

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


class TestInvoke:
    def test_request_response_returns_the_result_and_the_whole_history_is_there(self, client: Any) -> None:
        answer = invoke(client, payload={"name": "Ana"}, Qualifier="1")

        assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "1")
        assert json.loads(answer["Payload"]) == {"greeting": "Hello Ana"}
        arn = answer["DurableExecutionArn"]
        events = client.get_durable_execution_history(DurableExecutionArn=arn)["Events"]
        assert [event["EventType"] for event in events] == [
            "ExecutionStarted",
            "StepStarted",
            "StepSucceeded",
            "InvocationCompleted",
            "ExecutionSucceeded",
        ]

    def test_a_failure_comes_as_function_error_with_the_error_object(self, client: Any) -> None:
        answer = invoke(client, "fail", {"message": "no stock"})

        assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
        error = json.loads(answer["Payload"])
        assert (error["ErrorType"], error["ErrorMessage"]) == ("StepError", "no stock")
        assert (error["errorType"], error["errorMessage"]) == ("StepError", "no stock")
        assert status(client, answer["DurableExecutionArn"]) == "FAILED"

    def test_an_event_answers_at_once_with_an_arn_that_can_be_read(self, client: Any) -> None:
        answer = invoke(client, "sleep", InvocationType="Event")

        assert (answer["StatusCode"], answer["Payload"]) == (202, b"")
        assert status(client, answer["DurableExecutionArn"]) == "RUNNING"

    def test_a_dry_run_starts_nothing(self, client: Any) -> None:
        before = Execution.objects.count()
        assert invoke(client, InvocationType="DryRun")["StatusCode"] == 204
        assert Execution.objects.count() == before

    def test_a_name_makes_it_idempotent_and_a_second_caller_gets_the_same_result(self, client: Any) -> None:
        first = invoke(client, payload={"name": "Bo"}, DurableExecutionName="greet-bo")
        second = invoke(client, payload={"name": "Bo"}, DurableExecutionName="greet-bo")

        assert second["DurableExecutionArn"] == first["DurableExecutionArn"]
        assert second["Payload"] == first["Payload"]
        problem = refused(
            client.invoke, FunctionName="greet", Payload=b'{"name": "Cy"}', DurableExecutionName="greet-bo"
        )
        assert problem[:2] == ("DurableExecutionAlreadyStartedException", 409)

    @pytest.mark.parametrize(
        "function",
        [
            "greet:2",
            "000000000000:function:greet:2",
            "arn:aws:lambda:us-east-1:000000000000:function:greet:2",
            "arn:aws:lambda:eu-west-1:123456789012:function:greet:$LATEST",
            "greet:production",
        ],
    )
    def test_a_function_may_be_named_in_every_form(self, client: Any, function: str) -> None:
        assert json.loads(invoke(client, function)["Payload"]) == "Hi you"

    def test_the_tenant_can_be_searched_for_and_the_key_is_in_the_audit(self, client: Any, pair: Any) -> None:
        arn = start(client, TenantId="acme")

        execution = Execution.objects.get(pk=arn.rpartition("/")[2])
        assert execution.tags == {"tenant_id": "acme"}
        assert execution.events.get(event_id=1).details == {"tenant_id": "acme"}
        entry = AuditEntry.objects.get(execution_id=execution.pk)
        assert (entry.action, entry.channel) == ("start_execution", "api")
        assert pair.key.access_key_id in entry.actor

    def test_what_cannot_be_accepted_has_its_own_type(self, client: Any) -> None:
        missing = refused(client.invoke, FunctionName="greeet")
        assert missing[:2] == ("ResourceNotFoundException", 404)
        assert "greeet" in missing[2]
        assert refused(client.invoke, FunctionName="greet", Qualifier="7")[0] == "ResourceNotFoundException"
        assert refused(client.invoke, FunctionName="greet:1", Qualifier="2")[0] == "InvalidParameterValueException"
        body = refused(client.invoke, FunctionName="greet", Payload=b"{not json")
        assert body[:2] == ("InvalidRequestContentException", 400)
        assert "line 1" in body[2]
        large = refused(client.invoke, FunctionName="greet", Payload=b'"' + b"x" * 6_291_456 + b'"')
        assert large[:2] == ("RequestTooLargeException", 413)

    def test_no_more_calls_wait_than_may_and_others_are_still_answered(self, site: Site, client: Any) -> None:
        paths = ["/2015-03-31/functions/sleep/invocations"] * 4
        bearer = make_bearer("waiters")
        before = Execution.objects.filter(function="sleep").count()
        with ThreadPoolExecutor(4) as pool:
            waiters = [pool.submit(site.request, "POST", path, b"{}", bearer) for path in paths]
            until(lambda: Execution.objects.filter(function="sleep").count() == before + 4, "four calls wait")
            try:
                problem = refused(client.invoke, FunctionName="sleep")
                assert problem[:2] == ("TooManyRequestsException", 429)
                assert Execution.objects.filter(function="sleep").count() == before + 4
                assert invoke(client, InvocationType="Event")["StatusCode"] == 202
            finally:
                for execution in Execution.objects.filter(function="sleep", closed_at=None):
                    client.stop_durable_execution(DurableExecutionArn=arn_of(execution))
            for waiter in waiters:
                code, headers, body = waiter.result(30)
                assert (code, headers["X-Amz-Function-Error"]) == (200, "Unhandled")
                assert json.loads(body)["ErrorType"] == "ExecutionStopped"


class TestRead:
    def test_an_execution_is_told_with_its_data_unless_it_is_left_out(self, client: Any) -> None:
        arn = invoke(client, payload={"name": "Di"}, Qualifier="1")["DurableExecutionArn"]

        full = client.get_durable_execution(DurableExecutionArn=arn)
        assert (full["Status"], full["Version"], full["DurableExecutionArn"]) == ("SUCCEEDED", "1", arn)
        assert (full["InputPayload"], full["Result"]) == ('{"name": "Di"}', '{"greeting": "Hello Di"}')
        assert full["DurableConfig"] == {"ExecutionTimeout": 300}
        assert full["EndTimestamp"] >= full["StartTimestamp"]
        bare = client.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=False)
        assert bare["ExecutionDataIncluded"] is False
        assert {"InputPayload", "Result"}.isdisjoint(bare)

    def test_a_failed_one_has_its_error(self, client: Any) -> None:
        arn = invoke(client, "fail", {"message": "no stock"})["DurableExecutionArn"]

        error = client.get_durable_execution(DurableExecutionArn=arn)["Error"]
        assert (error["ErrorType"], error["ErrorMessage"]) == ("StepError", "no stock")

    def test_the_history_can_be_turned_round_and_stripped_of_data(self, client: Any) -> None:
        arn = invoke(client, payload={"name": "Ed"}, Qualifier="1")["DurableExecutionArn"]

        events = client.get_durable_execution_history(DurableExecutionArn=arn, ReverseOrder=True)["Events"]
        assert [event["EventId"] for event in events] == [5, 4, 3, 2, 1]
        assert events[0]["ExecutionSucceededDetails"]["Result"]["Payload"] == '{"greeting": "Hello Ed"}'
        bare = client.get_durable_execution_history(DurableExecutionArn=arn, IncludeExecutionData=False)["Events"]
        assert "Hello Ed" not in json.dumps(bare, default=str)

    def test_a_list_is_narrowed_by_every_parameter(self, client: Any) -> None:
        first = invoke(client, payload={"n": 1}, Qualifier="1")["DurableExecutionArn"]
        between = client.get_durable_execution(DurableExecutionArn=first)["EndTimestamp"]
        second = invoke(client, payload={"n": 2}, Qualifier="2", DurableExecutionName="narrowed")["DurableExecutionArn"]

        def listed(**options: Any) -> list[str]:
            page = client.list_durable_executions_by_function(FunctionName="greet", **options)
            return [row["DurableExecutionArn"] for row in page["DurableExecutions"]]

        assert listed(MaxItems=2) == [second, first]
        assert listed(ReverseOrder=True)[-2:] == [first, second]
        assert listed(DurableExecutionName="narrowed") == [second]
        assert first in listed(Qualifier="1")
        assert second not in listed(Qualifier="1")
        assert listed(StartedAfter=between) == [second]
        assert second not in listed(StartedBefore=between)
        assert {first, second} <= set(listed(Statuses=["SUCCEEDED", "FAILED"]))
        assert listed(Statuses=["RUNNING", "TIMED_OUT"]) == []
        assert listed(Statuses=["PAUSING"]) == []

    def test_functions_are_told(self, client: Any) -> None:
        names = [view["FunctionName"] for view in client.list_functions()["Functions"]]
        assert names == sorted(names)
        assert {"ask", "greet", "sleep"} <= set(names)
        versions = client.list_functions(FunctionVersion="ALL")["Functions"]
        assert [view["Version"] for view in versions if view["FunctionName"] == "greet"] == ["$LATEST", "1", "2"]
        page = client.list_functions(MaxItems=1)
        assert client.list_functions(MaxItems=1, Marker=page["NextMarker"])["Functions"][0]["FunctionName"] == names[1]
        found = client.get_function(FunctionName="greet", Qualifier="1")["Configuration"]
        assert (found["FunctionName"], found["Version"], found["State"]) == ("greet", "1", "Active")
        assert client.get_function_configuration(FunctionName="greet:1") | {"ResponseMetadata": 0} == {
            **found,
            "ResponseMetadata": 0,
        }

    def test_what_does_not_exist_or_is_no_name_has_its_own_type(self, client: Any) -> None:
        arn = start(client)
        other = arn[:-4] + "0000"
        for call in (
            client.get_durable_execution,
            client.get_durable_execution_history,
            client.stop_durable_execution,
        ):
            assert refused(call, DurableExecutionArn=other)[:2] == ("ResourceNotFoundException", 404)
            assert refused(call, DurableExecutionArn=arn.replace(":sleep:", ":greet:"))[1] == 404
            assert refused(call, DurableExecutionArn="arn:aws:x")[:2] == ("InvalidParameterValueException", 400)
        listing = client.list_durable_executions_by_function
        assert refused(listing, FunctionName="nothing")[:2] == ("ResourceNotFoundException", 404)
        assert refused(client.get_function, FunctionName="nothing")[:2] == ("ResourceNotFoundException", 404)
        for options in ({"MaxItems": 1001}, {"Marker": "forged"}, {"Statuses": ["DONE"]}):
            problem = refused(listing, FunctionName="greet", **options)
            assert problem[1] in {400, 404}, options


class TestStop:
    def test_it_ends_with_the_error_that_was_given_and_again_changes_nothing(self, client: Any) -> None:
        arn = start(client)
        waiting(client, arn)
        stopped = client.stop_durable_execution(
            DurableExecutionArn=arn, Error={"ErrorType": "Budget", "ErrorMessage": "spent", "StackTrace": ["a"]}
        )

        execution = client.get_durable_execution(DurableExecutionArn=arn)
        assert execution["Status"] == "STOPPED"
        assert execution["Error"] == {"ErrorType": "Budget", "ErrorMessage": "spent", "StackTrace": ["a"]}
        assert execution["EndTimestamp"] == stopped["StopTimestamp"]
        again = client.stop_durable_execution(DurableExecutionArn=arn)
        assert again["StopTimestamp"] == stopped["StopTimestamp"]

    def test_one_that_has_ended_otherwise_is_refused(self, client: Any) -> None:
        arn = invoke(client)["DurableExecutionArn"]
        assert refused(client.stop_durable_execution, DurableExecutionArn=arn)[:2] == (
            "InvalidParameterValueException",
            400,
        )


class TestPauseAndResume:
    def test_a_paused_execution_says_why_and_goes_on_when_it_is_resumed(self, client: Any) -> None:
        arn = start(client, "ask")
        answer = callback_id(client, arn)
        client.pause_durable_execution(DurableExecutionArn=arn, Reason="the warehouse is closed")

        paused = client.get_durable_execution(DurableExecutionArn=arn)
        assert paused["Status"] == "PAUSED"
        assert paused["PauseDetails"]["Reason"] == "the warehouse is closed"
        listing = client.list_durable_executions_by_function(FunctionName="ask", Statuses=["PAUSED"])
        assert arn in [row["DurableExecutionArn"] for row in listing["DurableExecutions"]]
        client.send_durable_execution_callback_success(CallbackId=answer, Result=b"yes")
        assert status(client, arn) == "PAUSED"
        client.resume_durable_execution(DurableExecutionArn=arn, Reason="open again")
        assert wait_for(client, arn, "SUCCEEDED")["Result"] == '"yes"'

    def test_a_repeated_request_with_the_same_token_is_not_carried_out_again(self, client: Any) -> None:
        arn = start(client)
        waiting(client, arn)
        for _ in range(2):
            client.pause_durable_execution(DurableExecutionArn=arn, ClientToken="pause-1")
        assert refused(client.pause_durable_execution, DurableExecutionArn=arn)[:2] == CONFLICT
        for _ in range(2):
            client.resume_durable_execution(DurableExecutionArn=arn, ClientToken="resume-1")
        # Late, of a client that did not hear the first answer: nobody wants it paused any more.
        client.pause_durable_execution(DurableExecutionArn=arn, ClientToken="pause-1")
        assert status(client, arn) == "RUNNING"

    def test_what_does_not_apply_is_a_conflict(self, client: Any) -> None:
        arn = start(client)
        assert refused(client.resume_durable_execution, DurableExecutionArn=arn)[:2] == CONFLICT
        client.stop_durable_execution(DurableExecutionArn=arn)
        assert refused(client.pause_durable_execution, DurableExecutionArn=arn)[:2] == CONFLICT
        problem = refused(client.pause_durable_execution, DurableExecutionArn=arn, ExecutionTimeoutPaused=False)
        assert problem[:2] == ("InvalidParameterValueException", 400)


class TestDelete:
    def test_one_that_has_ended_is_gone_and_its_name_is_free(self, client: Any) -> None:
        arn = invoke(client, payload={"n": 1}, DurableExecutionName="deleted")["DurableExecutionArn"]
        answer = client.delete_durable_execution(DurableExecutionArn=arn)

        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
        assert refused(client.get_durable_execution, DurableExecutionArn=arn)[:2] == ("ResourceNotFoundException", 404)
        assert refused(client.delete_durable_execution, DurableExecutionArn=arn)[1] == 404
        again = invoke(client, payload={"n": 2}, DurableExecutionName="deleted")["DurableExecutionArn"]
        assert again != arn

    def test_a_live_one_is_a_conflict(self, client: Any) -> None:
        arn = start(client)
        assert refused(client.delete_durable_execution, DurableExecutionArn=arn)[:2] == CONFLICT
        assert status(client, arn) == "RUNNING"
