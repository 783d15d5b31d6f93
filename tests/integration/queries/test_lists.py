"""The smaller lists: open callbacks, functions, workers, the audit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from durable_engine.queries.audit import list_audit_entries
from durable_engine.queries.callbacks import callback_of, open_callbacks_of, pending_callbacks
from durable_engine.queries.functions import function_named, list_functions
from durable_engine.queries.workers import live_workers, worker_with
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.actors import Actor
from durable_engine.services.audit import record_audit
from tests.factories import make_callback, make_execution, make_function, make_user, make_worker

pytestmark = pytest.mark.django_db


def handle(event: Any, context: Any) -> None:
    """Do nothing."""


class TestCallbacks:
    def test_the_inbox_has_open_callbacks_oldest_first_in_one_query(self) -> None:
        now = timezone.now()
        for number in (2, 1, 3):
            execution = make_execution(
                status="SUSPENDED", function=f"f{number}", created_at=now - timedelta(hours=number)
            )
            make_callback(execution, "2", name=f"approval {number}")
        make_callback(make_execution(), "1", name="done", status="SUCCEEDED")
        with CaptureQueriesContext(connection) as queries:
            page = pending_callbacks(limit=2)
        assert len(queries) == 1
        assert [(callback.function, callback.name) for callback in page.items] == [
            ("f3", "approval 3"),
            ("f2", "approval 2"),
        ]
        last = pending_callbacks(page.next, limit=2)
        assert [callback.name for callback in last.items] == ["approval 1"]
        assert [callback.name for callback in pending_callbacks(last.previous, limit=2).items] == [
            "approval 3",
            "approval 2",
        ]
        assert [callback.name for callback in pending_callbacks(function="f1").items] == ["approval 1"]

    def test_of_one_execution_and_of_one_operation(self) -> None:
        execution = make_execution(status="SUSPENDED", name="contract")
        make_callback(execution, "2", timeout_seconds=60)
        make_callback(execution, "3", status="FAILED", completed_by="ana")
        assert [callback.operation_id for callback in open_callbacks_of(execution.pk)] == ["2"]
        callback = callback_of(execution.pk, "3")
        assert callback is not None
        assert (callback.status, callback.completed_by, callback.execution_name) == ("FAILED", "ana", "contract")
        assert callback_of(execution.pk, "9") is None


class TestFunctions:
    def test_registered_and_imported_ones_are_listed_with_their_latest_version(self) -> None:
        make_function("archive", description="Files things.", config={"input_schema": {"type": "object"}})
        make_function("orders", 1)
        make_function("orders", 3)
        make_worker(functions=["orders:3", "archive:1"])
        make_worker(functions=["orders:1"])
        with registry.isolated():
            registry.register(DurableHandler("local", 1, handle, description="Only here."))
            listed = list_functions()
            local = function_named("local")
        summary = [(view.name, view.version, view.versions, view.live_workers) for view in listed]
        assert summary == [("archive", 1, (1,), 1), ("local", 1, (1,), 0), ("orders", 3, (3, 1), 1)]
        assert (listed[0].input_schema, listed[0].description) == ({"type": "object"}, "Files things.")
        assert local is not None
        assert (local.seen_at, local.description) == (None, "Only here.")
        assert listed[0].seen_at is not None

    def test_an_unknown_one_is_none(self) -> None:
        assert function_named("nope") is None
        assert function_named("a\x00b") is None


class TestWorkers:
    def test_live_are_those_heard_of_within_a_lease(self) -> None:
        lease = timedelta(seconds=settings.DURABLE_LEASE_SECONDS)
        live = make_worker(hostname="live", pid=1)
        silent = make_worker(hostname="silent", last_seen=timezone.now() - lease - timedelta(seconds=1))
        make_worker(hostname="lost", lost_at=timezone.now())
        assert [worker.label for worker in live_workers()] == ["live:1"]
        seen = worker_with(silent.pk)
        assert seen is not None
        assert seen.silent_for > lease
        live.delete()
        assert worker_with(live.id) is None


class TestAudit:
    def test_entries_are_listed_newest_first_and_of_one_execution(self) -> None:
        first, second = make_execution().pk, make_execution().pk
        ana = make_user("ana")
        actor = Actor.of_user(ana)
        record_audit(actor, "stop_execution", execution_id=first, reason="wrong")
        record_audit(actor, "retry_now", execution_id=second, operation_id="3", details={"a": 1})
        assert [entry.action for entry in list_audit_entries().items] == ["retry_now", "stop_execution"]
        (entry,) = list_audit_entries(execution_id=second).items
        assert (entry.user_id, entry.actor, entry.channel, entry.operation_id) == (ana.pk, "ana", "dashboard", "3")
        ana.delete()
        (entry,) = list_audit_entries(execution_id=second).items
        assert (entry.user_id, entry.actor) == (None, "ana")
