"""Rows of the AWS SDK's semantics that no worked sequence shows. `README.md` here says which test shows which row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from durable_engine.sdk import (
    BatchResult,
    ChildConfig,
    ChildContextError,
    CompletionConfig,
    DurableContext,
    Duration,
    ExecutionError,
    InvocationError,
    JsonSerDes,
    MapConfig,
    NestingType,
    RetryableSerDesError,
    RetryPresets,
    SerDes,
    SerDesContext,
    StepConfig,
    StepContext,
    StepError,
    StepSemantics,
    WaitForConditionConfig,
    WaitForConditionDecision,
)
from durable_engine.testing.crashes import SimulatedCrash
from tests.conformance.driver import Driver
from tests.conformance.handlers import error_of, run
from tests.conformance.scenarios import line_of

ONCE = StepConfig(RetryPresets.none())


def operations(runner: Driver) -> list[str]:
    return [line_of(event) for event in runner.events if event.operation_id]


def crashed(runner: Driver) -> int:
    ends = [event for event in runner.events if event.event_type == "InvocationCompleted"]
    return sum(event.error is not None for event in ends)


class FirstTime:
    """Raises once, then returns."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.calls = 0

    def __call__(self, *_: Any) -> str:
        self.calls += 1
        if self.calls == 1:
            raise self.error
        return "done"


# Errors that ask for something else than a failure


def test_an_invocation_error_in_a_step_body_is_up_to_the_strategy(runner: Driver) -> None:
    body = FirstTime(InvocationError("the storage is away"))

    run(runner, lambda event, context: context.step(body, "work", StepConfig(RetryPresets.fixed(Duration(1)))))

    assert runner.events[-1].payload == '"done"'
    kinds = [line.split()[0] for line in operations(runner)]
    assert kinds == ["StepStarted", "StepFailed", "StepStarted", "StepSucceeded"]
    assert crashed(runner) == 0


def test_an_invocation_error_in_a_child_body_is_no_outcome_of_it(runner: Driver) -> None:
    for is_virtual in (False, True):
        body = FirstTime(InvocationError("the storage is away"))
        config: ChildConfig[str] = ChildConfig(is_virtual=is_virtual)

        run(runner, lambda event, context: context.run_in_child_context(body, "kid", config))  # noqa: B023 - as below

        assert (runner.events[-1].payload, body.calls, crashed(runner)) == ('"done"', 2, 1)
        assert not any(line.startswith("ContextFailed") for line in operations(runner))


def test_an_invocation_error_in_a_check_leaves_its_state_as_it_was(runner: Driver) -> None:
    states: list[int] = []

    def check(state: int, context: Any) -> int:
        states.append(state)
        if states == [0, 1]:
            raise InvocationError("the storage is away")
        return state + 1

    def strategy(state: int, attempt: int) -> WaitForConditionDecision:
        return WaitForConditionDecision.continue_waiting(Duration(1)) if state < 2 else _STOP

    run(runner, lambda event, context: context.wait_for_condition(check, WaitForConditionConfig(strategy, 0)))

    assert (runner.events[-1].payload, states, crashed(runner)) == ("2", [0, 1, 1], 1)
    assert not any(line.startswith("StepFailed") for line in operations(runner))


_STOP = WaitForConditionDecision.stop_polling()


def test_an_execution_error_inside_a_child_can_be_caught_around_it(runner: Driver) -> None:
    def body(child: DurableContext) -> None:
        raise ExecutionError("no point")

    def handler(event: Any, context: DurableContext) -> Any:
        try:
            context.run_in_child_context(body, "kid")
        except ChildContextError as error:
            return [error.error_type, str(error)]

    run(runner, handler)

    assert runner.events[-1].payload == '["ExecutionError", "no point"]'


def test_the_failure_of_a_virtual_child_is_a_child_error_too(runner: Driver) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        def body(child: DurableContext) -> None:
            child.step(FirstTime(ValueError("broken")), "inner", ONCE)

        try:
            context.run_in_child_context(body, "kid", ChildConfig(is_virtual=True))
        except ChildContextError as error:
            context.wait(Duration(1))
            return [error.error_type, str(error)]

    run(runner, handler)

    assert runner.events[-1].payload == '["StepError", "broken"]'
    assert operations(runner)[:2] == ["StepStarted Step inner", "StepFailed Step inner"]


# Steps and waits


def test_at_most_once_with_the_default_strategy_does_run_again_after_an_interruption(runner: Driver) -> None:
    attempts: list[int] = []

    def dies_once(step: StepContext) -> str:
        attempts.append(step.attempt)
        if len(attempts) == 1:
            raise SimulatedCrash
        return "done"

    config = StepConfig(step_semantics=StepSemantics.AT_MOST_ONCE_PER_RETRY)
    run(runner, lambda event, context: context.step(dies_once, "work", config))

    assert (runner.events[-1].payload, attempts) == ('"done"', [1, 2])


def test_a_step_without_a_result_returns_none_on_the_first_run_and_on_replay(runner: Driver) -> None:
    seen: list[Any] = []

    def handler(event: Any, context: DurableContext) -> None:
        seen.append(context.step(lambda step: None, "nothing"))
        seen.append(context.wait(Duration(1), "pause"))
        context.wait(Duration(1))

    run(runner, handler)

    assert seen == [None] * 5


