"""What a schedule does at a due time while something that it started is still live."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from durable_engine.models import AuditEntry, Execution, Schedule, ScheduleRun
from durable_engine.services.copies import redrive_execution
from durable_engine.services.executions import stop_execution
from durable_engine.services.schedule_runs import release_waiting, run_due
from durable_engine.services.schedules import pause_schedule, trigger_schedule
from tests.factories import make_function
from tests.integration.services.test_schedules import ANA, due, outcomes

pytestmark = pytest.mark.django_db


class TestOverlap:
    def start_one(self, overlap: str) -> tuple[Schedule, UUID]:
        """A schedule whose first execution is still live, due again."""
        schedule = due(2, overlap=overlap)
        run_due(schedule.pk)
        Schedule.objects.update(next_at=timezone.now() - timedelta(seconds=1))
        return schedule, Execution.objects.get().id

    def test_skip(self) -> None:
        schedule, first = self.start_one("SKIP")
        run_due(schedule.pk)
        assert outcomes(schedule) == ["STARTED", "SKIPPED"]
        assert str(first) in ScheduleRun.objects.get(outcome="SKIPPED").note
        stop_execution(first, actor=ANA)
        Schedule.objects.update(next_at=timezone.now())
        run_due(schedule.pk)
        assert outcomes(schedule) == ["STARTED", "SKIPPED", "STARTED"]

    def test_allow(self) -> None:
        schedule, _ = self.start_one("ALLOW")
        run_due(schedule.pk)
        assert Execution.objects.filter(closed_at=None).count() == 2

    def test_replace(self) -> None:
        schedule, first = self.start_one("REPLACE")
        run_due(schedule.pk)
        assert Execution.objects.get(pk=first).status == "STOPPED"
        assert Execution.objects.filter(closed_at=None).count() == 1
        entry = AuditEntry.objects.get(action="stop_execution")
        assert (entry.actor, entry.channel) == ("schedule nightly", "schedule")

    def test_wait(self) -> None:
        schedule, first = self.start_one("WAIT")
        run_due(schedule.pk)
        Schedule.objects.update(next_at=timezone.now())
        run_due(schedule.pk)
        assert outcomes(schedule) == ["STARTED", "WAITING", "WAITING"]
        assert not release_waiting(schedule.pk)
        stop_execution(first, actor=ANA)
        assert release_waiting(schedule.pk)
        assert outcomes(schedule) == ["STARTED", "STARTED", "WAITING"]
        assert not release_waiting(schedule.pk)
        assert Execution.objects.filter(closed_at=None).count() == 1

    def test_a_start_by_hand_that_has_ended_hides_no_other_that_is_live(self) -> None:
        schedule, first = self.start_one("SKIP")
        stop_execution(trigger_schedule(schedule.pk, actor=ANA).id, actor=ANA)
        Schedule.objects.update(next_at=timezone.now())
        run_due(schedule.pk)
        assert "SKIPPED" in outcomes(schedule)
        assert str(first) in ScheduleRun.objects.get(outcome="SKIPPED").note

    def test_one_that_is_redriven_is_live_again(self) -> None:
        make_function("orders", 2)
        schedule, first = self.start_one("WAIT")
        stop_execution(first, actor=ANA)
        redriven = redrive_execution(first, actor=ANA).id
        run_due(schedule.pk)
        assert outcomes(schedule) == ["STARTED", "WAITING"]
        assert not release_waiting(schedule.pk)
        stop_execution(redriven, actor=ANA)
        assert release_waiting(schedule.pk)

    def test_replace_stops_all_that_are_live(self) -> None:
        schedule, _ = self.start_one("REPLACE")
        trigger_schedule(schedule.pk, actor=ANA)
        Schedule.objects.update(next_at=timezone.now())
        run_due(schedule.pk)
        assert Execution.objects.filter(closed_at=None).count() == 1

    def test_what_waits_does_not_start_while_the_schedule_is_paused(self) -> None:
        schedule, first = self.start_one("WAIT")
        run_due(schedule.pk)
        stop_execution(first, actor=ANA)
        pause_schedule(schedule.pk, actor=ANA)
        assert not release_waiting(schedule.pk)
