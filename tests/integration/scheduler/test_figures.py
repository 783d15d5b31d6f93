"""What has ended is counted once, by minute and hour and by what failed, whoever sweeps and whatever is under way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from durable_engine.models import Execution, Failure, FailureCount, FailureGroup, Feed, Rollup
from durable_engine.scheduler import failure_groups, old_figures, rollups
from durable_engine.scheduler.sweep import Round
from durable_engine.storage import feeds
from durable_engine.storage.connection import EngineConnection, open_engine_connection
from tests.seeds import Story, order_that_failed, order_that_succeeded

pytestmark = pytest.mark.usefixtures("this_round")


@pytest.fixture
def other() -> Iterator[EngineConnection]:
    """The connection of somebody else."""
    with open_engine_connection() as connection:
        yield connection


def as_if_swept(seconds_ago: float) -> None:
    """What comes after that is still to be read: stories are told as of the past."""
    Feed.objects.update(reached_at=timezone.now() - timedelta(seconds=seconds_ago))


def totals(width: int, field: str) -> int:
    return sum(Rollup.objects.filter(width_seconds=width).values_list(field, flat=True))


class TestRollups:
    def test_starts_and_ends_are_counted_by_minute_and_hour(self, this_round: Round) -> None:
        for _ in range(3):
            order_that_succeeded(began=7200)
        order_that_failed(began=7200)
        Story("order-processing", began=60)
        rollups.sweep(this_round)
        for width in (60, 3600, 0):
            assert totals(width, "started") == 5
            assert totals(width, "succeeded") == 3
            assert totals(width, "failed") == 1
        minute = Rollup.objects.get(width_seconds=60, function="order-processing", succeeded=3)
        assert (minute.starts_at.second, minute.version) == (0, 1)
        assert minute.seconds_sum == pytest.approx(3 * 12.6)

    def test_durations_are_kept_within_five_percent(self, this_round: Round) -> None:
        order_that_succeeded(began=600)
        rollups.sweep(this_round)
        ((middle, count),) = Rollup.objects.get(width_seconds=3600, succeeded=1).durations.items()
        assert count == 1
        assert math.pow(1.1, int(middle) + 0.5) / 1000 == pytest.approx(12.6, rel=0.05)

    def test_a_second_sweep_adds_only_what_is_new(self, this_round: Round) -> None:
        order_that_succeeded(began=600)
        rollups.sweep(this_round)
        rollups.sweep(this_round)
        order_that_succeeded(began=500)
        rollups.sweep(this_round)
        assert (totals(60, "started"), totals(60, "succeeded")) == (2, 2)
        assert sum(sum(row.durations.values()) for row in Rollup.objects.filter(width_seconds=60)) == 2

    def test_more_than_a_batch_with_equal_times_loses_nothing(
        self, this_round: Round, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rollups, "BATCH", 2)
        for _ in range(7):
            order_that_succeeded(began=600)
        Execution.objects.update(closed_at=timezone.now() - timedelta(minutes=5))
        for _ in range(9):
            rollups.sweep(this_round)
        assert (totals(60, "started"), totals(60, "succeeded")) == (7, 7)

    def test_an_end_that_commits_late_is_counted_all_the_same(self, this_round: Round, other: EngineConnection) -> None:
        """Its time lies before that of another which was visible first."""
        late, early = Story(began=600), order_that_succeeded(began=300)
        with other.transaction():
            other.execute(
                "UPDATE durable_execution SET status = 'SUCCEEDED', closed_at = clock_timestamp() - interval '400 s'"
                " WHERE id = %s",
                (late.id,),
            )
            # As long as somebody writes who began before: here the whole of the past.
            horizon = feeds.horizon(this_round.connection)
            assert horizon < timezone.now() - timedelta(seconds=2)
            Execution.objects.filter(pk=early.id).update(closed_at=horizon + timedelta(seconds=1))
            rollups.sweep(this_round)
            assert totals(60, "succeeded") == 0
        Execution.objects.filter(pk=early.id).update(closed_at=timezone.now() - timedelta(seconds=10))
        rollups.sweep(this_round)
        assert totals(60, "succeeded") == 2

    def test_while_one_scheduler_counts_another_passes_by(self, this_round: Round, other: EngineConnection) -> None:
        order_that_succeeded(began=600)
        rollups.sweep(this_round)
        order_that_succeeded(began=500)
        with other.transaction():
            assert feeds.take_feed(other, "ends") is not None
            rollups.sweep(this_round)
            assert totals(60, "succeeded") == 1
        rollups.sweep(this_round)
        assert totals(60, "succeeded") == 2

    def test_what_a_crash_interrupts_is_counted_once(self, this_round: Round, monkeypatch: pytest.MonkeyPatch) -> None:
        order_that_failed(began=600)
        with monkeypatch.context() as broken:
            broken.setattr(feeds, "move_feed", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                failure_groups.sweep(this_round)
        assert not Failure.objects.exists()
        failure_groups.sweep(this_round)
        assert FailureGroup.objects.get().count == 1

    def test_old_minutes_are_forgotten_before_old_hours(self, this_round: Round) -> None:
        order_that_succeeded(began=10 * 86_400)
        rollups.sweep(this_round)
        old_figures.sweep(this_round)
        assert set(Rollup.objects.values_list("width_seconds", flat=True)) == {3600, 0}
        # Moved, not set: at the turn of an hour there are two.
        Rollup.objects.update(starts_at=F("starts_at") - timedelta(days=401))
        old_figures.sweep(this_round)
        assert set(Rollup.objects.values_list("width_seconds", flat=True)) == {0}


class TestFailureGroups:
    def test_what_looks_alike_is_one_group(self, this_round: Round) -> None:
        first, second = order_that_failed(began=900), order_that_failed(began=300, version=2)
        Story("other", began=100).close("FAILED", 1, type="ValueError", message="no")
        order_that_succeeded(began=100)
        failure_groups.sweep(this_round)
        group = FailureGroup.objects.get(function="booking-saga")
        assert (group.kind, group.operation, group.error_type) == ("FAILED", "book hotel", "NothingAvailable")
        assert group.frame == "orders/durable_functions.py in charge"
        assert (group.count, group.first_version, group.last_version) == (2, 1, 2)
        assert (group.first_seen, group.last_seen) == (first.execution.closed_at, second.execution.closed_at)
        assert set(group.failures.values_list("execution_id", flat=True)) == {first.id, second.id}
        assert sum(FailureCount.objects.filter(group=group).values_list("count", flat=True)) == 2
        assert FailureGroup.objects.count() == 2

    def test_what_the_engine_paused_is_grouped_and_what_a_person_paused_is_not(self, this_round: Round) -> None:
        ago = timezone.now() - timedelta(minutes=1)
        Story(began=100).stand("PAUSED", paused_at=ago, pause_kind="operator", pause_reason="a look")
        Story(began=100).stand("PAUSED", paused_at=ago, pause_kind="divergence", pause_reason="operation 2: step\nand")
        failure_groups.sweep(this_round)
        group = FailureGroup.objects.get()
        assert (group.kind, group.error_type, group.message_shape) == ("PAUSED", "divergence", "operation #: step")

    def test_a_resolved_group_opens_again_and_a_muted_one_stays_muted(self, this_round: Round) -> None:
        order_that_failed(began=900)
        Story("other", began=900).close("FAILED", 1, type="ValueError", message="no")
        failure_groups.sweep(this_round)
        FailureGroup.objects.filter(function="booking-saga").update(
            status="RESOLVED", status_at=timezone.now() - timedelta(minutes=10)
        )
        FailureGroup.objects.filter(function="other").update(status="MUTED", status_at=timezone.now())
        as_if_swept(600)
        again = order_that_failed(began=300)
        Story("other", began=300).close("FAILED", 1, type="ValueError", message="no")
        failure_groups.sweep(this_round)
        reopened = FailureGroup.objects.get(function="booking-saga")
        assert (reopened.status, reopened.reopened_at) == ("OPEN", again.execution.closed_at)
        assert FailureGroup.objects.get(function="other").status == "MUTED"

    def test_a_failure_that_was_under_way_when_its_group_was_resolved_does_not_open_it(self, this_round: Round) -> None:
        order_that_failed(began=900)
        failure_groups.sweep(this_round)
        FailureGroup.objects.update(status="RESOLVED", status_at=timezone.now())
        as_if_swept(600)
        order_that_failed(began=300)
        failure_groups.sweep(this_round)
        group = FailureGroup.objects.get()
        assert (group.status, group.count) == ("RESOLVED", 2)

    def test_a_second_sweep_counts_nothing_twice(self, this_round: Round, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(failure_groups, "BATCH", 2)
        for number in range(5):
            order_that_failed(began=900 - number)
        for _ in range(4):
            failure_groups.sweep(this_round)
        assert FailureGroup.objects.get().count == 5
        assert Failure.objects.count() == 5

    def test_hours_are_those_of_utc(self, this_round: Round) -> None:
        story = order_that_failed(began=86_400)
        at = datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC)
        Execution.objects.filter(pk=story.id).update(closed_at=at)
        failure_groups.sweep(this_round)
        assert FailureCount.objects.get().starts_at == datetime(2026, 3, 29, 0, tzinfo=UTC)
