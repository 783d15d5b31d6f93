"""Attempts whose process died: who runs again, what counts, and when it ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.sdk import (
    DurableContext,
    DurableHandler,
    Duration,
    RetryDecision,
    RetryPresets,
    RetryStrategyConfig,
    StepConfig,
    StepContext,
    StepError,
    StepSemantics,
    create_retry_strategy,
    registry,
)
from durable_engine.sdk.execution import durable_execution
from durable_engine.testing.crashes import SimulatedCrash
from tests.conformance.driver import Driver
from tests.conformance.scenarios import line_of

AT_MOST_ONCE = StepSemantics.AT_MOST_ONCE_PER_RETRY
FIXED = RetryPresets.fixed(Duration(1))


def dying_step(config: StepConfig, deaths: int) -> tuple[DurableHandler, list[int]]:
    """Return a handler whose step kills the process so many times, and the attempts its body saw."""
    attempts: list[int] = []

    def body(step: StepContext) -> str:
        attempts.append(step.attempt)
        if len(attempts) <= deaths:
            raise SimulatedCrash
        return "done"

    def dying(event: Any, context: DurableContext) -> Any:
        return context.step(body, "dying", config)

    with registry.isolated():
        return durable_execution(name="dying")(dying), attempts


def run(runner: Driver, handler: DurableHandler, *, flushes_starts: bool = True) -> list[str]:
    runner.flushes_starts = flushes_starts
    runner.start(handler)
    runner.drive()
    return [line_of(event).removesuffix(" Step dying") for event in runner.events][1:]


def test_at_least_once_body_runs_again_without_a_second_start_and_the_attempt_counts(runner: Driver) -> None:
    handler, attempts = dying_step(StepConfig(FIXED), deaths=1)

    assert run(runner, handler) == ["StepStarted", "Inv", "StepSucceeded", "Inv", "ExecutionSucceeded"]
    assert attempts == [1, 2]
    interrupted = runner.events[2]
    assert json.loads(interrupted.error or "")["ErrorType"] == "Runtime.ExitError"
    assert runner.events[3].attempt == 2


def test_a_start_that_never_became_durable_does_not_count(runner: Driver) -> None:
    handler, attempts = dying_step(StepConfig(FIXED), deaths=1)

    assert run(runner, handler, flushes_starts=False) == [
        "Inv",
        "StepStarted",
        "StepSucceeded",
        "Inv",
        "ExecutionSucceeded",
    ]
    assert attempts == [1, 1]


def test_after_a_crash_starts_are_durable_before_the_body_so_the_second_one_counts(runner: Driver) -> None:
    handler, attempts = dying_step(StepConfig(FIXED), deaths=2)

    assert run(runner, handler, flushes_starts=False) == [
        "Inv",
        "StepStarted",
        "Inv",
        "StepSucceeded",
        "Inv",
        "ExecutionSucceeded",
    ]
    assert attempts == [1, 1, 2]


def test_interrupted_attempts_use_up_the_strategy(runner: Driver) -> None:
    strategy = create_retry_strategy(RetryStrategyConfig(max_attempts=3))
    handler, attempts = dying_step(StepConfig(strategy), deaths=99)

    assert run(runner, handler) == [
        "StepStarted",
        "Inv",
        "Inv",
        "Inv",
        "StepFailed",
        "Inv",
        "ExecutionFailed",
    ]
    assert attempts == [1, 2, 3]
    failed = runner.events[-3]
    assert json.loads(failed.error or "")["ErrorType"] == "StepInterruptedError"
    assert failed.attempt == 3
    assert json.loads(runner.events[-1].error or "")["ErrorType"] == "StepError"


def test_error_filters_of_the_strategy_do_not_apply_to_interruptions(runner: Driver) -> None:
    strategy = create_retry_strategy(RetryStrategyConfig(max_attempts=3, retryable_error_types=[KeyError]))
    handler, attempts = dying_step(StepConfig(strategy), deaths=2)

    run(runner, handler)

    assert runner.status == "SUCCEEDED"
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize(("retries", "status"), [(True, "SUCCEEDED"), (False, "FAILED")])
def test_a_strategy_of_ones_own_is_asked_about_the_interruption(runner: Driver, retries: bool, status: str) -> None:
    asked: list[tuple[str, int]] = []

    def strategy(error: Exception, attempts_made: int) -> RetryDecision:
        asked.append((type(error).__name__, attempts_made))
        return RetryDecision(retries)

    handler, _ = dying_step(StepConfig(strategy), deaths=1)

    run(runner, handler)

    assert runner.status == status
    assert asked == [("StepInterruptedError", 1)]


def test_interruptions_that_are_not_counted_leave_the_attempt_as_it_was(runner: Driver) -> None:
    handler, attempts = dying_step(StepConfig(RetryPresets.none(), count_interrupted=False), deaths=3)

    run(runner, handler)

    assert runner.status == "SUCCEEDED"
    assert attempts == [1, 1, 1, 1]


def test_at_most_once_body_is_not_run_again_by_the_replay_but_by_its_strategy(runner: Driver) -> None:
    handler, attempts = dying_step(StepConfig(FIXED, AT_MOST_ONCE), deaths=1)

    assert run(runner, handler, flushes_starts=False) == [
        "StepStarted",
        "Inv",
        "StepFailed",
        "Inv",
        "StepStarted",
        "StepSucceeded",
        "Inv",
        "ExecutionSucceeded",
    ]
    assert attempts == [1, 2]
    failed = runner.events[3]
    assert json.loads(failed.error or "")["ErrorType"] == "StepInterruptedError"
    assert (failed.attempt, failed.details) == (1, {"next_attempt_delay_seconds": 1})


def test_at_most_once_without_retries_never_runs_twice(runner: Driver) -> None:
    handler, attempts = dying_step(StepConfig(RetryPresets.none(), AT_MOST_ONCE), deaths=1)

    assert run(runner, handler, flushes_starts=False) == [
        "StepStarted",
        "Inv",
        "StepFailed",
        "Inv",
        "ExecutionFailed",
    ]
    assert attempts == [1]


def test_a_poison_step_is_paused_after_five_claims_without_progress(runner: Driver) -> None:
    handler, attempts = dying_step(StepConfig(RetryPresets.critical()), deaths=99)

    run(runner, handler, flushes_starts=False)

    assert runner.status == "PAUSED"
    assert runner.pause[0] == "crashes"
    assert attempts == [1, 1, 2, 3, 4]


def test_recording_an_interruption_is_no_progress(runner: Driver) -> None:
    def die(step: StepContext) -> None:
        raise SimulatedCrash

    def handler(event: Any, context: DurableContext) -> None:
        for _ in range(20):
            with contextlib.suppress(StepError):
                context.step(die, "dying", StepConfig(RetryPresets.none(), AT_MOST_ONCE))

    with registry.isolated():
        made = durable_execution(name="ever-dying")(handler)

    lines = run(runner, made)

    assert (runner.status, runner.pause[0]) == ("PAUSED", "crashes")
    assert lines.count("StepStarted") == 5


def test_completed_steps_before_the_crash_do_not_run_again(runner: Driver) -> None:
    ran: list[str] = []

    def once(label: str, crash: Callable[[], bool] = lambda: False) -> Callable[[StepContext], str]:
        def body(step: StepContext) -> str:
            ran.append(label)
            if crash():
                raise SimulatedCrash
            return label

        return body

    def two_steps(event: Any, context: DurableContext) -> Any:
        return [context.step(once("first")), context.step(once("second", lambda: ran.count("second") == 1))]

    with registry.isolated():
        handler = durable_execution(name="two-steps")(two_steps)

    run(runner, handler)

    assert ran == ["first", "second", "second"]
    assert runner.events[-1].payload == '["first", "second"]'