def test_a_step_that_fails_raises_the_same_from_its_record_as_at_first(runner: Driver) -> None:
    seen: list[Any] = []

    def fail(step: StepContext) -> None:
        raise ValueError("broken")

    def handler(event: Any, context: DurableContext) -> None:
        try:
            context.step(fail, "work", ONCE)
        except StepError as error:
            seen.append([error.error_type, error.message, error.data, repr(error.__cause__), error.stack_trace])
        context.wait(Duration(1))

    run(runner, handler)

    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert seen[0][:2] == ["ValueError", "broken"]


# Batches


class Marked(SerDes[Any]):
    """Says what it was given."""

    def serialize(self, value: Any, serdes_context: SerDesContext) -> str:
        if isinstance(value, BatchResult):
            return json.dumps({"batch": value.to_dict()})
        return json.dumps({"item": value})

    def deserialize(self, data: str, serdes_context: SerDesContext) -> Any:
        found = json.loads(data)
        return BatchResult.from_dict(found["batch"]) if "batch" in found else found["item"]


def item(context: DurableContext, value: int, index: int, values: Sequence[int]) -> int:
    return 2 * value


def payloads(runner: Driver, subtype: str) -> list[str]:
    found = [event for event in runner.events if event.subtype == subtype and event.event_type == "ContextSucceeded"]
    return sorted(event.payload or "" for event in found)


def test_a_serdes_alone_is_for_the_items_and_the_batch(runner: Driver) -> None:
    run(runner, lambda event, context: context.map([1, 2], item, "m", MapConfig(serdes=Marked())).get_results())

    assert runner.events[-1].payload == "[2, 4]"
    assert payloads(runner, "MapIteration") == ['{"item": 2}', '{"item": 4}']
    assert [json.loads(text)["batch"]["completionReason"] for text in payloads(runner, "Map")] == ["ALL_COMPLETED"]


def test_an_item_serdes_is_for_the_items_alone(runner: Driver) -> None:
    run(runner, lambda event, context: context.map([1], item, "m", MapConfig(item_serdes=Marked())).get_results())

    assert runner.events[-1].payload == "[2]"
    assert payloads(runner, "MapIteration") == ['{"item": 2}']
    assert '"t": "br"' in (payloads(runner, "Map")[0])


@pytest.mark.parametrize("nesting", list(NestingType))
def test_the_error_of_an_item_has_the_type_that_escaped_its_branch(runner: Driver, nesting: NestingType) -> None:
    def fails(context: DurableContext, value: int, index: int, values: Sequence[int]) -> None:
        if value == 1:
            raise LookupError("nothing there")
        context.step(FirstTime(ValueError("broken")), f"step {value}", ONCE)

    def handler(event: Any, context: DurableContext) -> Any:
        config = MapConfig(completion_config=CompletionConfig.all_completed(), nesting_type=nesting)
        batch = context.map([1, 2], fails, "m", config)
        context.wait(Duration(1))
        return [[error.type, error.message] for error in batch.get_errors()]

    run(runner, handler)

    assert runner.events[-1].payload == '[["LookupError", "nothing there"], ["StepError", "broken"]]'


def test_the_context_of_a_failed_batch_has_succeeded(runner: Driver) -> None:
    def fails(context: DurableContext) -> None:
        raise LookupError("nothing there")

    run(runner, lambda event, context: context.parallel([fails], "all").throw_if_error())

    assert operations(runner)[-2:] == [
        "ContextFailed ParallelBranch parallel-branch-0",
        "ContextSucceeded Parallel all",
    ]
    assert error_of(runner)["ErrorType"] == "ChildContextError"


# Values


class AwayOnce(JsonSerDes):
    """Its store cannot be reached at first."""

    calls = 0

    def serialize(self, value: Any, serdes_context: SerDesContext) -> str:
        self.calls += 1
        if self.calls == 1:
            raise RetryableSerDesError("the bucket is away")
        return super().serialize(value, serdes_context)


def test_a_serdes_whose_store_is_away_for_a_moment_fails_the_invocation_and_nothing_else(runner: Driver) -> None:
    def in_step(context: DurableContext, serdes: AwayOnce) -> Any:
        return context.step(lambda step: 1, "work", StepConfig(serdes=serdes))

    def in_child(context: DurableContext, serdes: AwayOnce) -> Any:
        return context.run_in_child_context(lambda child: 1, "kid", ChildConfig(serdes=serdes))

    def in_branch(context: DurableContext, serdes: AwayOnce) -> Any:
        return context.map([1], lambda child, *_: 1, "m", MapConfig(item_serdes=serdes)).get_results()[0]

    def in_condition(context: DurableContext, serdes: AwayOnce) -> Any:
        condition = WaitForConditionConfig[int](lambda state, attempt: _STOP, 1, serdes)
        return context.wait_for_condition(lambda state, check: state, condition)

    for function in (in_step, in_child, in_branch, in_condition):
        serdes = AwayOnce()

        run(runner, lambda event, context: function(context, serdes))  # noqa: B023 - it has run when the loop goes on

        assert (runner.status, runner.events[-1].payload, crashed(runner)) == ("SUCCEEDED", "1", 1)
        assert not any("Failed" in line for line in operations(runner))
