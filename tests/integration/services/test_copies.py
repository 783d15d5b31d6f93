"""Redrive, rewind, fork and rerun: what is written, how both ends are linked, what is refused, who wins a race."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine.models import AuditEntry, Callback, Event, Execution, Timer
from durable_engine.queries.executions import execution_revision
from durable_engine.services.actors import Actor
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.callbacks import complete_callback, heartbeat_callback
from durable_engine.services.copies import fork_execution, redrive_execution, rerun_execution, rewind_execution
from durable_engine.services.exceptions import (
    ActionRefused,
    CallbackClosed,
    ExecutionNotFound,
    FunctionNotFound,
    InvalidInput,
    NameTaken,
    OperationNotFound,
    StaleRevision,
)
from durable_engine.services.executions import start_execution, stop_execution
from tests.factories import add_event, event_types, make_callback, make_execution, make_running, make_timer
from tests.integration.races import race

ACTOR = Actor("ana", channel="dashboard")
HOUR = timedelta(hours=1)
ERROR = {"ErrorType": "StepError", "ErrorMessage": "declined"}

pytestmark = pytest.mark.django_db


def again(execution_id: UUID) -> Execution:
    return Execution.objects.get(pk=execution_id)


def step(execution: Execution, operation_id: str, outcome: str = "Succeeded", **columns: Any) -> None:
    about = {"operation_id": operation_id, "name": f"step {operation_id}", "subtype": "Step", "attempt": 1}
    add_event(execution, "StepStarted", **about)
    add_event(execution, f"Step{outcome}", **(about | columns))


def close(execution: Execution, status: str = "FAILED") -> Execution:
    add_event(execution, {"FAILED": "ExecutionFailed", "SUCCEEDED": "ExecutionSucceeded"}[status])
    Execution.objects.filter(pk=execution.pk).update(status=status, closed_at=timezone.now())
    return again(execution.pk)


def failed_at_its_second_step(**columns: Any) -> Execution:
    execution = make_execution(input_text='{"order": 7}', **columns)
    step(execution, "1", payload='"paid"')
    step(execution, "2", "Failed", error=ERROR)
    return close(execution)


def stopped_with_a_callback(**columns: Any) -> Execution:
    execution = make_execution(status="SUSPENDED")
    make_callback(execution, **columns)
    stop_execution(execution.pk, actor=ACTOR)
    return again(execution.pk)


class TestRedrive:
    def test_the_new_execution_has_the_name_the_input_and_what_was_completed(self) -> None:
        source = failed_at_its_second_step(name="order-7", tags={"team": "billing"}, queue="slow", priority=3)
        started = redrive_execution(source.pk, actor=ACTOR, reason="card renewed")
        new = again(started.id)
        assert (new.name, new.status, new.version, new.queue, new.priority) == ("order-7", "PENDING", 1, "slow", 3)
        assert (new.tags, new.payload_hash, new.crash_count) == ({"team": "billing"}, source.payload_hash, 0)
        assert event_types(new.pk) == ["ExecutionStarted", "StepStarted", "StepSucceeded"]
        assert new.last_event_id == 3
        copied = list(Event.objects.filter(execution=new).order_by("event_id"))
        assert (copied[0].payload, copied[2].payload) == ('{"order": 7}', '"paid"')
        originals = Event.objects.filter(execution=source).order_by("event_id")[:3]
        assert [event.event_at for event in copied] == [event.event_at for event in originals]
        assert new.last_event_at == copied[-1].event_at

    def test_both_ends_know_each_other(self) -> None:
        source = failed_at_its_second_step(name="order-7")
        new_id = redrive_execution(source.pk, actor=ACTOR, reason="card renewed").id
        assert (again(source.pk).superseded_by, again(source.pk).status) == (new_id, "FAILED")
        assert (again(new_id).origin_id, again(new_id).origin_kind) == (source.pk, "redrive")
        details = Event.objects.get(execution_id=new_id, event_id=1).details
        assert details is not None
        assert (details["origin_id"], details["origin_kind"], details["copied_events"]) == (
            str(source.pk),
            "redrive",
            3,
        )
        entries = AuditEntry.objects.filter(action="redrive_execution")
        assert {entry.execution_id for entry in entries} == {source.pk, new_id}
        assert {(entry.actor, entry.reason) for entry in entries} == {("ana", "card renewed")}

    def test_a_start_with_the_name_finds_the_new_one(self) -> None:
        source = failed_at_its_second_step(name="order-7")
        new_id = redrive_execution(source.pk, actor=ACTOR).id
        started = start_execution("orders", '{"order": 7}', actor=ACTOR, name="order-7")
        assert (started.id, started.created) == (new_id, False)

    def test_it_may_go_on_with_another_version(self) -> None:
        new_id = redrive_execution(failed_at_its_second_step().pk, actor=ACTOR, version=2).id
        assert again(new_id).version == 2

    def test_the_execution_timeout_counts_from_the_redrive(self) -> None:
        source = close(make_execution(function="refund", expires_at=timezone.now() - HOUR))
        new = again(redrive_execution(source.pk, actor=ACTOR).id)
        assert new.expires_at == new.created_at + timedelta(minutes=10)
        details = Event.objects.get(execution=new, event_id=1).details
        assert details is not None
        assert details["execution_timeout_seconds"] == 600

    def test_open_waits_and_retries_keep_their_due_time(self) -> None:
        execution = make_execution(status="SUSPENDED")
        wait = add_event(execution, "WaitStarted", operation_id="1", details={"duration_seconds": 3600})
        about = {"operation_id": "2", "attempt": 1}
        add_event(execution, "StepStarted", **about)
        failed = add_event(execution, "StepFailed", details={"next_attempt_delay_seconds": 60.5}, **about)
        make_timer(execution, "1", kind="wait", event_id=wait.event_id)
        stop_execution(execution.pk, actor=ACTOR)
        new_id = redrive_execution(execution.pk, actor=ACTOR).id
        timers = {timer.operation_id: timer for timer in Timer.objects.filter(execution_id=new_id)}
        assert (timers["1"].kind, timers["1"].due_at) == ("wait", wait.event_at + HOUR)
        assert (timers["2"].kind, timers["2"].due_at) == ("retry", failed.event_at + timedelta(seconds=60.5))
        assert (timers["1"].event_id, timers["2"].event_id) == (2, 4)

    def test_the_number_of_queries_does_not_depend_on_the_history(self) -> None:
        def queries(steps: int) -> int:
            execution = make_execution()
            for number in range(1, steps + 1):
                step(execution, str(number))
            close(execution)
            with CaptureQueriesContext(connection) as captured:
                redrive_execution(execution.pk, actor=ACTOR)
            return len(captured)

        assert queries(2) == queries(40)

    @pytest.mark.parametrize("status", ["PENDING", "SUSPENDED", "PAUSED", "SUCCEEDED"])
    def test_what_has_not_failed_is_refused(self, status: str) -> None:
        execution = make_execution(status=status)
        with pytest.raises(ActionRefused):
            redrive_execution(execution.pk, actor=ACTOR)
        assert Execution.objects.count() == 1

    def test_a_second_redrive_is_refused_and_names_the_first(self) -> None:
        source = failed_at_its_second_step()
        new_id = redrive_execution(source.pk, actor=ACTOR).id
        with pytest.raises(ActionRefused, match=str(new_id)):
            redrive_execution(source.pk, actor=ACTOR)

    def test_an_unknown_execution_and_an_unknown_version_are_not_found(self) -> None:
        with pytest.raises(ExecutionNotFound):
            redrive_execution(uuid7(), actor=ACTOR)
        with pytest.raises(FunctionNotFound):
            redrive_execution(failed_at_its_second_step().pk, actor=ACTOR, version=9)
        assert Execution.objects.count() == 1


class TestCallbacks:
    def test_an_open_callback_is_open_again_and_its_old_id_completes_it(self) -> None:
        source = stopped_with_a_callback(timeout_seconds=60)
        new_id = redrive_execution(source.pk, actor=ACTOR).id
        callback = Callback.objects.get(execution_id=new_id)
        assert (callback.status, callback.name) == ("STARTED", "approval")
        assert callback.deadline == callback.created_at + timedelta(seconds=60)
        complete_callback(callback_id_for(source.pk, "1"), actor=ACTOR, succeed="yes")
        callback.refresh_from_db()
        assert callback.status == "SUCCEEDED"
        assert event_types(new_id)[-1] == "CallbackSucceeded"
        assert event_types(source.pk)[-1] == "ExecutionStopped"

    def test_the_new_id_completes_it_too_but_only_once(self) -> None:
        source = stopped_with_a_callback()
        new_id = redrive_execution(source.pk, actor=ACTOR).id
        complete_callback(callback_id_for(new_id, "1"), actor=ACTOR, succeed="yes")
        with pytest.raises(CallbackClosed):
            complete_callback(callback_id_for(source.pk, "1"), actor=ACTOR, succeed="no")

    def test_an_id_is_followed_through_several_redrives(self) -> None:
        first = stopped_with_a_callback(heartbeat_timeout_seconds=60)
        second = redrive_execution(first.pk, actor=ACTOR).id
        stop_execution(second, actor=ACTOR)
        third = redrive_execution(second, actor=ACTOR).id
        Callback.objects.filter(execution_id=third).update(heartbeat_deadline=timezone.now() + timedelta(seconds=1))
        heartbeat_callback(callback_id_for(first.pk, "1"))
        deadline = Callback.objects.get(execution_id=third).heartbeat_deadline
        assert deadline is not None
        assert deadline > timezone.now() + timedelta(seconds=30)
        complete_callback(callback_id_for(first.pk, "1"), actor=ACTOR, succeed="yes")
        assert Callback.objects.get(execution_id=third).status == "SUCCEEDED"

    def test_one_that_was_answered_stays_closed(self) -> None:
        execution = make_execution()
        make_callback(execution)
        complete_callback(callback_id_for(execution.pk, "1"), actor=ACTOR, succeed="yes")
        step(again(execution.pk), "2", "Failed", error=ERROR)
        close(again(execution.pk))
        redrive_execution(execution.pk, actor=ACTOR)
        with pytest.raises(CallbackClosed):
            complete_callback(callback_id_for(execution.pk, "1"), actor=ACTOR, succeed="no")


class TestRewind:
    def test_the_operation_and_what_followed_are_left_out(self) -> None:
        execution = make_execution(name="order-7")
        for operation_id in ("1", "2", "3"):
            step(execution, operation_id)
        close(execution, "SUCCEEDED")
        new = again(rewind_execution(execution.pk, "2", actor=ACTOR).id)
        assert event_types(new.pk) == ["ExecutionStarted", "StepStarted", "StepSucceeded"]
        assert (new.name, new.origin_kind, again(execution.pk).superseded_by) == ("order-7", "rewind", new.pk)
        assert {entry.operation_id for entry in AuditEntry.objects.filter(action="rewind_execution")} == {"2"}

    def test_a_paused_execution_is_stopped_by_it(self) -> None:
        execution = make_execution(status="PAUSED", paused_at=timezone.now(), pause_kind="divergence")
        step(execution, "1")
        new_id = rewind_execution(execution.pk, "1", actor=ACTOR).id
        source = again(execution.pk)
        assert (source.status, source.error_type) == ("STOPPED", "ExecutionRewound")
        assert str(new_id) in source.error_message
        assert event_types(source.pk)[-1] == "ExecutionStopped"
        assert event_types(new_id) == ["ExecutionStarted"]

    @pytest.mark.django_db(transaction=True)
    def test_of_a_child_that_was_rewound_the_redriven_parent_hears_only_the_end_of_the_new_one(self) -> None:
        parent = make_execution(status="SUSPENDED")
        add_event(parent, "ChainedInvokeStarted", operation_id="1", subtype="ChainedInvoke")
        belongs: dict[str, Any] = {"parent_execution_id": parent.pk, "parent_operation_id": "1"}
        child = make_execution(status="PAUSED", paused_at=timezone.now(), pause_kind="divergence", **belongs)
        step(child, "1")
        goes_on = rewind_execution(child.pk, "1", actor=ACTOR).id
        stop_execution(parent.pk, actor=ACTOR)
        redriven = redrive_execution(parent.pk, actor=ACTOR).id
        assert event_types(redriven) == ["ExecutionStarted", "ChainedInvokeStarted"]
        assert (again(child.pk).parent_execution_id, again(goes_on).parent_execution_id) == (parent.pk, redriven)
        stop_execution(goes_on, actor=ACTOR)
        assert event_types(redriven)[-1] == "ChainedInvokeStopped"

    @pytest.mark.parametrize("status", ["PENDING", "SUSPENDED", "RUNNING"])
    def test_a_live_one_must_be_paused_first(self, status: str) -> None:
        execution = make_execution(status=status)
        step(execution, "1")
        with pytest.raises(ActionRefused, match="Pause or stop it first"):
            rewind_execution(execution.pk, "1", actor=ACTOR)

    def test_an_operation_that_does_not_exist_is_not_found(self) -> None:
        source = failed_at_its_second_step()
        with pytest.raises(OperationNotFound) as refused:
            rewind_execution(source.pk, "7", actor=ACTOR)
        assert refused.value.field == "operation_id"
        assert again(source.pk).superseded_by is None

    def test_what_somebody_saw_must_still_be_so(self) -> None:
        execution = make_execution(status="PAUSED")
        step(execution, "1")
        seen = execution_revision(execution.pk)
        stop_execution(execution.pk, actor=ACTOR)
        with pytest.raises(StaleRevision):
            rewind_execution(execution.pk, "1", actor=ACTOR, seen_revision=seen)


class TestFork:
    def test_the_original_is_not_touched(self) -> None:
        source = failed_at_its_second_step(name="order-7")
        before = Execution.objects.filter(pk=source.pk).values().get()
        new = again(fork_execution(source.pk, "2", actor=ACTOR, name="order-7-b").id)
        assert Execution.objects.filter(pk=source.pk).values().get() == before
        assert (new.name, new.origin_id, new.origin_kind) == ("order-7-b", source.pk, "fork")
        assert event_types(new.pk) == ["ExecutionStarted", "StepStarted", "StepSucceeded"]

    def test_without_a_name_it_is_called_by_its_id(self) -> None:
        new = again(fork_execution(failed_at_its_second_step().pk, "1", actor=ACTOR).id)
        assert new.name == str(new.pk)

    def test_a_running_one_may_be_forked(self) -> None:
        execution = make_execution()
        step(execution, "1")
        step(execution, "2")
        make_running(execution)
        new_id = fork_execution(execution.pk, "2", actor=ACTOR).id
        assert event_types(new_id) == ["ExecutionStarted", "StepStarted", "StepSucceeded"]
        assert again(execution.pk).status == "RUNNING"

    def test_the_input_may_be_another_one(self) -> None:
        source = failed_at_its_second_step()
        new = again(fork_execution(source.pk, "2", actor=ACTOR, input_text='{"order": 8}').id)
        assert Event.objects.get(execution=new, event_id=1).payload == '{"order": 8}'
        assert new.payload_hash != source.payload_hash

    def test_an_open_callback_is_open_in_both(self) -> None:
        execution = make_execution()
        make_callback(execution)
        step(execution, "2")
        new_id = fork_execution(execution.pk, "2", actor=ACTOR).id
        complete_callback(callback_id_for(execution.pk, "1"), actor=ACTOR, succeed="yes")
        assert Callback.objects.get(execution_id=new_id).status == "STARTED"

    def test_a_name_that_is_taken_is_refused(self) -> None:
        source = failed_at_its_second_step(name="order-7")
        with pytest.raises(NameTaken):
            fork_execution(source.pk, "2", actor=ACTOR, name="order-7")

    @pytest.mark.parametrize(("options", "field"), [({"name": "no spaces"}, "name"), ({"input_text": "{"}, "input")])
    def test_bad_arguments_are_named(self, options: dict[str, Any], field: str) -> None:
        source = failed_at_its_second_step()
        with pytest.raises(InvalidInput) as refused:
            fork_execution(source.pk, "2", actor=ACTOR, **options)
        assert refused.value.field == field

    def test_an_input_that_the_handler_would_refuse_is_refused(self) -> None:
        source = make_execution(function="refund")
        step(source, "1")
        with pytest.raises(InvalidInput, match="amount"):
            fork_execution(source.pk, "1", actor=ACTOR, input_text='{"order": "A", "amount": "much"}')


class TestRerun:
    def test_it_is_a_start_from_the_beginning_with_a_link(self) -> None:
        source = failed_at_its_second_step(name="order-7", tags={"team": "billing"})
        started = rerun_execution(source.pk, actor=ACTOR)
        new = again(started.id)
        assert (new.origin_id, new.origin_kind, new.version) == (source.pk, "rerun", 2)
        assert new.tags == {"team": "billing"}
        assert event_types(new.pk) == ["ExecutionStarted"]
        assert Event.objects.get(execution=new).payload == '{"order": 7}'
        assert AuditEntry.objects.filter(action="rerun_execution")[0].details["to"] == str(new.pk)

    def test_the_input_may_be_another_one(self) -> None:
        source = failed_at_its_second_step()
        new_id = rerun_execution(source.pk, actor=ACTOR, input_text='{"order": 8}').id
        assert Event.objects.get(execution_id=new_id).payload == '{"order": 8}'

    def test_an_unknown_execution_is_not_found(self) -> None:
        with pytest.raises(ExecutionNotFound):
            rerun_execution(uuid7(), actor=ACTOR)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def loser(self, first: Callable[[], Any], second: Callable[[], Any]) -> Exception | None:
        return race(first, second).error

    def test_of_two_redrives_one_is_refused(self) -> None:
        source = failed_at_its_second_step(name="order-7")

        def redrive() -> None:
            redrive_execution(source.pk, actor=ACTOR)

        assert isinstance(self.loser(redrive, redrive), ActionRefused)
        assert Execution.objects.filter(name="order-7").count() == 2

    def test_a_start_under_the_name_waits_for_the_redrive_and_finds_its_execution(self) -> None:
        source = failed_at_its_second_step(name="order-7")

        def start() -> UUID:
            return start_execution("orders", '{"order": 7}', actor=ACTOR, name="order-7").id

        other = race(lambda: redrive_execution(source.pk, actor=ACTOR), start)
        assert (other.error, other.result) == (None, again(source.pk).superseded_by)

    def test_an_answer_that_waits_for_a_redrive_reaches_the_new_execution(self) -> None:
        source = stopped_with_a_callback()
        old_id = callback_id_for(source.pk, "1")
        other = race(
            lambda: redrive_execution(source.pk, actor=ACTOR),
            lambda: complete_callback(old_id, actor=ACTOR, succeed="yes"),
        )
        assert other.error is None
        assert Callback.objects.get(status="SUCCEEDED").execution_id == again(source.pk).superseded_by
