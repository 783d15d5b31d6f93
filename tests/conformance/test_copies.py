"""Redrive and rewind: what is kept never runs again, what is repeated runs once more, and the result is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from durable_engine.sdk import (
    CallbackConfig,
    DurableContext,
    Duration,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    WaitForCallbackConfig,
)
from tests.conformance.driver import Driver
from tests.conformance.handlers import handler_of
from tests.conformance.scenarios import line_of

ONCE = StepConfig(RetryPresets.none(), count_interrupted=False)
PATIENT = StepConfig(RetryPresets.fixed(Duration(60)))


@dataclass
class World:
    """What step bodies do to it, and whether it still refuses."""

    broken: bool = True
    ran: list[str] = field(default_factory=list)

    def step(self, name: str, *, fails: bool = False) -> Callable[[StepContext], str]:
        def body(step: StepContext) -> str:
            self.ran.append(name)
            if fails and self.broken:
                raise ValueError(f"{name} is broken")
            return name

        return body

    def mended(self) -> World:
        """Forget what ran so far, and refuse no longer."""
        self.broken = False
        self.ran.clear()
        return self


@pytest.fixture
def world() -> World:
    return World()


Handler = Callable[[Any, DurableContext], Any]


def linear(world: World) -> Handler:
    def handler(event: Any, context: DurableContext) -> list[str]:
        return [
            context.step(world.step("first"), "first"),
            context.step(world.step("second", fails=True), "second", ONCE),
            context.step(world.step("third"), "third"),
        ]

    return handler


def nested(world: World) -> Handler:
    def handler(event: Any, context: DurableContext) -> list[str]:
        def inner(child: DurableContext) -> list[str]:
            kept = child.step(world.step("inner first"), "inner first")
            return [kept, child.step(world.step("inner second", fails=True), "inner second", ONCE)]

        first = context.step(world.step("first"), "first")
        group = context.run_in_child_context(lambda outer: outer.run_in_child_context(inner, "inner"), "outer")
        return [first, *group, context.step(world.step("last"), "last")]

    return handler


def invoking(world: World) -> Handler:
    def handler(event: Any, context: DurableContext) -> Any:
        answer = context.invoke("charge", {"asks": True}, "charge")
        return [answer, context.step(world.step("last"), "last")]

    return handler


def run(runner: Driver, handler: Handler) -> None:
    runner.start(handler_of(handler))
    runner.drive()


def lines(runner: Driver) -> list[str]:
    assert [event.event_id for event in runner.events] == list(range(1, len(runner.events) + 1))
    return [line_of(event) for event in runner.events]


class TestRedrive:
    def test_completed_steps_are_kept_and_the_failed_one_runs_again(self, runner: Driver, world: World) -> None:
        run(runner, linear(world))
        assert (runner.status, world.ran) == ("FAILED", ["first", "second"])
        world.mended()
        runner.redrive()
        runner.drive()
        assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '["first", "second", "third"]')
        assert world.ran == ["second", "third"]
        assert lines(runner) == [
            "ExecutionStarted",
            "StepStarted Step first",
            "StepSucceeded Step first",
            "Inv",
            "StepStarted Step second",
            "StepSucceeded Step second",
            "StepStarted Step third",
            "StepSucceeded Step third",
            "Inv",
            "ExecutionSucceeded",
        ]

    def test_a_step_that_is_repeated_counts_its_attempts_from_one(self, runner: Driver, world: World) -> None:
        run(runner, linear(world))
        world.mended()
        runner.redrive()
        runner.drive()
        assert [event.attempt for event in runner.events if event.name == "second"] == [1, 1]

    def test_contexts_around_the_failure_go_on(self, runner: Driver, world: World) -> None:
        run(runner, nested(world))
        assert runner.status == "FAILED"
        world.mended()
        runner.redrive()
        runner.drive()
        assert runner.events[-1].payload == '["first", "inner first", "inner second", "last"]'
        assert world.ran == ["inner second", "last"]
        assert lines(runner).count("ContextStarted RunInChildContext outer") == 1
        assert "ContextFailed RunInChildContext outer" not in lines(runner)

    def test_when_the_handler_itself_failed_only_its_code_runs_again(self, runner: Driver, world: World) -> None:
        def handler(event: Any, context: DurableContext) -> str:
            first = context.step(world.step("first"), "first")
            if world.broken:
                raise RuntimeError("a mistake")
            return first

        run(runner, handler)
        world.mended()
        runner.redrive()
        runner.drive()
        assert (runner.status, runner.events[-1].payload, world.ran) == ("SUCCEEDED", '"first"', [])

    def test_when_a_childs_code_failed_only_that_code_runs_again(self, runner: Driver, world: World) -> None:
        def inner(child: DurableContext) -> str:
            kept = child.step(world.step("inner"), "inner")
            if world.broken:
                raise RuntimeError("a mistake")
            return kept

        run(runner, lambda event, context: context.run_in_child_context(inner, "kid"))
        world.mended()
        runner.redrive()
        runner.drive()
        assert (runner.status, runner.events[-1].payload, world.ran) == ("SUCCEEDED", '"inner"', [])

    def test_a_failure_that_the_handler_caught_stands(self, runner: Driver, world: World) -> None:
        def handler(event: Any, context: DurableContext) -> list[str]:
            try:
                context.step(world.step("primary", fails=True), "primary", ONCE)
            except StepError:
                way = context.step(world.step("fallback"), "fallback")
            return [way, context.step(world.step("last", fails=True), "last", ONCE)]

        run(runner, handler)
        world.mended()
        runner.redrive()
        runner.drive()
        assert (runner.events[-1].payload, world.ran) == ('["fallback", "last"]', ["last"])

    def test_what_was_stopped_in_a_wait_waits_on(self, runner: Driver, world: World) -> None:
        def handler(event: Any, context: DurableContext) -> list[str]:
            first = context.step(world.step("first"), "first")
            context.wait(Duration(60), "pause")
            context.create_callback("answer").result()
            return [first]

        run(runner, lambda event, context: [handler(event, context)])
        runner.stop()
        runner.redrive()
        runner.drive()
        assert lines(runner).count("CallbackStarted Callback answer") == 1
        runner.complete_callback("answer", result="yes")
        runner.drive()
        assert (runner.status, world.ran) == ("SUCCEEDED", ["first"])

    def test_a_timer_under_way_goes_on(self, runner: Driver, world: World) -> None:
        def handler(event: Any, context: DurableContext) -> str:
            opened = context.create_callback("answer", CallbackConfig(timeout=Duration(5)))
            context.wait(Duration(60), "pause")
            return str(opened.result())

        run(runner, handler)  # time does not pass over the open callback
        runner.stop()
        runner.redrive()
        runner.drive()
        runner.complete_callback("answer", result="yes")
        runner.drive()
        assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '"yes"')
        assert lines(runner).count("WaitSucceeded Wait pause") == 1

    def test_a_step_in_back_off_makes_its_next_attempt(self, runner: Driver, world: World) -> None:
        def handler(event: Any, context: DurableContext) -> str:
            opened = context.create_callback("answer", CallbackConfig(timeout=Duration(5)))
            step = context.step(world.step("flaky", fails=True), "flaky", PATIENT)
            return f"{step} {opened.result()}"

        run(runner, handler)
        runner.stop()
        world.mended()
        runner.redrive()
        runner.complete_callback("answer", result="yes")
        runner.drive()
        assert (runner.events[-1].payload, world.ran) == ('"flaky yes"', ["flaky"])
        assert [event.attempt for event in runner.events if event.name == "flaky"] == [1, 1, 2, 2]

    def test_a_failed_wait_for_callback_asks_again(self, runner: Driver, world: World) -> None:
        def handler(event: Any, context: DurableContext) -> Any:
            def submit(callback_id: str, submit: Any) -> None:
                world.ran.append("submit")

            return context.wait_for_callback(submit, "ask", WaitForCallbackConfig(timeout=Duration(60)))

        run(runner, handler)
        runner.complete_callback("ask create callback id", error='{"ErrorMessage": "not today"}')
        runner.drive()
        assert (runner.status, world.ran) == ("FAILED", ["submit"])
        world.mended()
        runner.redrive()
        runner.drive()
        assert world.ran == ["submit"]
        runner.complete_callback("ask create callback id", result="yes")
        runner.drive()
        assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '"yes"')

    def test_what_was_stopped_in_wait_for_callback_asks_again(self, runner: Driver, world: World) -> None:
        def handler(event: Any, context: DurableContext) -> Any:
            def submit(callback_id: str, submit: Any) -> None:
                world.ran.append("submit")

            first = context.step(world.step("first"), "first")
            return [first, context.wait_for_callback(submit, "ask")]

        run(runner, handler)
        runner.stop()
        world.mended()
        runner.redrive()
        runner.drive()
        assert world.ran == ["submit"]
        runner.complete_callback("ask create callback id", result="yes")
        runner.drive()
        assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '["first", "yes"]')

    def test_what_was_redriven_can_be_redriven_again(self, runner: Driver, world: World) -> None:
        run(runner, linear(world))
        runner.redrive()
        runner.drive()
        assert (runner.status, world.ran) == ("FAILED", ["first", "second", "second"])
        world.mended()
        runner.redrive()
        runner.drive()
        assert (runner.status, world.ran) == ("SUCCEEDED", ["second", "third"])

    @pytest.mark.parametrize("ends_first", [True, False])
    def test_what_it_invoked_goes_on_and_is_heard_by_the_redriven_one(
        self, runner: Driver, world: World, ends_first: bool
    ) -> None:
        run(runner, invoking(world))
        runner.stop()
        if ends_first:
            runner.complete_callback("second signature", result="signed")
            runner.drive()
        runner.redrive()
        runner.drive()
        if not ends_first:
            assert runner.status == "SUSPENDED"
            runner.complete_callback("second signature", result="signed")
            runner.drive()
        assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '["signed", "last"]')
        assert [line for line in lines(runner) if "ChainedInvoke" in line] == [
            "ChainedInvokeStarted ChainedInvoke charge",
            "ChainedInvokeSucceeded ChainedInvoke charge",
        ]

    def test_what_it_invoked_and_failed_is_invoked_again(self, runner: Driver, world: World) -> None:
        run(runner, invoking(world))
        runner.stop_child()
        runner.drive()
        assert runner.status == "FAILED"
        runner.redrive()
        runner.drive()
        runner.complete_callback("second signature", result="signed")
        runner.drive()
        assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '["signed", "last"]')


class TestRewind:
    def test_the_operation_and_what_came_after_it_run_again(self, runner: Driver, world: World) -> None:
        world.broken = False
        run(runner, linear(world))
        world.mended()
        runner.rewind("2")
        runner.drive()
        assert (runner.status, world.ran) == ("SUCCEEDED", ["second", "third"])
        assert runner.events[-1].payload == '["first", "second", "third"]'

    def test_before_the_first_operation_nothing_is_kept_but_the_input(self, runner: Driver, world: World) -> None:
        world.broken = False
        run(runner, linear(world))
        runner.rewind("1")
        assert lines(runner) == ["ExecutionStarted"]
        runner.drive()
        assert runner.events[-1].payload == '["first", "second", "third"]'

    def test_inside_a_context_what_came_before_is_kept_there_too(self, runner: Driver, world: World) -> None:
        world.broken = False
        run(runner, nested(world))
        world.mended()
        runner.rewind("2-1-2")
        runner.drive()
        assert world.ran == ["inner second", "last"]
        assert runner.events[-1].payload == '["first", "inner first", "inner second", "last"]'

    def test_a_paused_execution_goes_on_with_code_that_changed_after_that_place(
        self, runner: Driver, world: World
    ) -> None:
        names = ["second"]

        def handler(event: Any, context: DurableContext) -> list[str]:
            first = context.step(world.step("first"), "first")
            second = context.step(world.step(names[0]), names[0])
            return [first, second, str(context.create_callback("answer").result())]

        run(runner, handler)
        names[0] = "renamed"
        runner.complete_callback("answer", result="yes")
        runner.drive()
        assert (runner.status, runner.pause[0]) == ("PAUSED", "divergence")
        world.mended()
        runner.rewind("2")
        runner.drive()
        runner.complete_callback("answer", result="again")
        runner.drive()
        assert runner.events[-1].payload == '["first", "renamed", "again"]'
        assert world.ran == ["renamed"]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("event_id", range(5, 11))
@pytest.mark.parametrize("flushes_starts", [True, False])
def test_a_crash_at_any_event_of_a_redriven_execution_changes_nothing(
    runner: Driver, world: World, event_id: int, before: bool, flushes_starts: bool
) -> None:
    run(runner, linear(world))
    world.mended()
    runner.redrive()
    runner.flushes_starts = flushes_starts
    runner.crash_at(event_id, before=before)
    runner.drive()
    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '["first", "second", "third"]')
    assert lines(runner).count("StepSucceeded Step second") == 1
    assert "first" not in world.ran
