"""Checkpoints of handlers that run elsewhere: tokens good once, batches by the rules, answers with what is new."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from durable_engine.core.ports import EventType
from durable_engine.models import Callback, Event, Execution, Timer
from durable_engine.queries import remote_operations
from durable_engine.services.actors import Actor
from durable_engine.services.callbacks import complete_callback_of
from durable_engine.services.checkpoint_tokens import (
    CheckpointToken,
    make_checkpoint_token,
    read_checkpoint_token,
)
from durable_engine.services.checkpoints import CheckpointAnswer, StaleCheckpointToken, record_checkpoint
from durable_engine.services.exceptions import InvalidInput
from durable_engine.services.executions import pause_execution, stop_execution
from durable_engine.services.operation_updates import parse_updates
from durable_engine.services.remote_invocations import remote_state
from tests.factories import event_types, make_execution, make_function, make_running
from tests.integration.races import race

pytestmark = pytest.mark.django_db

TESTER = Actor("a test")


def update(id: str, type: str, action: str, **fields: Any) -> dict[str, Any]:
    return {"Id": id, "Type": type, "Action": action, **fields}


class Handler:
    """The invocation of a handler that runs elsewhere: knows its newest token."""

    def __init__(self) -> None:
        self.execution = make_running(make_execution())
        self.token = CheckpointToken(self.execution.pk, self.execution.fence, self.execution.batch, 1)

    def send(self, *updates: dict[str, Any], **options: Any) -> dict[str, dict[str, Any]]:
        """Send a checkpoint; return the operations of the answer by id."""
        answer = record_checkpoint(self.token, parse_updates(list(updates)), **options)
        return self.take(answer)

    def take(self, answer: CheckpointAnswer) -> dict[str, dict[str, Any]]:
        token = None if answer.token is None else read_checkpoint_token(answer.token)
        if token is not None:
            self.token = token
        return {operation["Id"]: operation for operation in answer.operations}

    def refused(self, *updates: dict[str, Any]) -> str:
        """Send a batch that must be refused; nothing of it may be there afterwards."""
        before = event_types(self.execution.pk)
        with pytest.raises(InvalidInput) as problem:
            self.send(*updates)
        assert event_types(self.execution.pk) == before
        return str(problem.value)

    def types(self) -> list[str]:
        return event_types(self.execution.pk)


@pytest.fixture
def handler() -> Handler:
    return Handler()


class TestTokens:
    def test_a_token_is_good_once(self, handler: Handler) -> None:
        first = handler.token
        handler.send(update("1", "STEP", "START", SubType="Step", Name="a"))

        with pytest.raises(StaleCheckpointToken, match=r"^Invalid checkpoint token$"):
            record_checkpoint(first, parse_updates([update("2", "STEP", "START")]))
        assert handler.types() == ["ExecutionStarted", "StepStarted"]
        handler.send(update("1", "STEP", "SUCCEED", SubType="Step", Name="a", Payload="1"))

    def test_an_empty_checkpoint_uses_its_token_too(self, handler: Handler) -> None:
        first = handler.token
        assert handler.send() == {}
        with pytest.raises(StaleCheckpointToken):
            record_checkpoint(first, [])

    def test_a_token_of_a_lease_that_was_lost_is_refused(self, handler: Handler) -> None:
        Execution.objects.update(fence=handler.execution.fence + 1)
        with pytest.raises(StaleCheckpointToken):
            handler.send(update("1", "STEP", "START"))
        with pytest.raises(StaleCheckpointToken):
            remote_state(handler.token, "", 10)

    @pytest.mark.parametrize("take_away", [stop_execution, pause_execution])
    def test_who_was_stopped_or_paused_is_told_by_an_answer_without_a_token(
        self, handler: Handler, take_away: Any
    ) -> None:
        used = handler.token
        handler.send()
        take_away(handler.execution.pk, actor=TESTER)
        before = handler.types()

        assert record_checkpoint(handler.token, parse_updates([update("1", "STEP", "START")])).token is None
        assert handler.types() == before
        with pytest.raises(StaleCheckpointToken):
            record_checkpoint(used, [])

    def test_a_request_that_is_repeated_because_its_answer_was_lost_is_carried_out_once(self, handler: Handler) -> None:
        first, updates = handler.token, parse_updates([update("1", "CALLBACK", "START")])
        answer = record_checkpoint(first, updates, client_token="c-1")
        again = record_checkpoint(first, updates, client_token="c-1")

        assert again.token == answer.token
        assert list(again.operations) == list(answer.operations)
        assert handler.types() == ["ExecutionStarted", "CallbackStarted"]
        with pytest.raises(StaleCheckpointToken):
            record_checkpoint(first, updates, client_token="c-2")
        handler.take(again)
        handler.send(client_token="c-3")
        with pytest.raises(StaleCheckpointToken):
            record_checkpoint(first, updates, client_token="c-1")

    def test_a_token_that_was_changed_is_none(self, handler: Handler) -> None:
        text = make_checkpoint_token(handler.token)
        assert read_checkpoint_token(text) == handler.token
        for position in (0, 20, 30, 40, -1):
            other = "A" if text[position] != "A" else "B"
            changed = text[:position] + other + (text[position + 1 :] if position != -1 else "")
            assert read_checkpoint_token(changed) is None
        for wrong in ("", "=", "A" * 3000, text + "=", "\u00e4"):
            assert read_checkpoint_token(wrong) is None


@pytest.mark.django_db(transaction=True)
def test_of_two_checkpoints_with_one_token_one_is_recorded() -> None:
    handler = Handler()

    def send(name: str) -> CheckpointAnswer:
        return record_checkpoint(handler.token, parse_updates([update("1", "STEP", "START", Name=name)]))

    second = race(lambda: send("first"), lambda: send("second"))

    assert isinstance(second.error, StaleCheckpointToken)
    assert list(Event.objects.filter(event_type="StepStarted").values_list("name", flat=True)) == ["first"]


@pytest.mark.django_db(transaction=True)
def test_a_callback_that_is_answered_during_a_checkpoint_is_told_by_the_next_one() -> None:
    handler = Handler()
    handler.send(update("1", "CALLBACK", "START"))
    execution_id = handler.execution.pk
    race(
        lambda: handler.send(update("2", "STEP", "START")),
        lambda: complete_callback_of(execution_id, "1", succeed="1", actor=TESTER),
    )

    assert handler.send()["1"]["Status"] == "SUCCEEDED"
    assert handler.types() == ["ExecutionStarted", "CallbackStarted", "StepStarted", "CallbackSucceeded"]


class TestAnswers:
    def test_each_change_is_told_once(self, handler: Handler) -> None:
        told = handler.send(update("1", "CALLBACK", "START", Name="ask"), update("2", "STEP", "START", Name="work"))
        assert set(told) == {"1", "2"}
        assert told["1"]["CallbackDetails"]["CallbackId"]
        assert (told["2"]["Status"], told["2"]["StepDetails"]) == ("STARTED", {"Attempt": 0})
        assert handler.send() == {}

        complete_callback_of(handler.execution.pk, "1", succeed='"yes"', actor=TESTER)
        told = handler.send(update("2", "STEP", "SUCCEED", Name="work", Payload="7"))
        assert told["1"]["CallbackDetails"]["Result"] == '"yes"'
        assert told["1"]["Status"] == "SUCCEEDED"
        assert told["2"]["StepDetails"] == {"Attempt": 1, "Result": "7"}
        assert handler.send() == {}

    def test_a_wait_that_falls_due_is_seen_by_the_running_invocation(self, handler: Handler) -> None:
        told = handler.send(update("1", "WAIT", "START", WaitOptions={"WaitSeconds": 60}))
        assert told["1"]["WaitDetails"]["ScheduledEndTimestamp"] > timezone.now()
        assert handler.send() == {}
        Timer.objects.update(due_at=timezone.now())

        assert handler.send()["1"]["Status"] == "SUCCEEDED"
        assert handler.types()[-1] == "WaitSucceeded"
        assert handler.send() == {}

    def test_a_retry_is_pending_then_ready_then_another_attempt(self, handler: Handler) -> None:
        retry = {"StepOptions": {"NextAttemptDelaySeconds": 60}, "Error": {"ErrorType": "E", "ErrorMessage": "m"}}
        told = handler.send(update("1", "STEP", "START"), update("1", "STEP", "RETRY", **retry))
        assert told["1"]["Status"] == "PENDING"
        assert told["1"]["StepDetails"]["Attempt"] == 1
        assert told["1"]["StepDetails"]["NextAttemptTimestamp"] > timezone.now()
        assert told["1"]["StepDetails"]["Error"] == retry["Error"]
        assert handler.send() == {}
        assert "does not apply" in handler.refused(update("1", "STEP", "START"))
        Timer.objects.update(due_at=timezone.now())

        assert handler.send()["1"]["Status"] == "READY"
        assert handler.send() == {}
        told = handler.send(update("1", "STEP", "START"), update("1", "STEP", "SUCCEED", Payload="2"))
        assert (told["1"]["Status"], told["1"]["StepDetails"]) == ("SUCCEEDED", {"Attempt": 2, "Result": "2"})
        steps = Event.objects.filter(operation_id="1").order_by("event_id")
        assert [(step.event_type, step.attempt) for step in steps] == [
            ("StepStarted", 1),
            ("StepFailed", 1),
            ("StepStarted", 2),
            ("StepSucceeded", 2),
        ]

    def test_a_poll_that_goes_on_keeps_its_state(self, handler: Handler) -> None:
        more = {"StepOptions": {"NextAttemptDelaySeconds": 5}, "Payload": '{"seen": 1}', "SubType": "WaitForCondition"}
        told = handler.send(
            update("1", "STEP", "START", SubType="WaitForCondition"), update("1", "STEP", "RETRY", **more)
        )
        assert (told["1"]["Status"], told["1"]["StepDetails"]["Result"]) == ("PENDING", '{"seen": 1}')
        assert handler.types()[-1] == EventType.STEP_SUCCEEDED
        assert Timer.objects.get().kind == "condition"

    def test_what_another_process_has_recorded_is_told_by_one_that_knows_nothing_yet(
        self, handler: Handler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        handler.send(update("c", "CONTEXT", "START", SubType="RunInChildContext"))
        monkeypatch.setattr(remote_operations, "_folds", remote_operations._Folds())
        told = handler.send(update("c-1", "STEP", "START", ParentId="c"))
        assert set(told) == {"c-1"}

    def test_a_cancelled_wait_loses_its_timer(self, handler: Handler) -> None:
        handler.send(update("1", "WAIT", "START", WaitOptions={"WaitSeconds": 60}))
        assert handler.send(update("1", "WAIT", "CANCEL"))["1"]["Status"] == "CANCELLED"
        assert not Timer.objects.exists()

    def test_a_callback_can_be_completed_and_times_out_like_any_other(self, handler: Handler) -> None:
        handler.send(update("1", "CALLBACK", "START", CallbackOptions={"TimeoutSeconds": 60}))
        assert Callback.objects.get().timeout_seconds == 60
        assert Event.objects.get(operation_id="1").details == {"timeout_seconds": 60}

    def test_an_invoke_starts_a_child_and_one_of_nobody_fails_at_once(self, handler: Handler) -> None:
        make_function("shipping")
        told = handler.send(
            update("1", "CHAINED_INVOKE", "START", Payload="[1]", ChainedInvokeOptions={"FunctionName": "shipping"}),
            update("2", "CHAINED_INVOKE", "START", ChainedInvokeOptions={"FunctionName": "nobody"}),
        )
        child = Execution.objects.get(parent_execution_id=handler.execution.pk)
        assert (child.function, child.parent_operation_id, child.status) == ("shipping", "1", "PENDING")
        assert Event.objects.get(execution_id=child.pk, event_id=1).payload == "[1]"
        assert told["1"]["Status"] == "STARTED"
        assert told["2"]["Status"] == "FAILED"
        assert "nobody" in told["2"]["ChainedInvokeDetails"]["Error"]["ErrorMessage"]


class TestEnds:
    def test_a_result_ends_the_execution_and_there_is_no_token_any_more(self, handler: Handler) -> None:
        used = handler.token
        assert handler.send(update("0", "EXECUTION", "SUCCEED", Payload='"big"')) == {}
        assert handler.types() == ["ExecutionStarted", "InvocationCompleted", "ExecutionSucceeded"]
        assert Execution.objects.get().status == "SUCCEEDED"
        with pytest.raises(StaleCheckpointToken):
            record_checkpoint(used, [])

    def test_a_failure_too(self, handler: Handler) -> None:
        handler.send(update("0", "EXECUTION", "FAIL", Error={"ErrorType": "E", "ErrorMessage": "m"}))
        execution = Execution.objects.get()
        assert (execution.status, execution.error_type, execution.error_message) == ("FAILED", "E", "m")


class TestRules:
    def test_the_end_must_be_the_last_update_and_the_only_one_of_its_kind(self, handler: Handler) -> None:
        end = update("0", "EXECUTION", "SUCCEED")
        assert "Updates[1]" in handler.refused(end, update("1", "STEP", "START"))
        assert "Updates[1]" in handler.refused(end, end)

    def test_an_id_may_come_twice_only_as_a_start_and_what_follows(self, handler: Handler) -> None:
        start, succeed = update("1", "STEP", "START"), update("1", "STEP", "SUCCEED")
        assert "does not apply" in handler.refused(start, start)
        assert "again" in handler.refused(start, succeed, succeed)
        wait = update("2", "WAIT", "START", WaitOptions={"WaitSeconds": 1})
        assert "again" in handler.refused(wait, update("2", "WAIT", "CANCEL"))
        handler.send(start, succeed)

    def test_a_parent_must_be_a_context_that_has_begun(self, handler: Handler) -> None:
        assert "no context" in handler.refused(update("1", "STEP", "START", ParentId="c"))
        handler.send(update("s", "STEP", "START"))
        assert "no context" in handler.refused(update("1", "STEP", "START", ParentId="s"))
        handler.send(update("c", "CONTEXT", "START"), update("1", "STEP", "START", ParentId="c"))

    @pytest.mark.parametrize(
        ("changed", "what"),
        [
            ({"Type": "CONTEXT"}, "operation type"),
            ({"SubType": "Other"}, "operation subtype"),
            ({"Name": "other"}, "operation name"),
            ({"ParentId": "c"}, "parent operation id"),
        ],
    )
    def test_what_was_recorded_may_not_change(self, handler: Handler, changed: dict[str, str], what: str) -> None:
        handler.send(update("c", "CONTEXT", "START"), update("1", "STEP", "START", SubType="Step", Name="a"))
        later = update("1", "STEP", "SUCCEED", SubType="Step", Name="a") | changed
        assert f"Inconsistent {what}" in handler.refused(later)

    def test_what_has_begun_or_ended_does_not_begin_again(self, handler: Handler) -> None:
        kinds: dict[str, dict[str, Any]] = {
            "STEP": {},
            "CONTEXT": {},
            "CALLBACK": {},
            "WAIT": {"WaitOptions": {"WaitSeconds": 60}},
            "CHAINED_INVOKE": {"ChainedInvokeOptions": {"FunctionName": "orders"}},
        }
        for number, (kind, options) in enumerate(kinds.items()):
            start = update(f"{number}", kind, "START", **options)
            handler.send(start)
            assert "does not apply" in handler.refused(start)
        handler.send(update("0", "STEP", "SUCCEED"), update("1", "CONTEXT", "SUCCEED"))
        assert "does not apply" in handler.refused(update("0", "STEP", "FAIL"))
        assert "does not apply" in handler.refused(update("1", "CONTEXT", "FAIL"))
        assert "does not apply" in handler.refused(update("9", "STEP", "SUCCEED"))

    def test_one_wrong_update_keeps_all_from_being_recorded(self, handler: Handler) -> None:
        assert "Updates[1]" in handler.refused(update("1", "STEP", "START"), update("2", "STEP", "SUCCEED"))
        handler.send(update("1", "STEP", "START"))

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            (update("1", "STEP", "SUCCEED", Error={"ErrorMessage": "x"}), "SUCCEED takes a Payload"),
            (update("1", "STEP", "FAIL", Payload="1"), "FAIL takes an Error"),
            (update("1", "STEP", "RETRY"), "NextAttemptDelaySeconds"),
            (update("1", "STEP", "CANCEL"), "Updates[0].Action"),
            (update("1", "CALLBACK", "SUCCEED"), "Updates[0].Action"),
            (update("1", "TASK", "START"), "Updates[0].Type"),
            (update("", "STEP", "START"), "Updates[0].Id"),
            (update("a b", "STEP", "START"), "Updates[0].Id"),
            (update("1", "STEP", "START", Name="\u00e4"), "Updates[0].Name"),
            (update("1", "STEP", "START", Payload=1), "Updates[0].Payload"),
            (update("1", "STEP", "START", Payload="x" * 262_145), "Updates[0].Payload"),
            (update("1", "STEP", "START", Payload="\x00"), "Updates[0].Payload"),
            (update("1", "STEP", "FAIL", Error={"ErrorMessage": 1}), "Updates[0].Error"),
            (update("1", "WAIT", "START"), "WaitSeconds"),
            (update("1", "WAIT", "START", WaitOptions={"WaitSeconds": 0}), "WaitOptions.WaitSeconds"),
            (update("1", "WAIT", "START", WaitOptions={"WaitSeconds": 1.5}), "WaitOptions.WaitSeconds"),
            (update("1", "WAIT", "START", WaitOptions=[]), "WaitSeconds"),
            (update("1", "WAIT", "START", WaitOptions=[1]), "WaitOptions"),
            (update("1", "CHAINED_INVOKE", "START"), "FunctionName"),
            (update("1", "CHAINED_INVOKE", "START", ChainedInvokeOptions={"FunctionName": "a b"}), "FunctionName"),
        ],
    )
    def test_a_field_that_cannot_be_is_refused_by_name(
        self, handler: Handler, wrong: dict[str, Any], field: str
    ) -> None:
        assert field in handler.refused(wrong)


class TestState:
    def test_it_comes_page_by_page_without_what_ended_contexts_tell_already(self, handler: Handler) -> None:
        handler.send(
            update("1", "STEP", "START"),
            update("c", "CONTEXT", "START"),
            update("c-1", "STEP", "START", ParentId="c"),
            update("d", "CONTEXT", "START"),
            update("d-1", "STEP", "START", ParentId="d"),
        )
        handler.send(
            update("c", "CONTEXT", "SUCCEED", Payload="1"),
            update("d", "CONTEXT", "SUCCEED", ContextOptions={"ReplayChildren": True}),
        )
        first = remote_state(handler.token, "", 2)
        second = remote_state(handler.token, first.next_marker, 2)

        assert [each["Id"] for each in first.operations] == ["1", "c"]
        assert [each["Id"] for each in second.operations] == ["d", "d-1"]
        assert second.operations[0]["ContextDetails"]["ReplayChildren"] is True
        assert second.next_marker == ""

    def test_a_marker_of_another_execution_or_none_is_refused(self, handler: Handler) -> None:
        handler.send(update("1", "STEP", "START"), update("2", "STEP", "START"))
        other = Handler()
        other.send(update("1", "STEP", "START"), update("2", "STEP", "START"))
        marker = remote_state(other.token, "", 1).next_marker
        for wrong in (marker, "x", marker[:-2]):
            with pytest.raises(InvalidInput, match="Marker"):
                remote_state(handler.token, wrong, 1)
