"""Fork, pause and resume: what the copy repeats, what the original keeps, and what a pause costs, which is nothing."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from durable_engine.sdk import CallbackConfig, DurableContext, Duration, StepContext
from durable_engine.services.exceptions import ActionRefused
from durable_engine.testing.memory_execution import NotPossible
from tests.conformance.driver import Driver
from tests.conformance.handlers import handler_of
from tests.conformance.test_copies import Handler, World, linear, lines, nested, run

DONE = ("SUCCEEDED", '["first", "second", "third"]')


@pytest.fixture
def world() -> World:
    return World(broken=False)


def outcome(runner: Driver) -> tuple[str, str | None]:
    return runner.status, runner.events[-1].payload


def asking(world: World) -> Handler:
    def handler(event: Any, context: DurableContext) -> list[str]:
        first = context.step(world.step("first"), "first")
        answer = context.create_callback("answer", CallbackConfig(timeout=Duration(600))).result()
        context.wait(Duration(60), "pause")
        return [first, str(answer), context.step(world.step("last"), "last")]

    return handler


class TestFork:
    def test_the_copy_repeats_the_operation_and_what_followed_and_the_original_stays(
        self, runner: Driver, world: World
    ) -> None:
        run(runner, linear(world))
        original = list(runner.events)
        world.mended()
        runner.fork("2")
        runner.drive()
        assert (*outcome(runner), world.ran) == (*DONE, ["second", "third"])
        assert lines(runner)[3:6] == ["Inv", "StepStarted Step second", "StepSucceeded Step second"]
        runner.swap()
        assert list(runner.events) == original

    def test_inside_a_context_what_came_before_is_kept_there_too(self, runner: Driver, world: World) -> None:
        run(runner, nested(world))
        world.mended()
        runner.fork("2-1-2")
        runner.drive()
        assert world.ran == ["inner second", "last"]
        assert outcome(runner) == ("SUCCEEDED", '["first", "inner first", "inner second", "last"]')

    def test_a_live_one_and_its_copy_go_on_each_by_itself(self, runner: Driver, world: World) -> None:
        run(runner, asking(world))
        runner.fork("2")
        runner.drive()
        runner.complete_callback("answer", result="to the copy")
        runner.drive()
        assert outcome(runner) == ("SUCCEEDED", '["first", "to the copy", "last"]')
        runner.swap()
        assert runner.status == "SUSPENDED"
        runner.complete_callback("answer", result="to the original")
        runner.drive()
        assert outcome(runner) == ("SUCCEEDED", '["first", "to the original", "last"]')
        assert world.ran == ["first", "last", "last"]

    def test_a_crash_at_any_event_of_the_copy_changes_nothing(self, runner: Driver, world: World) -> None:
        for event_id, before in product(range(5, 11), (True, False)):
            run(runner, linear(world))
            world.mended()
            runner.fork("2")
            runner.crash_at(event_id, before=before)
            runner.drive()
            assert outcome(runner) == DONE
            assert lines(runner).count("StepSucceeded Step second") == 1
            assert "first" not in world.ran


class TestPause:
    @pytest.mark.parametrize("flushes_starts", [True, False])
    def test_what_runs_is_cut_off_and_runs_again_as_the_same_attempt(
        self, runner: Driver, flushes_starts: bool
    ) -> None:
        attempts: list[int] = []

        def body(step: StepContext) -> str:
            attempts.append(step.attempt)
            if len(attempts) == 1:
                runner.pause_it()
            return "done"

        runner.flushes_starts = flushes_starts
        run(runner, lambda event, context: context.step(body, "work"))
        assert (runner.status, runner.pause[0], lines(runner)[-1]) == ("PAUSED", "operator", "Inv")
        assert runner.events[-1].error is None, "a pause is no crash"
        runner.resume()
        runner.drive()
        assert (*outcome(runner), attempts) == ("SUCCEEDED", '"done"', [1, 1])

    def test_nothing_happens_until_it_is_resumed(self, runner: Driver, world: World) -> None:
        runner.start(handler_of(linear(world)))
        runner.pause_it()
        runner.drive()
        assert (runner.status, world.ran) == ("PAUSED", [])
        runner.resume()
        runner.drive()
        assert outcome(runner) == DONE

    def test_an_answer_that_comes_meanwhile_is_found_afterwards(self, runner: Driver, world: World) -> None:
        run(runner, asking(world))
        runner.pause_it()
        runner.complete_callback("answer", result="yes")
        runner.drive()
        assert (runner.status, world.ran) == ("PAUSED", ["first"])
        runner.resume()
        runner.drive()
        assert (*outcome(runner), world.ran) == ("SUCCEEDED", '["first", "yes", "last"]', ["first", "last"])

    def test_each_is_refused_where_it_does_not_apply(self, runner: Driver, world: World) -> None:
        run(runner, asking(world))
        with pytest.raises((NotPossible, ActionRefused)):
            runner.resume()
        runner.pause_it()
        with pytest.raises((NotPossible, ActionRefused)):
            runner.pause_it()
        runner.stop()
        with pytest.raises((NotPossible, ActionRefused)):
            runner.resume()
        assert runner.status == "STOPPED"

    def test_a_crash_at_any_event_after_the_resume_changes_nothing(self, runner: Driver, world: World) -> None:
        for event_id, before in product(range(7, 14), (True, False)):
            world.ran.clear()
            run(runner, asking(world))
            runner.pause_it()
            runner.complete_callback("answer", result="yes")
            runner.resume()
            runner.crash_at(event_id, before=before)
            runner.drive()
            assert outcome(runner) == ("SUCCEEDED", '["first", "yes", "last"]')
            assert lines(runner).count("StepSucceeded Step last") == 1
            assert world.ran.count("first") == 1
