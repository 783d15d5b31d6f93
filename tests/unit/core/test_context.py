from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.sdk import (
    CallbackConfig,
    ChildConfig,
    ChildContextError,
    DurableContext,
    Duration,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    ValidationError,
    durable_step,
)
from durable_engine.sdk.exceptions import InvalidStateError
from durable_engine.testing.runner import DurableFunctionTestRunner
from tests.unit.core.conftest import Run


@durable_step
def named_after_itself(step: StepContext) -> str:
    return "x"


def nothing(step: StepContext) -> None:
    return None


def test_names_come_from_the_argument_then_the_decorated_function_else_there_is_none(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.step(named_after_itself())
        context.step(named_after_itself(), "given")
        context.step(nothing)

    events = run(handler).events

    assert [event.name for event in events if event.event_type == "StepStarted"] == [
        "named_after_itself",
        "given",
        None,
    ]


def test_operations_are_numbered_by_their_context(run: Run) -> None:
    def body(child: DurableContext) -> None:
        child.step(nothing)
        child.run_in_child_context(lambda inner: inner.step(nothing))

    def handler(event: Any, context: DurableContext) -> None:
        context.step(nothing)
        context.run_in_child_context(body)
        context.run_in_child_context(lambda child: child.step(nothing), config=ChildConfig(is_virtual=True))

    events = run(handler).events
    started = [(event.operation_id, event.parent_id) for event in events if event.event_type.endswith("Started")]

    assert started[1:] == [("1", None), ("2", None), ("2-1", "2"), ("2-2", "2"), ("2-2-1", "2-2"), ("3-1", None)]


Call = Callable[[DurableContext], object]
WRONG_CALLS: list[tuple[Call, str]] = [
    (lambda context: context.wait(Duration(0)), "duration must be more than 0"),
    (lambda context: context.wait(5), "duration must be a Duration or a timedelta, not int"),  # type: ignore[arg-type]
    (lambda context: context.wait(Duration.from_days(367)), "duration must be at most 366 days"),
    (lambda context: context.step(None), r"func must be a function \(StepContext\)"),  # type: ignore[arg-type]
    (lambda context: context.step(nothing, config=CallbackConfig()), "config must be a StepConfig"),  # type: ignore[arg-type]
    (lambda context: context.step(nothing, "é"), "name: 'é' must be 1 to 256 printable ASCII"),
    (lambda context: context.step(nothing, "x" * 257), "name: 'x+' must be 1 to 256"),
    (lambda context: context.step(nothing, "a\nb"), r"name: 'a\\nb' must be 1 to 256"),
    (lambda context: context.wait(Duration(1), 7), "name: 7 must be"),  # type: ignore[arg-type]
    (lambda context: context.create_callback(config=StepConfig()), "config must be a CallbackConfig"),  # type: ignore[arg-type]
    (lambda context: context.wait_for_callback("x"), "submitter must be a function"),  # type: ignore[arg-type]
    (lambda context: context.run_in_child_context(3), r"func must be a function \(DurableContext\)"),  # type: ignore[arg-type]
    (lambda context: context.tag(order=object()), "order must be a number, or text"),  # type: ignore[arg-type]
    (lambda context: context.tag(order="x" * 257), "order must be a number, or text of at most 256 characters"),
    (lambda context: context.set_status_text(5), "text must be a string"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "problem"), WRONG_CALLS)
def test_wrong_arguments_are_refused_by_name_before_anything_is_recorded(run: Run, call: Call, problem: str) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        with pytest.raises(ValidationError, match=problem):
            call(context)
        context.step(nothing, "next")

    execution = run(handler)

    assert execution.status == "SUCCEEDED"
    assert [(event.operation_id, event.name) for event in execution.events[1:3]] == [("1", "next"), ("1", "next")]


IN_STEP: list[Call] = [
    lambda context: context.step(nothing, "inner"),
    lambda context: context.wait(Duration(1)),
    lambda context: context.create_callback(),
    lambda context: context.run_in_child_context(lambda child: None),
]


@pytest.mark.parametrize("call", IN_STEP, ids=["step", "wait", "callback", "child"])
def test_a_durable_operation_inside_a_step_body_fails_the_step_at_once_and_says_why(run: Run, call: Call) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.step(lambda step: call(context), "outer", StepConfig(RetryPresets.fixed()))

    execution = run(handler)

    failed = json.loads(next(event.error for event in execution.events if event.event_type == "StepFailed") or "")
    assert failed["ErrorType"] == "InvalidStateError"
    assert "inside the body of operation 1 'outer' (step)" in failed["ErrorMessage"]
    assert "run_in_child_context" in failed["ErrorMessage"]
    assert [event.operation_id for event in execution.events if event.operation_id] == ["1", "1"]


def test_asking_for_a_callbacks_result_inside_a_step_body_is_refused(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        callback = context.create_callback()
        with pytest.raises(StepError, match="inside the body of"):
            context.step(lambda step: callback.result())

    assert run(handler).status == "SUCCEEDED"


def test_a_thread_of_a_step_body_may_not_use_the_context_either(run: Run) -> None:
    caught: list[BaseException] = []

    def body(step: StepContext) -> None:
        def use() -> None:
            try:
                contexts[0].step(nothing)
            except InvalidStateError as error:
                caught.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()

    contexts: list[DurableContext] = []

    def handler(event: Any, context: DurableContext) -> None:
        contexts.append(context)
        context.step(body)

    assert run(handler).status == "SUCCEEDED"
    assert len(caught) == 1


def test_using_the_outer_context_inside_a_child_body_is_refused(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        with pytest.raises(ChildContextError, match=r"outer context inside the body of operation 1 'kid' \(context\)"):
            context.run_in_child_context(lambda child: context.step(nothing), "kid")
        context.step(nothing, "afterwards it is usable")

    assert run(handler).status == "SUCCEEDED"


def test_each_line_is_logged_once_over_all_replays(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def flaky(step: StepContext) -> None:
        step.logger.info("attempt %d", step.attempt)
        if step.attempt == 1:
            raise ValueError

    def body(child: DurableContext) -> None:
        child.logger.info("in child")
        child.wait(Duration(1))
        child.logger.info("child waited")
        child.step(nothing)

    def handler(event: Any, context: DurableContext) -> None:
        context.logger.info("begin")
        context.step(flaky, config=StepConfig(RetryPresets.fixed()))
        context.logger.info("after step")
        context.run_in_child_context(body)
        context.logger.info("after child")
        context.wait(Duration(1))
        context.logger.info("end")

    assert run(handler).status == "SUCCEEDED"
    assert [record.getMessage() for record in caplog.records] == [
        "begin",
        "attempt 1",
        "attempt 2",
        "after step",
        "in child",
        "child waited",
        "after child",
        "end",
    ]


def test_lines_between_a_callback_and_its_result_are_logged_once(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def handler(event: Any, context: DurableContext) -> None:
        callback = context.create_callback(config=CallbackConfig(timeout=Duration(5)))
        context.logger.info("opened")
        try:
            callback.result()
        except Exception:
            context.logger.exception("too late")

    execution = run(handler)
    execution.clock.advance(5)
    execution.fire_due()
    DurableFunctionTestRunner(execution.handler).drive(execution)

    assert execution.status == "SUCCEEDED"
    assert [record.getMessage() for record in caplog.records] == ["opened", "too late"]


def test_log_records_name_execution_operation_and_attempt(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    def handler(event: Any, context: DurableContext) -> None:
        context.logger.info("outside", extra={"order": 5})
        context.run_in_child_context(lambda child: child.step(lambda step: step.logger.info("inside"), "pay"))

    execution = run(handler)
    outside, inside = (vars(record) for record in caplog.records)

    assert outside["name"] == inside["name"] == "perdure.handler.test-handler"
    assert outside["executionArn"] == inside["executionArn"] == execution.id
    assert outside["order"] == 5
    assert (inside["operationId"], inside["operationName"], inside["parentId"], inside["attempt"]) == (
        "1-1",
        "pay",
        "1",
        1,
    )


def test_another_logger_may_stand_behind_the_context(run: Run) -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = logging.getLogger("tests.mine")
    logger.setLevel(logging.INFO)
    logger.addHandler(Lines())

    def handler(event: Any, context: DurableContext) -> None:
        context.set_logger(logger)
        context.logger.info("root")
        context.run_in_child_context(lambda child: child.logger.info("child"))

    run(handler)

    assert lines == ["root", "child"]


def test_the_handler_gets_its_input_decoded(run: Run) -> None:
    assert run(lambda event, context: event["n"] + 1, '{"n": 1}').events[-1].payload == "2"


def test_a_new_execution_whose_input_does_not_fit_fails_and_names_the_field(run: Run) -> None:
    schema = {"type": "object", "required": ["n"]}

    execution = run(lambda event, context: None, "{}", input=schema)

    assert (execution.status, execution.error_type) == ("FAILED", "ValidationError")
    assert execution.error_message == "input.n is missing"


def test_a_running_execution_whose_input_no_longer_fits_is_paused(run: Run) -> None:
    schema: dict[str, Any] = {"type": "object"}

    def handler(event: Any, context: DurableContext) -> None:
        schema["required"] = ["n"]
        context.wait(Duration(1))

    execution = run(handler, "{}", input=schema)

    assert (execution.status, execution.pause_kind) == ("PAUSED", "undecodable")
    assert "input.n is missing" in execution.pause_reason
