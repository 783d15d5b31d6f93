"""Checkpoints and states, asked for by boto3."""

from __future__ import annotations

from typing import Any

import pytest

from durable_engine.services.checkpoint_tokens import CheckpointToken, make_checkpoint_token
from tests.api.calls import arn_of, refused
from tests.api.site import Site
from tests.factories import make_execution, make_running

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


class TestCheckpoints:
    """What SDKs of handlers that run elsewhere call; `test_remote_functions` has them in use."""

    @pytest.fixture
    def held(self, site: Site) -> tuple[str, str]:
        """An execution that an invocation elsewhere holds, and its token."""
        execution = make_running(make_execution(function="elsewhere"))
        token = CheckpointToken(execution.pk, execution.fence, execution.batch, 1)
        return arn_of(execution), make_checkpoint_token(token)

    def test_a_checkpoint_records_and_answers_with_the_next_token(self, client: Any, held: tuple[str, str]) -> None:
        arn, token = held
        answer = client.checkpoint_durable_execution(
            DurableExecutionArn=arn,
            CheckpointToken=token,
            Updates=[
                {"Id": "c", "Type": "CONTEXT", "SubType": "RunInChildContext", "Action": "START"},
                {"Id": "c-1", "ParentId": "c", "Name": "ask", "Type": "CALLBACK", "Action": "START"},
                {"Id": "s", "Name": "work", "Type": "STEP", "SubType": "Step", "Action": "START"},
                {
                    "Id": "s",
                    "Name": "work",
                    "Type": "STEP",
                    "SubType": "Step",
                    "Action": "RETRY",
                    "Error": {"ErrorType": "E", "ErrorMessage": "m"},
                    "StepOptions": {"NextAttemptDelaySeconds": 5},
                },
                {"Id": "w", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 5}},
            ],
        )
        operations = {each["Id"]: each for each in answer["NewExecutionState"]["Operations"]}
        assert {key: each["Status"] for key, each in operations.items()} == {
            "c": "STARTED",
            "c-1": "STARTED",
            "s": "PENDING",
            "w": "STARTED",
        }
        events = client.get_durable_execution_history(DurableExecutionArn=arn)["Events"]
        (opened,) = [event for event in events if event["EventType"] == "CallbackStarted"]
        given = operations["c-1"]["CallbackDetails"]["CallbackId"]
        assert opened["CallbackStartedDetails"]["CallbackId"] == given
        state = client.get_durable_execution_state(
            DurableExecutionArn=arn, CheckpointToken=answer["CheckpointToken"], MaxItems=3
        )
        rest = client.get_durable_execution_state(
            DurableExecutionArn=arn, CheckpointToken=answer["CheckpointToken"], Marker=state["NextMarker"]
        )
        assert [each["Id"] for each in state["Operations"] + rest["Operations"]] == ["c", "c-1", "s", "w"]
        used = refused(client.checkpoint_durable_execution, DurableExecutionArn=arn, CheckpointToken=token)
        assert used == ("InvalidParameterValueException", 400, "Invalid checkpoint token")

    def test_a_token_of_another_execution_and_a_batch_against_the_rules_are_refused(
        self, client: Any, held: tuple[str, str]
    ) -> None:
        arn, token = held
        other = arn_of(make_running(make_execution(function="elsewhere")))
        for call in (client.checkpoint_durable_execution, client.get_durable_execution_state):
            assert refused(call, DurableExecutionArn=other, CheckpointToken=token)[2] == "Invalid checkpoint token"
            assert refused(call, DurableExecutionArn=arn, CheckpointToken="QUJD")[2] == "Invalid checkpoint token"
        wrong = [{"Id": "1", "Type": "STEP", "Action": "SUCCEED"}]
        code, number, message = refused(
            client.checkpoint_durable_execution, DurableExecutionArn=arn, CheckpointToken=token, Updates=wrong
        )
        assert (code, number) == ("InvalidParameterValueException", 400)
        assert "Updates[0]" in message
