from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from durable_engine.sdk.config import JitterStrategy
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.retries import (
    LinearRetryStrategyConfig,
    RetryPresets,
    RetryStrategy,
    RetryStrategyConfig,
    create_linear_retry_strategy,
    create_retry_strategy,
)
from durable_engine.sdk.types import RetryDecision


def delays(strategy: RetryStrategy, random: Callable[[], float] = lambda: 1.0) -> list[float]:
    """Return the delays before each retry until the strategy gives up."""
    found: list[float] = []
    while (decision := strategy.decide(ValueError("boom"), len(found) + 1, random)).should_retry:
        found.append(decision.delay_seconds)
    return found


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (RetryPresets.none(), []),
        (RetryPresets.default(), [5, 10, 20, 40, 60]),
        (RetryPresets.transient(), [5, 10]),
        (RetryPresets.resource_availability(), [5, 10, 20, 40]),
        (RetryPresets.critical(), [1, 1.5, 2.25, 3.375, 5.062, 7.594, 11.391, 17.086, 25.629]),
        (RetryPresets.linear(), [1, 2, 3, 4, 5]),
        (RetryPresets.fixed(), [5, 5, 5, 5]),
        (RetryPresets.fixed(timedelta(seconds=0.5)), [0.5, 0.5, 0.5, 0.5]),
        (create_retry_strategy(), [5, 10]),
        (create_linear_retry_strategy(), [1, 2, 3, 4, 5]),
    ],
)
def test_longest_delays_of_presets(strategy: RetryStrategy, expected: list[float]) -> None:
    assert delays(strategy) == expected
    assert strategy.max_attempts == len(expected) + 1


@pytest.mark.parametrize(
    ("strategy", "at_zero"),
    [(RetryPresets.default(), [0] * 5), (RetryPresets.transient(), [2.5, 5]), (RetryPresets.fixed(), [5] * 4)],
)
def test_jitter_comes_from_the_random_source_that_is_given(strategy: RetryStrategy, at_zero: list[float]) -> None:
    assert delays(strategy, lambda: 0.0) == at_zero


def test_a_strategy_is_a_function_of_error_and_attempts() -> None:
    decision = RetryPresets.fixed(Duration(3))(ValueError(), 1)

    assert decision == RetryDecision.retry(Duration(3))
    assert RetryPresets.none()(ValueError(), 1) == RetryDecision.no_retry()


def test_many_attempts_do_not_overflow_the_delay() -> None:
    strategy = create_retry_strategy(RetryStrategyConfig(max_attempts=10_000, backoff_rate=10.0))

    assert strategy.decide(ValueError(), 9_000, lambda: 1.0).delay_seconds == 300


@pytest.mark.parametrize(
    ("filters", "error", "retried"),
    [
        ({}, ValueError("any"), True),
        ({"retryable_errors": ["time"]}, ValueError("timed out"), True),
        ({"retryable_errors": [re.compile("^5\\d\\d")]}, ValueError("503 busy"), True),
        ({"retryable_errors": [re.compile("^5\\d\\d")]}, ValueError("is 503"), False),
        ({"retryable_errors": []}, ValueError("any"), False),
        ({"retryable_error_types": [LookupError]}, KeyError("x"), True),
        ({"retryable_error_types": [LookupError]}, ValueError("x"), False),
        ({"retryable_error_types": []}, ValueError("x"), False),
        ({"retryable_errors": ["busy"], "retryable_error_types": [KeyError]}, ValueError("busy"), True),
        ({"retryable_errors": ["busy"], "retryable_error_types": [KeyError]}, KeyError("x"), True),
        ({"retryable_errors": ["busy"], "retryable_error_types": [KeyError]}, ValueError("x"), False),
    ],
)
def test_filters_decide_which_errors_are_retried(filters: dict[str, Any], error: Exception, retried: bool) -> None:
    assert create_retry_strategy(RetryStrategyConfig(**filters))(error, 1).should_retry is retried
    assert create_linear_retry_strategy(LinearRetryStrategyConfig(**filters))(error, 1).should_retry is retried


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": 1.5}, "max_attempts"),
        ({"initial_delay": timedelta(seconds=-1)}, "initial_delay"),
        ({"max_delay": 60}, "max_delay"),
        ({"backoff_rate": 0}, "backoff_rate"),
        ({"jitter_strategy": "FULL"}, "jitter_strategy"),
    ],
)
def test_an_option_that_cannot_be_used_is_refused_by_name(options: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError, match=f"RetryStrategyConfig.{name}"):
        RetryStrategyConfig(**options)


def test_no_jitter_is_exact_whatever_the_random_source_says() -> None:
    config = RetryStrategyConfig(jitter_strategy=JitterStrategy.NONE)

    assert delays(create_retry_strategy(config), lambda: 0.123) == [5, 10]
