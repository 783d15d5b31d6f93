from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from durable_engine.sdk.durations import Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError


def test_factories_keep_fractions() -> None:
    assert Duration.from_seconds(1.5).to_seconds() == 1.5
    assert Duration.from_minutes(0.5) == Duration(30)
    assert Duration.from_hours(2) == Duration(7200)
    assert Duration.from_days(1) == Duration(86400)
    assert Duration(1) < Duration(2)


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, math.inf, "5", None, True])
def test_a_duration_that_is_no_length_of_time_is_refused(seconds: Any) -> None:
    with pytest.raises(ValidationError, match="Duration: seconds must be"):
        Duration(seconds)


def test_a_timedelta_is_accepted_where_a_duration_is() -> None:
    assert seconds_of(timedelta(minutes=2), "duration") == 120


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (timedelta(seconds=-1), "negative"),
        (Duration.from_days(367), "at most 366 days, and is 367 days"),
        (5, "must be a Duration or a timedelta, not int: write Duration.from_seconds"),
        (Duration(0), "more than 0"),
    ],
)
def test_refusals_name_the_argument_and_the_problem(value: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as refused:
        seconds_of(value, "timeout", more_than_zero=True)
    assert str(refused.value).startswith("timeout ")


def test_366_days_are_the_longest() -> None:
    assert seconds_of(Duration.from_days(366), "duration") == 31_622_400
