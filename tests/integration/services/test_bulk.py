"""Bulk actions: the set is frozen, each execution is acted on once, refusals are kept, people stay in control."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine.models import AuditEntry, BulkAction, BulkItem, Execution, Timer
from durable_engine.queries.bulk import BulkActionView, bulk_action, bulk_items, bulk_preview, list_bulk_actions
from durable_engine.queries.bulk_options import BulkOptions
from durable_engine.queries.filters import ExecutionFilters
from durable_engine.scheduler import bulk_actions
from durable_engine.scheduler.grace import OutageGrace
from durable_engine.scheduler.sweep import Round
from durable_engine.services import bulk
from durable_engine.services.actors import Actor
from durable_engine.services.bulk import (
    cancel_bulk_action,
    carry_out_item,
    continue_bulk_action,
    create_bulk_action,
    start_bulk_action,
)
from durable_engine.services.exceptions import ActionRefused, BulkActionNotFound, InvalidInput
from durable_engine.storage.connection import ConnectionHolder
from durable_engine.storage.locks import lock_execution
from tests.factories import make_back_off, make_execution, make_function, make_timer
from tests.integration.races import Other

ACTOR = Actor("ana", channel="dashboard")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def this_round() -> Iterator[Round]:
    """What the sweep is given."""
    holder = ConnectionHolder()
    yield Round(holder.get(), OutageGrace(30))
    holder.discard()


def suspended(count: int) -> list[UUID]:
    return [make_execution(status="SUSPENDED").pk for _ in range(count)]


def shown(bulk_action_id: UUID) -> BulkActionView:
    view = bulk_action(bulk_action_id)
    assert view is not None
    return view


def statuses(execution_ids: list[UUID]) -> list[str]:
    found = dict(Execution.objects.filter(pk__in=execution_ids).values_list("pk", "status"))
    return [found[pk] for pk in execution_ids]


class TestCarryingOut:
    def test_each_listed_execution_is_acted_on_by_whoever_started_it(self, this_round: Round) -> None:
        ids = suspended(3)
        bulk_id = create_bulk_action("stop", actor=ACTOR, execution_ids=ids, reason="wrong price")
        assert statuses(ids) == ["SUSPENDED"] * 3
        start_bulk_action(bulk_id, actor=Actor("bob"))
        bulk_actions.sweep(this_round)
        assert statuses(ids) == ["STOPPED"] * 3
        view = shown(bulk_id)
        assert (view.status, view.counts, view.done, view.total) == ("DONE", {"DONE": 3}, 3, 3)
        assert view.finished_at is not None
        entries = AuditEntry.objects.filter(action="stop_execution")
        assert {(entry.actor, entry.reason) for entry in entries} == {("bob", "wrong price")}
        assert entries.count() == 3

    def test_the_set_is_what_matched_when_it_was_made(self, this_round: Round) -> None:
        ids = suspended(2)
        bulk_id = create_bulk_action("pause", actor=ACTOR, filters=ExecutionFilters(status="SUSPENDED"))
        late = suspended(1)
        start_bulk_action(bulk_id, actor=ACTOR)
        bulk_actions.sweep(this_round)
        assert statuses([*ids, *late]) == ["PAUSED", "PAUSED", "SUSPENDED"]
        assert shown(bulk_id).selection == {"status": "SUSPENDED"}

    def test_what_it_does_not_apply_to_is_refused_with_the_reason(self, this_round: Round) -> None:
        good, ended, gone = make_execution(), make_execution(status="FAILED"), make_execution(status="FAILED")
        bulk_id = create_bulk_action("stop", actor=ACTOR, execution_ids=[good.pk, ended.pk, gone.pk])
        Execution.objects.filter(pk=gone.pk).delete()
        start_bulk_action(bulk_id, actor=ACTOR)
        bulk_actions.sweep(this_round)
        items = bulk_items(bulk_id)
        assert [item.status for item in items] == ["DONE", "REFUSED", "REFUSED"]
        assert "it has ended and is FAILED" in items[1].message
        assert str(gone.pk) in items[2].message
        assert shown(bulk_id).status == "DONE"

    def test_redriven_executions_are_named(self, this_round: Round) -> None:
        failed = make_execution(status="FAILED", name="order-7")
        bulk_id = create_bulk_action("redrive", actor=ACTOR, execution_ids=[failed.pk], options=BulkOptions(version=2))
        start_bulk_action(bulk_id, actor=ACTOR)
        bulk_actions.sweep(this_round)
        (item,) = bulk_items(bulk_id)
        assert item.result_id is not None
        new = Execution.objects.get(pk=item.result_id)
        assert (new.origin_id, new.version, item.name) == (failed.pk, 2, "order-7")

    def test_retry_delete_and_resume(self, this_round: Round) -> None:
        backs_off = make_execution(status="SUSPENDED")
        make_back_off(backs_off)
        ended = make_execution(status="FAILED")
        paused = make_execution(status="PAUSED", paused_at=timezone.now())
        for action, execution in (("retry", backs_off), ("delete", ended), ("resume", paused)):
            start_bulk_action(create_bulk_action(action, actor=ACTOR, execution_ids=[execution.pk]), actor=ACTOR)
        bulk_actions.sweep(this_round)
        assert Timer.objects.get().due_at <= timezone.now()
        assert not Execution.objects.filter(pk=ended.pk).exists()
        assert Execution.objects.get(pk=paused.pk).status == "PENDING"

    def test_skip_and_run_again(self, this_round: Round) -> None:
        make_function("orders", 1)
        waits, ended = make_execution(status="SUSPENDED"), make_execution(status="SUCCEEDED", input_text='{"a": 1}')
        make_timer(waits, "1", kind="wait"), make_timer(waits, "2", kind="wait")
        for action, execution in (("skip", waits), ("rerun", ended)):
            start_bulk_action(create_bulk_action(action, actor=ACTOR, execution_ids=[execution.pk]), actor=ACTOR)
        bulk_actions.sweep(this_round)
        assert [timer.due_at <= timezone.now() for timer in Timer.objects.all()] == [True, True]
        again = Execution.objects.get(origin_id=ended.pk)
        assert (again.origin_kind, again.status) == ("rerun", "PENDING")
        assert AuditEntry.objects.get(action="skip_wait").details == {"operations": 2}

    def test_an_error_of_one_is_recorded_and_the_others_go_on(
        self, this_round: Round, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = suspended(2)
        stop = bulk._SERVICES["stop"]

        def stop_but_the_first(execution_id: UUID, **options: object) -> None:
            stop(execution_id, **options)
            if execution_id == ids[0]:
                raise ZeroDivisionError("b\x00ug")  # Postgres keeps no such text

        monkeypatch.setattr(bulk, "_SERVICES", {"stop": stop_but_the_first})
        start_bulk_action(bulk_id := create_bulk_action("stop", actor=ACTOR, execution_ids=ids), actor=ACTOR)
        bulk_actions.sweep(this_round)
        assert [(item.status, item.message) for item in bulk_items(bulk_id)] == [
            ("FAILED", "ZeroDivisionError: bug"),
            ("DONE", ""),
        ]
        assert statuses(ids) == ["SUSPENDED", "STOPPED"]

    def test_of_two_schedulers_one_acts_and_the_other_does_not_wait(self) -> None:
        (execution_id,) = suspended(1)
        start_bulk_action(bulk_id := create_bulk_action("stop", actor=ACTOR, execution_ids=[execution_id]), actor=ACTOR)
        with transaction.atomic():
            assert carry_out_item(bulk_id, 1)
            assert Other(lambda: carry_out_item(bulk_id, 1)).join().result is False
        assert not carry_out_item(bulk_id, 1)
        assert AuditEntry.objects.filter(action="stop_execution").count() == 1

    def test_an_execution_that_somebody_holds_is_stepped_over_and_comes_later(self, this_round: Round) -> None:
        ids = suspended(2)
        start_bulk_action(bulk_id := create_bulk_action("stop", actor=ACTOR, execution_ids=ids), actor=ACTOR)
        with transaction.atomic():
            lock_execution(ids[0])
            assert Other(lambda: bulk_actions.sweep(this_round)).join().error is None
            assert [item.status for item in bulk_items(bulk_id)] == ["PENDING", "DONE"]
        bulk_actions.sweep(this_round)
        assert [item.status for item in bulk_items(bulk_id)] == ["DONE", "DONE"]

    def test_a_crash_before_the_commit_leaves_the_item_to_be_done(self, this_round: Round) -> None:
        (execution_id,) = suspended(1)
        start_bulk_action(bulk_id := create_bulk_action("stop", actor=ACTOR, execution_ids=[execution_id]), actor=ACTOR)
        with transaction.atomic():
            carry_out_item(bulk_id, 1)
            transaction.set_rollback(True)
        assert (statuses([execution_id]), bulk_items(bulk_id)[0].status) == (["SUSPENDED"], "PENDING")
        bulk_actions.sweep(this_round)
        assert (statuses([execution_id]), bulk_items(bulk_id)[0].status) == (["STOPPED"], "DONE")


class TestControl:
    def test_a_canary_holds_after_the_first_few_until_somebody_continues(self, this_round: Round) -> None:
        ids = suspended(5)
        start_bulk_action(bulk_id := create_bulk_action("stop", actor=ACTOR, execution_ids=ids), actor=ACTOR, canary=2)
        bulk_actions.sweep(this_round)
        assert statuses(ids) == ["STOPPED"] * 2 + ["SUSPENDED"] * 3
        assert (shown(bulk_id).status, shown(bulk_id).done) == ("HELD", 2)
        bulk_actions.sweep(this_round)
        assert shown(bulk_id).done == 2
        continue_bulk_action(bulk_id, actor=ACTOR)
        bulk_actions.sweep(this_round)
        assert (statuses(ids), shown(bulk_id).status) == (["STOPPED"] * 5, "DONE")

    def test_cancelling_leaves_the_rest_as_it_is(self, this_round: Round) -> None:
        ids = suspended(3)
        start_bulk_action(bulk_id := create_bulk_action("stop", actor=ACTOR, execution_ids=ids), actor=ACTOR, canary=1)
        bulk_actions.sweep(this_round)
        cancel_bulk_action(bulk_id, actor=ACTOR, reason="wrong ones")
        bulk_actions.sweep(this_round)
        assert statuses(ids) == ["STOPPED", "SUSPENDED", "SUSPENDED"]
        assert (shown(bulk_id).status, shown(bulk_id).counts) == ("CANCELLED", {"DONE": 1, "CANCELLED": 2})
        entry = AuditEntry.objects.get(action="cancel_bulk_action")
        assert (entry.reason, entry.details["cancelled"]) == ("wrong ones", 2)

    def test_what_does_not_fit_its_status_is_refused(self) -> None:
        bulk_id = create_bulk_action("stop", actor=ACTOR, execution_ids=suspended(1))
        with pytest.raises(ActionRefused, match="not started"):
            continue_bulk_action(bulk_id, actor=ACTOR)
        cancel_bulk_action(bulk_id, actor=ACTOR)
        for act in (start_bulk_action, continue_bulk_action, cancel_bulk_action):
            with pytest.raises(ActionRefused, match="cancelled"):
                act(bulk_id, actor=ACTOR)
        with pytest.raises(BulkActionNotFound):
            start_bulk_action(uuid7(), actor=ACTOR)

    def test_a_draft_is_forgotten_after_a_day(self, this_round: Round) -> None:
        old, young = (create_bulk_action("stop", actor=ACTOR, execution_ids=suspended(1)) for _ in range(2))
        BulkAction.objects.filter(pk=old).update(created_at=timezone.now() - timedelta(days=2))
        bulk_actions.delete_drafts(this_round)
        assert [view.id for view in list_bulk_actions().items] == [young]
        assert BulkItem.objects.count() == 1


class TestChoosing:
    def test_the_order_of_a_list_is_kept_and_each_is_taken_once(self) -> None:
        first, second = suspended(2)
        bulk_id = create_bulk_action("stop", actor=ACTOR, execution_ids=[second, first, second])
        assert [item.execution_id for item in bulk_items(bulk_id)] == [second, first]

    @pytest.mark.parametrize(
        ("action", "ids", "field"),
        [("explode", [], "action"), ("stop", [], "execution_ids"), ("stop", [uuid7()], "execution_ids")],
    )
    def test_what_cannot_be_is_named(self, action: str, ids: list[UUID], field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            create_bulk_action(action, actor=ACTOR, execution_ids=ids)
        assert refused.value.field == field
        assert not BulkAction.objects.exists()

    def test_too_many_are_refused_before_anything_is_done(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bulk, "MAX_ITEMS", 2)
        suspended(3)
        with pytest.raises(InvalidInput, match="more than 2"):
            create_bulk_action("stop", actor=ACTOR, filters=ExecutionFilters())
        assert not BulkItem.objects.exists()

    def test_a_canary_is_a_number_of_executions(self) -> None:
        bulk_id = create_bulk_action("stop", actor=ACTOR, execution_ids=suspended(1))
        for canary in (0, -1, True):
            with pytest.raises(InvalidInput, match="canary"):
                start_bulk_action(bulk_id, actor=ACTOR, canary=canary)


class TestPreview:
    def test_it_counts_what_would_act_and_groups_what_would_be_refused(self) -> None:
        redriven = [make_execution(status="FAILED", superseded_by=uuid7()).pk for _ in range(2)]
        failed, live, gone = make_execution(status="FAILED"), make_execution(), make_execution(status="FAILED")
        ids = [failed.pk, *redriven, live.pk, gone.pk]
        bulk_id = create_bulk_action("redrive", actor=ACTOR, execution_ids=ids)
        Execution.objects.filter(pk=gone.pk).delete()
        preview = bulk_preview(bulk_id)
        assert preview is not None
        assert preview.would_act == 1
        assert [(group.count, group.reason[:40]) for group in preview.refused] == [
            (2, "The execution goes on as another one alr"),
            (1, "The execution is PENDING; only one that "),
            (1, "There is no such execution any more."),
        ]

    def test_skipping_needs_a_wait_and_running_again_nothing(self) -> None:
        waits, ended = make_execution(status="SUSPENDED"), make_execution(status="SUCCEEDED")
        make_timer(waits, kind="wait")
        ids = [waits.pk, ended.pk, make_execution(status="SUSPENDED").pk]
        preview = bulk_preview(create_bulk_action("skip", actor=ACTOR, execution_ids=ids))
        assert preview is not None
        assert (preview.would_act, sum(group.count for group in preview.refused)) == (1, 2)
        assert "No wait of the execution is under way." in {group.reason for group in preview.refused}
        preview = bulk_preview(create_bulk_action("rerun", actor=ACTOR, execution_ids=ids))
        assert preview is not None
        assert (preview.would_act, list(preview.refused)) == (3, [])

    def test_a_retry_needs_a_step_in_back_off(self) -> None:
        backs_off, waits = make_execution(status="SUSPENDED"), make_execution(status="SUSPENDED")
        make_back_off(backs_off)
        preview = bulk_preview(create_bulk_action("retry", actor=ACTOR, execution_ids=[backs_off.pk, waits.pk]))
        assert preview is not None
        assert (preview.would_act, preview.refused[0].reason) == (1, "No step of the execution is waiting for a retry.")

    def test_there_is_none_of_what_does_not_exist(self) -> None:
        assert bulk_preview(uuid7()) is None
        assert bulk_action(uuid7()) is None
