from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from durable_engine.core.ports import RecordedEvent
from durable_engine.sdk import (
    DurableContext,
    Duration,
    InvalidStateError,
    JsonSerDes,
    ValidationError,
    WaitForConditionCheckContext,
    WaitForConditionConfig,
    WaitForConditionDecision,
    WaitForConditionError,
    WaitStrategyConfig,
    create_wait_strategy,
)
from durable_engine.sdk.config import JitterStrategy
from durable_engine.testing.memory_execution import MemoryExecution
from tests.unit.core.conftest import Run

GO_ON = WaitForConditionDecision.continue_waiting(Duration(0.5))
STOP = WaitForConditionDecision.stop_polling()


def result_of(execution: MemoryExecution) -> Any:
    assert execution.status == "SUCCEEDED", execution.events[-1]
    return json.loads(execution.events[-1].payload or "null")


def polls(execution: MemoryExecution) -> list[RecordedEvent]:
    return [event for event in execution.events if event.event_type in ("StepSucceeded", "StepFailed")]


def test_each_check_and_the_strategy_see_what_was_recorded_of_the_one_before(run: Run) -> None:
    checked: list[Any] = []
    judged: list[Any] = []

    def check(state: Any, context: WaitForConditionCheckContext) -> Any:
        checked.append((context.attempt, state))
        return (*state, context.attempt)

    def strategy(state: Any, attempt: int) -> WaitForConditionDecision:
        judged.append((attempt, state))
        return GO_ON if attempt < 3 else STOP

    def handler(event: Any, context: DurableContext) -> Any:
        # JSON has no tuples, so a state that was handed on as it is would show.
        config = WaitForConditionConfig[Any](strategy, (0,), serdes=JsonSerDes())
        return context.wait_for_condition(check, config, "look")

    assert result_of(run(handler)) == [0, 1, 2, 3]
    assert checked == [(1, [0]), (2, [0, 1]), (3, [0, 1, 2])]
    assert judged == [(1, [0, 1]), (2, [0, 1, 2]), (3, [0, 1, 2, 3])]


def test_the_state_keeps_the_types_that_a_step_result_keeps(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        config = WaitForConditionConfig[Any](lambda state, attempt: STOP, date(2026, 1, 1))
        return context.wait_for_condition(lambda state, check: {state}, config) == {date(2026, 1, 1)}

    assert result_of(run(handler)) is True


def test_a_check_that_goes_on_says_so_in_the_history(run: Run) -> None:
    config = WaitForConditionConfig[int](lambda state, attempt: GO_ON if state < 2 else STOP, 0)

    execution = run(lambda event, context: context.wait_for_condition(lambda state, check: state + 1, config))

    first, second = polls(execution)
    assert (first.attempt, first.payload, first.details) == (1, "1", {"next_attempt_delay_seconds": 0.5})
    assert (second.attempt, second.payload, second.details) == (2, "2", None)


@pytest.mark.parametrize("broken", ["check", "strategy", "answer"])
def test_what_check_or_strategy_raise_is_not_tried_again(run: Run, broken: str) -> None:
    calls = []

    def check(state: Any, context: WaitForConditionCheckContext) -> Any:
        calls.append(state)
        if broken == "check":
            raise ValueError("cannot look")
        return state

    def strategy(state: Any, attempt: int) -> Any:
        if broken == "strategy":
            raise ValueError("cannot look")
        return True

    def handler(event: Any, context: DurableContext) -> Any:
        with pytest.raises(WaitForConditionError) as raised:
            context.wait_for_condition(check, WaitForConditionConfig(strategy, 0), "look")
        context.wait(Duration(1))
        return [raised.value.error_type, str(raised.value)]

    answers = {
        "answer": ["ValidationError", "the wait strategy of operation 1 'look' (step) must return a "],
        "check": ["ValueError", "cannot look"],
        "strategy": ["ValueError", "cannot look"],
    }
    kind, message = result_of(run(handler))
    assert kind == answers[broken][0]
    assert message.startswith(answers[broken][1])
    assert calls == [0]


def test_a_state_that_cannot_be_stored_ends_the_wait(run: Run) -> None:
    config = WaitForConditionConfig[Any](lambda state, attempt: STOP, None)

    execution = run(lambda event, context: context.wait_for_condition(lambda state, check: object(), config))

    assert execution.error_type == "SerDesError"
    assert "SerDesError" in (polls(execution)[0].error or "")


def test_a_check_may_not_use_the_context(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        def check(state: Any, _: WaitForConditionCheckContext) -> Any:
            with pytest.raises(InvalidStateError, match="inside the body of operation 1"):
                context.wait(Duration(1))
            return state

        context.wait_for_condition(check, WaitForConditionConfig(lambda state, attempt: STOP, 0))
        return "refused"

    assert result_of(run(handler)) == "refused"


def test_arguments_that_cannot_be_used_are_named(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> str:
        with pytest.raises(ValidationError, match="config must be a WaitForConditionConfig"):
            context.wait_for_condition(lambda state, check: state, None)  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="check must be a function"):
            context.wait_for_condition("look", WaitForConditionConfig(lambda state, attempt: STOP, 0))  # type: ignore[arg-type]
        return "refused"

    assert result_of(run(handler)) == "refused"


class TestStrategies:
    def test_a_condition_that_is_met_at_the_last_check_is_met(self) -> None:
        strategy = create_wait_strategy(WaitStrategyConfig[int](lambda state: state < 3, max_attempts=3))

        assert strategy(2, 2).should_continue
        assert not strategy(3, 3).should_continue
        with pytest.raises(WaitForConditionError, match="not met in 3 checks"):
            strategy(2, 3)

    def test_delays_grow_up_to_the_longest(self) -> None:
        config = WaitStrategyConfig[int](lambda state: True, jitter_strategy=JitterStrategy.NONE)
        strategy = create_wait_strategy(config)

        assert [strategy(0, attempt).delay_seconds for attempt in (1, 2, 3, 20, 59)] == [5, 7.5, 11.25, 300, 300]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("should_continue_polling", None),
            ("max_attempts", 0),
            ("initial_delay", 5),
            ("backoff_rate", 0),
            ("jitter_strategy", "FULL"),
        ],
    )
    def test_a_field_that_cannot_be_used_is_named(self, field: str, value: Any) -> None:
        fields: dict[str, Any] = {"should_continue_polling": bool, field: value}
        with pytest.raises(ValidationError, match=f"WaitStrategyConfig.{field}"):
            WaitStrategyConfig(**fields)
