"""Deleting executions by hand and when their retention is over: what goes, what stays, what is not touched."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from uuid_utils.compat import uuid7

from durable_engine.models import AuditEntry, Callback, Event, Execution, Timer
from durable_engine.queries.executions import execution_revision
from durable_engine.services.actors import Actor
from durable_engine.services.callback_ids import callback_id_for
from durable_engine.services.callbacks import complete_callback
from durable_engine.services.copies import redrive_execution
from durable_engine.services.deletions import delete_execution, delete_expired_executions
from durable_engine.services.exceptions import ActionRefused, ExecutionNotFound, StaleRevision
from durable_engine.services.executions import start_execution, stop_execution
from durable_engine.storage import deletions
from tests.factories import make_back_off, make_callback, make_execution, make_function

ACTOR = Actor("ana", channel="dashboard")
DAY = timedelta(days=1)
DAY_SECONDS = 86_400.0

pytestmark = pytest.mark.django_db


def ended(days_ago: float = 2, **columns: Any) -> Execution:
    return make_execution(status="FAILED", closed_at=timezone.now() - days_ago * DAY, **columns)


def with_callback_in_use() -> Execution:
    """A stopped execution whose callback is open in the one that goes on from it."""
    execution = make_execution()
    make_callback(execution)
    stop_execution(execution.pk, actor=ACTOR)
    redrive_execution(execution.pk, actor=ACTOR)
    return execution


class TestByHand:
    def test_nothing_is_left_of_it_but_the_audit(self) -> None:
        execution = ended(name="order-7")
        make_back_off(execution)
        make_callback(execution, "2", status="CANCELLED")
        delete_execution(execution.pk, actor=ACTOR, reason="test data")
        for model in (Execution, Event, Timer, Callback):
            assert not model.objects.exists()
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.execution_id, entry.reason) == ("delete_execution", execution.pk, "test data")
        assert entry.details == {"function": "orders", "name": "order-7", "status": "FAILED"}

    def test_its_name_is_free_again(self) -> None:
        execution = ended(name="order-7")
        delete_execution(execution.pk, actor=ACTOR)
        assert start_execution("orders", '{"other": 1}', actor=ACTOR, name="order-7").created

    def test_the_number_of_queries_does_not_depend_on_the_history(self) -> None:
        def queries(back_offs: int) -> int:
            execution = ended()
            for number in range(back_offs):
                make_back_off(execution, str(number))
            with CaptureQueriesContext(connection) as captured:
                delete_execution(execution.pk, actor=ACTOR)
            return len(captured)

        assert queries(1) == queries(30)

    def test_its_children_and_copies_stay(self) -> None:
        parent = ended()
        child = ended(parent_execution_id=parent.pk, parent_operation_id="1", parent_notified=True)
        copy = ended(origin_id=parent.pk, origin_kind="fork")
        delete_execution(parent.pk, actor=ACTOR)
        assert set(Execution.objects.values_list("pk", flat=True)) == {child.pk, copy.pk}

    @pytest.mark.parametrize("status", ["PENDING", "SUSPENDED", "PAUSED", "RUNNING"])
    def test_what_is_live_is_refused(self, status: str) -> None:
        with pytest.raises(ActionRefused, match="Stop it first"):
            delete_execution(make_execution(status=status).pk, actor=ACTOR)

    def test_a_child_whose_parent_has_not_been_told_is_refused(self) -> None:
        parent = make_execution(status="SUSPENDED")
        child = ended(parent_execution_id=parent.pk, parent_operation_id="1")
        with pytest.raises(ActionRefused, match="told"):
            delete_execution(child.pk, actor=ACTOR)

    def test_ids_that_people_hold_of_open_callbacks_keep_working(self) -> None:
        execution = with_callback_in_use()
        with pytest.raises(ActionRefused, match="People hold ids"):
            delete_execution(execution.pk, actor=ACTOR)
        complete_callback(callback_id_for(execution.pk, "1"), actor=ACTOR, succeed="yes")
        delete_execution(execution.pk, actor=ACTOR)

    def test_unknown_and_stale(self) -> None:
        with pytest.raises(ExecutionNotFound):
            delete_execution(uuid7(), actor=ACTOR)
        execution = make_execution()
        seen = execution_revision(execution.pk)
        stop_execution(execution.pk, actor=ACTOR)
        with pytest.raises(StaleRevision):
            delete_execution(execution.pk, actor=ACTOR, seen_revision=seen)


class TestRetention:
    def test_each_function_has_its_own_and_none_keeps_for_ever(self) -> None:
        make_function("short", config={"retention_seconds": DAY_SECONDS})
        make_function("long", config={"retention_seconds": 3 * DAY_SECONDS})
        make_function("kept")
        for function in ("short", "long", "kept"):
            ended(function=function)
        assert not delete_expired_executions(None)
        assert set(Execution.objects.values_list("function", flat=True)) == {"long", "kept"}

    def test_the_default_is_for_functions_that_say_nothing(self) -> None:
        make_function("long", config={"retention_seconds": 3 * DAY_SECONDS})
        make_function("silent")
        for function in ("long", "silent"):
            ended(function=function)
        delete_expired_executions(DAY_SECONDS)
        assert Execution.objects.get().function == "long"

    def test_the_version_that_ran_decides(self) -> None:
        make_function("orders", 1, config={"retention_seconds": DAY_SECONDS})
        make_function("orders", 2, config={"retention_seconds": 3 * DAY_SECONDS})
        ended(version=1)
        kept = ended(version=2)
        delete_expired_executions(None)
        assert Execution.objects.get().pk == kept.pk

    def test_what_is_live_young_or_needed_stays(self) -> None:
        make_function("orders", config={"retention_seconds": DAY_SECONDS})
        make_execution(status="SUSPENDED", created_at=timezone.now() - 9 * DAY)
        ended(days_ago=0.5)
        ended(parent_execution_id=uuid7(), parent_operation_id="1")
        needed = with_callback_in_use()
        Execution.objects.filter(pk=needed.pk).update(closed_at=timezone.now() - 2 * DAY)
        before = Execution.objects.count()
        delete_expired_executions(None)
        assert Execution.objects.count() == before

    def test_one_transaction_deletes_a_bounded_amount(self, monkeypatch: pytest.MonkeyPatch) -> None:
        make_function("orders", config={"retention_seconds": DAY_SECONDS})
        for _ in range(3):
            ended()
        # Two events each: a third one would be above the limit.
        sql = deletions._EXPIRED.replace(f"events_before < {deletions.MOST_EVENTS}", "events_before < 4")
        monkeypatch.setattr(deletions, "_EXPIRED", sql)
        assert delete_expired_executions(None)
        assert Execution.objects.count() == 1
        assert not delete_expired_executions(None)
        assert not Execution.objects.exists()
