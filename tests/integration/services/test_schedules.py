"""Schedules start exactly one execution for each due time, and say what became of the others."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connections, transaction
from django.utils import timezone

from durable_engine.models import AuditEntry, Execution, FunctionPause, Schedule, ScheduleRun
from durable_engine.queries.schedules import newest_runs, runs_of, troubled_schedules
from durable_engine.services import schedule_runs
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import ActionRefused, FunctionNotFound, FunctionPaused, InvalidInput
from durable_engine.services.schedule_runs import run_due
from durable_engine.services.schedules import (
    ScheduleChanged,
    ScheduleNotFound,
    ScheduleSpec,
    create_schedule,
    delete_schedule,
    pause_schedule,
    put_schedule,
    resume_schedule,
    trigger_schedule,
    update_schedule,
)
from tests.factories import make_function
from tests.integration.races import race

pytestmark = pytest.mark.django_db

ANA = Actor("ana")
HOURLY = ScheduleSpec("orders", every_seconds=3600)


def due(seconds_ago: float, **changes: Any) -> Schedule:
    """An hourly schedule whose next time was so many seconds ago."""
    spec = ScheduleSpec(**{"function": "orders", "every_seconds": 3600, **changes})
    schedule = Schedule.objects.get(pk=create_schedule("nightly", spec, actor=ANA))
    schedule.next_at = timezone.now() - timedelta(seconds=seconds_ago)
    schedule.anchor_at = schedule.next_at - timedelta(hours=100)
    schedule.save()
    return schedule


def outcomes(schedule: Schedule) -> list[str]:
    return list(ScheduleRun.objects.filter(schedule=schedule).order_by("due_at").values_list("outcome", flat=True))


def next_of(schedule: Schedule) -> float:
    """In how many seconds it is due next."""
    schedule.refresh_from_db()
    assert schedule.next_at is not None
    return (schedule.next_at - timezone.now()).total_seconds()


class TestDueTimes:
    def test_a_due_time_starts_one_execution_named_for_it(self) -> None:
        schedule = due(2, input_text='{"batch": 7}', tags={"team": "night"}, version=1)
        assert run_due(schedule.pk)
        execution = Execution.objects.get()
        assert execution.name == f"nightly-{schedule.next_at:%Y%m%dT%H%M%SZ}"
        assert (execution.function, execution.version, execution.tags) == ("orders", 1, {"team": "night"})
        run = ScheduleRun.objects.get()
        assert (run.outcome, run.execution_id, run.due_at) == ("STARTED", execution.id, schedule.next_at)
        assert next_of(schedule) == pytest.approx(3598, abs=3)
        assert not run_due(schedule.pk)

    def test_the_newest_version_at_the_time_is_started_unless_one_is_named(self) -> None:
        schedule = due(2)
        make_function("orders", 9)
        run_due(schedule.pk)
        assert Execution.objects.get().version == 9

    def test_nothing_happens_before_its_time_or_while_it_is_paused(self) -> None:
        schedule = due(-30)
        assert not run_due(schedule.pk)
        Schedule.objects.update(next_at=timezone.now() - timedelta(seconds=1))
        pause_schedule(schedule.pk, actor=ANA)
        assert not run_due(schedule.pk)
        assert not Execution.objects.exists()

    def test_what_cannot_be_started_is_told_and_the_schedule_goes_on(self) -> None:
        make_function("orders", 1)
        schedule = due(2)
        FunctionPause.objects.create(function="orders", paused_by="bob", refuses_starts=True)
        run_due(schedule.pk)
        run = ScheduleRun.objects.get()
        assert (run.outcome, run.execution_id) == ("REFUSED", None)
        assert "paused by bob" in run.note
        assert next_of(schedule) > 3000
        assert [view.name for view, _ in troubled_schedules(timezone.now() - timedelta(days=1))] == ["nightly"]

    def test_a_due_time_whose_execution_exists_is_that_execution(self) -> None:
        """The start is by name: whatever came twice, it runs once."""
        schedule = due(2)
        first = schedule.next_at
        run_due(schedule.pk)
        ScheduleRun.objects.all().delete()
        Schedule.objects.update(next_at=first)
        run_due(schedule.pk)
        assert Execution.objects.count() == 1
        assert ScheduleRun.objects.get().execution_id == Execution.objects.get().id


class TestMissedTimes:
    """Three times and half an hour ago: nobody was at work."""

    AGO = 3.5 * 3600

    def test_the_latest_is_run_and_the_others_are_told(self) -> None:
        schedule = due(self.AGO)
        run_due(schedule.pk)
        assert outcomes(schedule) == ["MISSED", "STARTED"]
        missed = ScheduleRun.objects.get(outcome="MISSED")
        assert missed.count == 3
        assert "3 missed since" in missed.note
        assert Execution.objects.count() == 1
        assert 1700 < next_of(schedule) < 1900

    def test_none_is_run_if_that_is_wanted(self) -> None:
        schedule = due(self.AGO, catch_up="NONE")
        run_due(schedule.pk)
        assert outcomes(schedule) == ["MISSED"]
        assert ScheduleRun.objects.get().count == 4
        assert not Execution.objects.exists()

    def test_all_are_run_if_that_is_wanted(self) -> None:
        schedule = due(self.AGO, catch_up="ALL", overlap="ALLOW")
        run_due(schedule.pk)
        assert outcomes(schedule) == ["STARTED"] * 4
        assert Execution.objects.count() == 4

    def test_one_that_is_on_time_stands_for_those_that_were_missed(self) -> None:
        schedule = due(3 * 3600 + 5)
        run_due(schedule.pk)
        assert outcomes(schedule) == ["MISSED", "STARTED"]
        assert ScheduleRun.objects.get(outcome="MISSED").count == 3

    def test_years_of_seconds_are_caught_up_in_no_time(self) -> None:
        schedule = due(2 * 365 * 86_400, every_seconds=1)
        run_due(schedule.pk)
        assert outcomes(schedule) == ["MISSED", "STARTED"]
        assert "at least 1000 missed" in ScheduleRun.objects.get(outcome="MISSED").note
        assert next_of(schedule) <= 1

    def test_a_long_backlog_is_run_in_bounded_transactions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(schedule_runs, "MOST_AT_ONCE", 5)
        schedule = due(7 * 60, every_seconds=60, catch_up="ALL", overlap="ALLOW")
        run_due(schedule.pk)
        assert Execution.objects.count() == 5
        assert next_of(schedule) < 0
        run_due(schedule.pk)
        assert Execution.objects.count() == 8
        assert next_of(schedule) > 0


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_of_many_schedulers_at_once_one_starts_it(self) -> None:
        schedule = due(2, overlap="ALLOW")
        barrier = threading.Barrier(4)
        did: list[bool] = []

        def sweep() -> None:
            barrier.wait()
            did.append(run_due(schedule.pk))
            connections.close_all()

        threads = [threading.Thread(target=sweep) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(did) == [False, False, False, True]
        assert Execution.objects.count() == ScheduleRun.objects.count() == 1

    def test_a_schedule_that_somebody_edits_is_left_alone_and_comes_next(self) -> None:
        schedule = due(2)
        found: list[bool] = []

        def sweep() -> None:
            found.append(run_due(schedule.pk))
            connections.close_all()

        with transaction.atomic():
            pause_schedule(schedule.pk, actor=ANA)
            thread = threading.Thread(target=sweep)
            thread.start()
            thread.join(60)
            transaction.set_rollback(True)
        assert found == [False]
        assert run_due(schedule.pk)

    def test_of_two_deploys_at_once_that_put_a_schedule_one_makes_it(self) -> None:
        made: list[UUID] = []
        second = race(
            lambda: made.append(put_schedule("nightly", HOURLY, actor=ANA)),
            lambda: put_schedule("nightly", ScheduleSpec("orders", every_seconds=60), actor=ANA),
        )
        assert second.error is None
        assert [second.result] == made
        assert Schedule.objects.get().every_seconds == 60

    def test_a_crash_between_start_and_record_leaves_neither(self, monkeypatch: pytest.MonkeyPatch) -> None:
        schedule = due(2)
        with monkeypatch.context() as broken:
            broken.setattr(ScheduleRun.objects, "create", lambda **_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                run_due(schedule.pk)
        assert not Execution.objects.exists()
        assert run_due(schedule.pk)
        assert Execution.objects.count() == 1


class TestChanges:
    def test_each_change_is_audited_with_its_reason(self) -> None:
        schedule_id = create_schedule("nightly", HOURLY, actor=ANA, reason="asked for")
        update_schedule(schedule_id, ScheduleSpec("orders", cron="0 7 * * *", timezone="Europe/Berlin"), actor=ANA)
        pause_schedule(schedule_id, actor=ANA)
        resume_schedule(schedule_id, actor=ANA)
        delete_schedule(schedule_id, actor=ANA, reason="no more")
        entries = AuditEntry.objects.order_by("at").values_list("action", "reason")
        assert list(entries) == [
            ("create_schedule", "asked for"),
            ("update_schedule", ""),
            ("pause_schedule", ""),
            ("resume_schedule", ""),
            ("delete_schedule", "no more"),
        ]
        assert not Schedule.objects.exists()

    def test_times_that_pass_during_a_pause_are_not_caught_up(self) -> None:
        schedule = due(10 * 3600)
        pause_schedule(schedule.pk, actor=ANA)
        resume_schedule(schedule.pk, actor=ANA)
        assert next_of(schedule) > 0
        assert not run_due(schedule.pk)

    def test_a_change_of_the_input_keeps_the_rhythm_and_one_of_the_distance_begins_anew(self) -> None:
        schedule = due(-100)
        update_schedule(schedule.pk, ScheduleSpec("orders", every_seconds=3600, input_text="[1]"), actor=ANA)
        assert next_of(schedule) == pytest.approx(100, abs=3)
        update_schedule(schedule.pk, ScheduleSpec("orders", every_seconds=7200), actor=ANA)
        assert next_of(schedule) == pytest.approx(7200, abs=3)

    def test_somebody_who_edits_what_another_has_changed_is_told(self) -> None:
        schedule_id = create_schedule("nightly", HOURLY, actor=ANA)
        update_schedule(schedule_id, HOURLY, actor=ANA, seen_revision=1)
        with pytest.raises(ScheduleChanged):
            update_schedule(schedule_id, HOURLY, actor=ANA, seen_revision=1)

    def test_a_deploy_may_put_its_schedules_again_and_again(self) -> None:
        first = put_schedule("nightly", HOURLY, actor=ANA)
        pause_schedule(first, actor=ANA)
        assert put_schedule("nightly", HOURLY, actor=ANA) == first
        assert AuditEntry.objects.count() == 2
        assert put_schedule("nightly", ScheduleSpec("orders", cron="0 7 * * *"), actor=ANA) == first
        schedule = Schedule.objects.get()
        assert (schedule.cron, schedule.every_seconds, schedule.paused_by) == ("0 7 * * *", None, "ana")

    def test_a_start_by_hand_is_audited_and_moves_nothing(self) -> None:
        schedule = due(-100)
        started = trigger_schedule(schedule.pk, actor=ANA, reason="now")
        assert Execution.objects.get().id == started.id
        run = ScheduleRun.objects.get()
        assert (run.started_by, run.execution_id) == ("ana", started.id)
        assert AuditEntry.objects.get(action="trigger_schedule").execution_id == started.id
        assert next_of(schedule) == pytest.approx(100, abs=3)

    def test_what_does_not_apply_is_refused_with_the_reason(self) -> None:
        nobody = UUID(int=0)
        for refused in (pause_schedule, resume_schedule, delete_schedule, trigger_schedule):
            with pytest.raises(ScheduleNotFound):
                refused(nobody, actor=ANA)
        schedule_id = create_schedule("nightly", HOURLY, actor=ANA)
        with pytest.raises(ActionRefused, match="isn't paused"):
            resume_schedule(schedule_id, actor=ANA)
        pause_schedule(schedule_id, actor=Actor("bob"))
        with pytest.raises(ActionRefused, match="paused already, by bob"):
            pause_schedule(schedule_id, actor=ANA)
        make_function("orders")
        FunctionPause.objects.create(function="orders", paused_by="bob", refuses_starts=True)
        with pytest.raises(FunctionPaused):
            trigger_schedule(schedule_id, actor=ANA)

    @pytest.mark.parametrize(
        ("field", "spec"),
        [
            ("cron", ScheduleSpec("orders")),
            ("cron", ScheduleSpec("orders", cron="* * * * *", every_seconds=60)),
            ("cron", ScheduleSpec("orders", cron="nonsense")),
            ("timezone", ScheduleSpec("orders", cron="* * * * *", timezone="Mars/Olympus")),
            ("every_seconds", ScheduleSpec("orders", every_seconds=0)),
            ("input", ScheduleSpec("orders", every_seconds=60, input_text="{")),
            ("tags", ScheduleSpec("orders", every_seconds=60, tags={"": "x"})),
            ("overlap", ScheduleSpec("orders", every_seconds=60, overlap="MAYBE")),
            ("catch_up", ScheduleSpec("orders", every_seconds=60, catch_up="MAYBE")),
            ("input.amount", ScheduleSpec("refund", every_seconds=60, input_text='{"order": "A-1"}')),
        ],
    )
    def test_what_cannot_be_meant_is_refused_at_its_field(self, field: str, spec: ScheduleSpec) -> None:
        with pytest.raises(InvalidInput) as refused:
            create_schedule("nightly", spec, actor=ANA)
        assert refused.value.field == field
        assert not Schedule.objects.exists()

    @pytest.mark.parametrize("name", ["", "with space", "x" * 41, "ä", "a\x00"])
    def test_a_name_that_cannot_be_one_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidInput, match="is no name for a schedule"):
            create_schedule(name, HOURLY, actor=ANA)

    def test_a_name_that_is_taken_and_a_function_nobody_knows_are_refused(self) -> None:
        create_schedule("nightly", HOURLY, actor=ANA)
        with pytest.raises(InvalidInput, match="already"):
            create_schedule("nightly", HOURLY, actor=ANA)
        with pytest.raises(FunctionNotFound):
            create_schedule("other", ScheduleSpec("nobody-knows", every_seconds=60), actor=ANA)


def test_the_newest_runs_of_many_schedules_come_in_one_query(django_assert_num_queries: Any) -> None:
    schedules = [Schedule.objects.create(name=f"s{n}", function="orders", every_seconds=60) for n in range(3)]
    for schedule in schedules:
        for minute in range(30):
            at = timezone.now() - timedelta(minutes=minute)
            ScheduleRun.objects.create(schedule=schedule, due_at=at, outcome="SKIPPED")
    with django_assert_num_queries(1):
        found = newest_runs([schedule.pk for schedule in schedules])
    assert {len(runs) for runs in found.values()} == {20}
    first = runs_of(schedules[0].pk, limit=20)
    assert list(first.items) == found[schedules[0].pk]
    assert len(runs_of(schedules[0].pk, first.next, limit=20).items) == 10
