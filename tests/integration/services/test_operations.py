"""Operations that are given their outcome by hand, and waits that are skipped: rules, what is written, what goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine.models import AuditEntry, Callback, Event, Execution, Timer
from durable_engine.queries.executions import execution_revision
from durable_engine.queries.operations import operations_of
from durable_engine.sdk import (
    DurableContext,
    Duration,
    InvokeError,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    registry,
)
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import (
    ActionRefused,
    CallbackClosed,
    ExecutionNotFound,
    InvalidInput,
    OperationNotFound,
    StaleRevision,
)
from durable_engine.services.executions import pause_execution, resume_execution, stop_execution
from durable_engine.services.operations import complete_operation, skip_wait
from durable_engine.storage import children
from durable_engine.storage.connection import open_engine_connection
from tests.conformance import scenarios
from tests.conformance.handlers import handler_of
from tests.conformance.postgres_driver import PostgresDriver
from tests.factories import (
    add_event,
    event_types,
    make_back_off,
    make_callback,
    make_execution,
    make_running,
    make_timer,
)

ACTOR = Actor("ana", channel="dashboard")
ERROR = {"ErrorType": "Declined", "ErrorMessage": "no funds"}
PATIENT = StepConfig(RetryPresets.fixed(Duration(3600)))

pytestmark = pytest.mark.django_db


def again(execution: Execution) -> Execution:
    return Execution.objects.get(pk=execution.pk)


def waiting(**columns: Any) -> Execution:
    """An execution that waits for an hour."""
    execution = make_execution(status="SUSPENDED", **columns)
    about = {"operation_id": "1", "name": "pause", "subtype": "Wait", "details": {"duration_seconds": 3600}}
    add_event(execution, "WaitStarted", **about)
    make_timer(execution, "1", kind="wait")
    return execution


class TestSteps:
    def test_a_step_in_back_off_gets_a_result_and_the_execution_is_woken(self) -> None:
        execution = make_execution(status="SUSPENDED", wake_at=timezone.now())
        make_back_off(execution)
        complete_operation(execution.pk, "1", actor=ACTOR, result_text="[1, 2.5]", reason="paid in cash")
        event = Event.objects.get(execution=execution, event_type="StepSucceeded")
        assert (event.payload, event.name, event.subtype, event.attempt) == ("[1, 2.5]", "charge", "Step", 1)
        assert event.details == {"completed_by": "ana"}
        assert not Timer.objects.exists()
        assert (again(execution).status, again(execution).wake_at) == ("PENDING", None)
        entry = AuditEntry.objects.get(action="complete_operation")
        assert (entry.operation_id, entry.reason, entry.actor) == ("1", "paid in cash", "ana")

    def test_the_attempts_it_made_stay_as_they_were(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        complete_operation(execution.pk, "1", actor=ACTOR, result_text="1")
        (operation,) = operations_of(execution.pk)
        assert (operation.status, operation.completed_by) == ("SUCCEEDED", "ana")
        assert [attempt.status for attempt in operation.attempts] == ["FAILED"]

    def test_it_gets_an_error_too(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        complete_operation(execution.pk, "1", actor=ACTOR, error=ERROR)
        assert json.loads(Event.objects.get(event_id=4).error or "") == ERROR
        assert event_types(execution.pk)[-1] == "StepFailed"

    def test_one_that_was_cut_off_by_a_pause_can_be_completed(self) -> None:
        execution = make_execution()
        add_event(execution, "StepStarted", operation_id="1", name="charge", subtype="Step", attempt=1)
        make_running(execution)
        pause_execution(execution.pk, actor=ACTOR)
        complete_operation(execution.pk, "1", actor=ACTOR, result_text="1")
        assert (again(execution).status, event_types(execution.pk)[-1]) == ("PAUSED", "StepSucceeded")

    def test_while_the_execution_runs_it_is_refused(self) -> None:
        execution = make_execution()
        make_back_off(execution)
        make_running(execution)
        with pytest.raises(ActionRefused, match="Pause it first"):
            complete_operation(execution.pk, "1", actor=ACTOR, result_text="1")
        assert Timer.objects.count() == 1

    @pytest.mark.parametrize("text", ["{", "NaN", "\ud800", '"\\u0000' + "\x00" + '"', "1" * 262_145])
    def test_a_result_that_the_handler_could_not_read_is_refused(self, text: str) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        with pytest.raises(InvalidInput) as refused:
            complete_operation(execution.pk, "1", actor=ACTOR, result_text=text)
        assert refused.value.field == "result"
        assert Timer.objects.count() == 1

    def test_a_result_and_an_error_at_once_are_refused(self) -> None:
        with pytest.raises(InvalidInput, match="not both"):
            complete_operation(uuid7(), "1", actor=ACTOR, result_text="1", error=ERROR)


class TestOthers:
    def test_a_callback_gets_the_text_as_from_outside(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_callback(execution)
        complete_operation(execution.pk, "1", actor=ACTOR, result_text="as it is")
        assert Event.objects.get(event_type="CallbackSucceeded").payload == "as it is"
        assert (Callback.objects.get().status, Callback.objects.get().completed_by) == ("SUCCEEDED", "ana")

    def test_a_wait_is_over(self) -> None:
        execution = waiting()
        complete_operation(execution.pk, "1", actor=ACTOR)
        assert again(execution).status == "PENDING"
        assert Timer.objects.get().due_at <= timezone.now()

    def test_a_wait_has_no_result(self) -> None:
        with pytest.raises(InvalidInput, match="neither"):
            complete_operation(waiting().pk, "1", actor=ACTOR, result_text="1")

    def test_a_context_is_not_completed_by_hand(self) -> None:
        execution = make_execution()
        add_event(execution, "ContextStarted", operation_id="1", subtype="RunInChildContext")
        with pytest.raises(ActionRefused, match=r"context.*its id begins with 1-"):
            complete_operation(execution.pk, "1", actor=ACTOR)

    def test_of_an_invoke_the_child_goes_on_and_its_parent_is_not_told(self) -> None:
        parent = make_execution(status="SUSPENDED")
        add_event(parent, "ChainedInvokeStarted", operation_id="1", name="charge", subtype="ChainedInvoke")
        child = make_execution(status="SUSPENDED", parent_execution_id=parent.pk, parent_operation_id="1")
        complete_operation(parent.pk, "1", actor=ACTOR, result_text="1")
        assert event_types(parent.pk)[-1] == "ChainedInvokeSucceeded"
        stop_execution(child.pk, actor=ACTOR)
        assert children.tell_parent_from_outside(child.pk) is None
        assert event_types(parent.pk)[-1] == "ChainedInvokeSucceeded"


class TestSkip:
    @pytest.mark.parametrize("status", ["SUSPENDED", "RUNNING", "PENDING"])
    def test_the_timer_is_due_at_once(self, status: str) -> None:
        execution = waiting()
        Execution.objects.filter(pk=execution.pk).update(status=status)
        skip_wait(execution.pk, "1", actor=ACTOR, reason="no need")
        assert Timer.objects.get().due_at <= timezone.now()
        assert again(execution).signal == execution.signal + 1
        assert AuditEntry.objects.get(action="skip_wait").reason == "no need"

    def test_what_is_no_wait_under_way_is_refused(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        for operation_id in ("1", "7"):
            with pytest.raises(ActionRefused, match="isn't a wait"):
                skip_wait(execution.pk, operation_id, actor=ACTOR)


class TestRefusals:
    def test_what_has_ended_is_not_changed(self) -> None:
        execution = make_execution(status="FAILED")
        for act in (complete_operation, skip_wait):
            with pytest.raises(ActionRefused, match="it has ended and is FAILED"):
                act(execution.pk, "1", actor=ACTOR)

    def test_an_outcome_is_given_once(self) -> None:
        execution = make_execution(status="SUSPENDED")
        make_back_off(execution)
        complete_operation(execution.pk, "1", actor=ACTOR, result_text="1")
        with pytest.raises(ActionRefused, match="SUCCEEDED"):
            complete_operation(execution.pk, "1", actor=ACTOR, result_text="2")

    def test_what_does_not_exist_is_not_found(self) -> None:
        with pytest.raises(ExecutionNotFound):
            complete_operation(uuid7(), "1", actor=ACTOR)
        with pytest.raises(OperationNotFound):
            complete_operation(make_execution().pk, "1", actor=ACTOR)

    def test_what_somebody_saw_must_still_be_so(self) -> None:
        execution = waiting()
        seen = execution_revision(execution.pk)
        skip_wait(execution.pk, "1", actor=ACTOR)
        with pytest.raises(StaleRevision):
            skip_wait(execution.pk, "1", actor=ACTOR, seen_revision=seen)

    def test_a_callback_that_is_closed_is_refused_as_such(self) -> None:
        execution = make_execution()
        make_callback(execution, status="CANCELLED")
        with pytest.raises(CallbackClosed):
            complete_operation(execution.pk, "1", actor=ACTOR)


@pytest.mark.django_db(transaction=True)
class TestHandlersGoOn:
    @pytest.fixture
    def driver(self) -> Iterator[PostgresDriver]:
        driver = PostgresDriver()
        yield driver
        driver.close()

    def test_from_the_result_of_a_step(self, driver: PostgresDriver) -> None:
        ran = []

        def flaky(step: StepContext) -> str:
            ran.append(step.attempt)
            raise ValueError("no luck")

        def handler(event: Any, context: DurableContext) -> Any:
            context.create_callback("hold")  # time stands still while it is open
            return context.step(flaky, "flaky", PATIENT)

        driver.start(handler_of(handler))
        driver._invoke(driver.execution)
        complete_operation(driver.execution_id, "2", actor=ACTOR, result_text='{"by": "hand"}')
        driver.drive()
        assert (driver.status, driver.events[-1].payload, ran) == ("SUCCEEDED", '{"by": "hand"}', [1])

    def test_from_the_error_of_a_step(self, driver: PostgresDriver) -> None:
        def handler(event: Any, context: DurableContext) -> Any:
            try:
                context.step(lambda step: 1 / 0, "flaky", PATIENT)
            except StepError as error:
                return [error.error_type, str(error)]

        driver.start(handler_of(handler))
        driver._invoke(driver.execution)
        complete_operation(driver.execution_id, "1", actor=ACTOR, error=ERROR)
        driver.drive()
        assert json.loads(driver.events[-1].payload or "") == ["Declined", "no funds"]

    def test_from_a_skipped_wait_after_a_pause(self, driver: PostgresDriver) -> None:
        def handler(event: Any, context: DurableContext) -> str:
            context.wait(Duration(3600), "pause")
            return "on"

        driver.start(handler_of(handler))
        driver._invoke(driver.execution)
        pause_execution(driver.execution_id, actor=ACTOR)
        skip_wait(driver.execution_id, "1", actor=ACTOR)
        assert driver.status == "PAUSED"
        resume_execution(driver.execution_id, actor=ACTOR)
        driver._invoke(driver.execution)
        assert (driver.status, driver.events[-1].payload) == ("SUCCEEDED", '"on"')

    def test_from_the_outcome_of_an_invoke(self, driver: PostgresDriver) -> None:
        def handler(event: Any, context: DurableContext) -> Any:
            try:
                context.invoke("charge", {"asks": True}, "charge")
            except InvokeError as error:
                return str(error)

        registry.register(scenarios.charge)
        driver.start(handler_of(handler))
        driver._invoke(driver.execution)
        complete_operation(driver.execution_id, "1", actor=ACTOR, error=ERROR)
        driver._invoke(driver.execution)
        with open_engine_connection() as engine:
            child = Execution.objects.get(parent_execution_id=driver.execution_id)
            stop_execution(child.pk, actor=ACTOR)
            assert children.tell_parent(engine, child.pk) is None
        assert (driver.status, driver.events[-1].payload) == ("SUCCEEDED", '"no funds"')
