"""When schedules are due, through changes of the clock and beyond what people type."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_engine.services.exceptions import InvalidInput
from durable_engine.services.recurrence import Recurrence, checked_cron, checked_every

BERLIN = "Europe/Berlin"
START = datetime(2026, 1, 1, tzinfo=UTC)


def local(rule: Recurrence, after: datetime, count: int) -> list[str]:
    return [f"{due.astimezone(ZoneInfo(rule.timezone)):%m-%d %H:%M}" for due in rule.upcoming(after, count)]


def test_a_daily_time_is_that_of_its_zone_on_both_sides_of_a_change_of_the_clock() -> None:
    rule = checked_cron("0 7 * * *", BERLIN)
    assert local(rule, datetime(2026, 3, 27, 12, tzinfo=UTC), 3) == ["03-28 07:00", "03-29 07:00", "03-30 07:00"]
    assert [due.hour for due in rule.upcoming(datetime(2026, 3, 27, 12, tzinfo=UTC), 3)] == [6, 5, 5]


def test_a_time_that_the_clock_leaves_out_runs_right_after_it_and_once() -> None:
    rule = checked_cron("30 2 * * *", BERLIN)
    assert local(rule, datetime(2026, 3, 28, 12, tzinfo=UTC), 2) == ["03-29 03:00", "03-30 02:30"]


def test_a_time_that_comes_twice_runs_once() -> None:
    rule = checked_cron("30 2 * * *", BERLIN)
    assert local(rule, datetime(2026, 10, 24, 12, tzinfo=UTC), 2) == ["10-25 02:30", "10-26 02:30"]


def test_every_half_hour_is_every_half_hour_of_real_time_when_the_clock_goes_back() -> None:
    dues = checked_cron("*/30 * * * *", BERLIN).upcoming(datetime(2026, 10, 24, 23, 50, tzinfo=UTC), 8)
    assert {later - earlier for earlier, later in itertools.pairwise(dues)} == {timedelta(minutes=30)}


def test_a_distance_counts_from_its_anchor() -> None:
    rule = checked_every(90, START)
    assert rule.upcoming(START, 2) == [START + timedelta(seconds=90), START + timedelta(seconds=180)]
    assert rule.next_after(START + timedelta(seconds=90)) == START + timedelta(seconds=180)
    assert rule.next_after(START - timedelta(days=9)) == START + timedelta(seconds=90)


@pytest.mark.parametrize("rule", [checked_cron("*/7 3-5 * * MON-FRI", BERLIN), checked_every(7 * 3600 + 1, START)])
@given(seconds=st.integers(0, 400 * 86_400), micros=st.integers(0, 999_999))
def test_the_last_until_a_moment_and_the_next_after_it_leave_no_gap(
    rule: Recurrence, seconds: int, micros: int
) -> None:
    moment = START + timedelta(days=1, seconds=seconds, microseconds=micros)
    last, following = rule.last_until(moment), rule.next_after(moment)
    assert last is not None
    assert following is not None
    assert last <= moment < following
    assert rule.next_after(last) == following


def test_what_it_says_in_words() -> None:
    assert checked_cron("30 7 * * MON-FRI", BERLIN).in_words().endswith("(Europe/Berlin)")
    assert checked_every(7200, START).in_words() == "Every 2 hours"
    assert checked_every(86_400, START).in_words() == "Every day"
    assert checked_every(90, START).in_words() == "Every 90 seconds"


@pytest.mark.parametrize(
    "cron", ["", "x", "* * * *", "@daily", "61 * * * *", "0 0 31 2 *", "\x00", "* " * 400, "é * * * *"]
)
def test_an_expression_that_cannot_be_meant_is_refused_with_an_example(cron: str) -> None:
    with pytest.raises(InvalidInput, match="cron") as refused:
        checked_cron(cron, "UTC")
    assert refused.value.field == "cron"
    assert "MON-FRI" in refused.value.fix or "days" in refused.value.fix


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "UTC\x00"])
def test_a_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(InvalidInput, match="is not a time zone"):
        checked_cron("0 7 * * *", zone)


@pytest.mark.parametrize("seconds", [0, -1, True, 1.5, "60", None, 10**9])
def test_a_distance_that_makes_no_sense_is_refused(seconds: object) -> None:
    with pytest.raises(InvalidInput):
        checked_every(seconds, START)
