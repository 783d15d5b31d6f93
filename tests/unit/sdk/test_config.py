from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable_engine.sdk.config import (
    CallbackConfig,
    ChildConfig,
    JitterStrategy,
    StepConfig,
    StepSemantics,
    WaitForCallbackConfig,
)
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.exceptions import ValidationError


def test_defaults_are_those_of_the_contract() -> None:
    step, callback = StepConfig(), CallbackConfig()

    assert step.step_semantics is StepSemantics.AT_LEAST_ONCE_PER_RETRY
    assert (step.retry_strategy, step.serdes, step.timeout, step.count_interrupted) == (None, None, None, True)
    assert (callback.timeout_seconds, callback.heartbeat_timeout_seconds) == (0, 0)
    assert ChildConfig() == ChildConfig(serdes=None, sub_type=None, summary_generator=None, is_virtual=False)


def test_timeouts_take_timedeltas_too() -> None:
    config = WaitForCallbackConfig(timeout=timedelta(minutes=1), heartbeat_timeout=Duration(5))

    assert (config.timeout_seconds, config.heartbeat_timeout_seconds) == (60, 5)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda wrong: StepConfig(retry_strategy=wrong(3)), "StepConfig.retry_strategy"),
        (lambda wrong: StepConfig(step_semantics=wrong("AT_MOST_ONCE_PER_RETRY")), "StepConfig.step_semantics"),
        (lambda wrong: StepConfig(timeout=Duration(0)), "StepConfig.timeout must be more than 0"),
        (lambda wrong: StepConfig(timeout=timedelta(seconds=-1)), "StepConfig.timeout must not be negative"),
        (lambda wrong: StepConfig(serdes=wrong("json")), "StepConfig.serdes"),
        (lambda wrong: ChildConfig(sub_type="x" * 33), "ChildConfig.sub_type"),
        (lambda wrong: CallbackConfig(timeout=wrong(60)), "CallbackConfig.timeout"),
        (lambda wrong: WaitForCallbackConfig(heartbeat_timeout=timedelta(-1)), "WaitForCallbackConfig.heartbeat"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_by_name(make: Callable[[Any], Any], name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        make(lambda value: value)


@pytest.mark.parametrize(
    ("jitter", "at_zero", "at_half"),
    [(JitterStrategy.NONE, 10, 10), (JitterStrategy.FULL, 0, 5), (JitterStrategy.HALF, 5, 7.5)],
)
def test_jitter_spreads_a_delay(jitter: JitterStrategy, at_zero: float, at_half: float) -> None:
    assert jitter.apply_jitter(10, lambda: 0.0) == at_zero
    assert jitter.apply_jitter(10, lambda: 0.5) == at_half
