"""Bulk actions on an operation: found by its name in each execution, by one rule for the preview and for the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from durable_engine.models import AuditEntry, BulkAction, BulkItem, Callback, Event, Execution
from durable_engine.queries import bulk as bulk_queries
from durable_engine.queries.bulk import BulkPreview, bulk_items, bulk_preview
from durable_engine.queries.bulk_options import BulkOptions, options_revision
from durable_engine.queries.named_operations import offered_names
from durable_engine.scheduler import bulk_actions
from durable_engine.scheduler.grace import OutageGrace
from durable_engine.scheduler.sweep import Round
from durable_engine.services.actors import Actor
from durable_engine.services.bulk import carry_out_item, change_bulk_options, create_bulk_action, start_bulk_action
from durable_engine.services.exceptions import ActionRefused, InvalidInput
from durable_engine.services.executions import pause_execution, stop_execution
from durable_engine.services.operations import complete_operation
from durable_engine.storage.connection import ConnectionHolder
from tests.factories import (
    add_event,
    event_types,
    make_back_off,
    make_callback,
    make_execution,
    make_running,
    make_timer,
)
from tests.integration.races import Other

ACTOR = Actor("ana", channel="dashboard")
PAID = BulkOptions(operation="charge", result_text='{"paid": "in cash"}')

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def this_round() -> Iterator[Round]:
    """What the sweep is given."""
    holder = ConnectionHolder()
    yield Round(holder.get(), OutageGrace(30))
    holder.discard()


def add_step(execution: Execution, operation_id: str, name: str, **columns: Any) -> None:
    about = {"operation_id": operation_id, "name": name, "subtype": "Step", "attempt": 1, **columns}
    add_event(execution, "StepStarted", **about)
    add_event(execution, "StepSucceeded", payload="1", **about)


def order(*steps: str) -> Execution:
    """An execution with these steps, then stopped."""
    execution = make_execution()
    for number, name in enumerate(steps, start=1):
        add_step(execution, str(number), name)
    stop_execution(execution.pk, actor=ACTOR)
    return execution


def backs_off() -> Execution:
    execution = make_execution(status="SUSPENDED")
    make_back_off(execution)
    return execution


def drawn_up(action: str, options: BulkOptions, *chosen: Execution) -> UUID:
    return create_bulk_action(action, actor=ACTOR, execution_ids=[each.pk for each in chosen], options=options)


def carried_out(bulk_id: UUID, this_round: Round) -> list[tuple[str, str]]:
    start_bulk_action(bulk_id, actor=ACTOR, reason="the bank is back")
    bulk_actions.sweep(this_round)
    return [(item.status, item.message) for item in bulk_items(bulk_id)]


def previewed(bulk_id: UUID) -> BulkPreview:
    preview = bulk_preview(bulk_id)
    assert preview is not None
    return preview


class TestRewindAndFork:
    def test_each_is_rewound_to_the_operation_with_the_name_whatever_its_id(self, this_round: Round) -> None:
        short, long = order("charge", "send"), order("check", "reserve", "charge", "send")
        bulk_id = drawn_up("rewind", BulkOptions(operation="charge"), short, long)
        assert previewed(bulk_id) == BulkPreview(2, [])
        assert carried_out(bulk_id, this_round) == [("DONE", ""), ("DONE", "")]
        kept = []
        for item, source in zip(bulk_items(bulk_id), (short, long), strict=True):
            new = Execution.objects.get(origin_id=item.execution_id)
            assert (new.origin_id, new.origin_kind, new.status) == (source.pk, "rewind", "PENDING")
            kept.append(event_types(new.pk).count("StepSucceeded"))
        assert kept == [0, 2]
        entries = AuditEntry.objects.filter(action="rewind_execution", reason="the bank is back")
        assert sorted(entry.operation_id or "" for entry in entries) == ["1", "1", "3", "3"]

    def test_of_several_with_the_name_it_is_the_last_at_the_top_that_has_its_outcome(self, this_round: Round) -> None:
        execution = make_execution(status="PAUSED", paused_at=None)
        for operation_id in ("1", "2"):
            add_step(execution, operation_id, "charge")
        add_step(execution, "3-1", "charge", parent_id="3")
        make_back_off(execution, "4")
        bulk_id = drawn_up("rewind", BulkOptions(operation="charge", kind="step"), execution)
        assert carried_out(bulk_id, this_round) == [("DONE", "")]
        assert set(AuditEntry.objects.filter(action="rewind_execution").values_list("operation_id", flat=True)) == {"2"}

    def test_a_copy_of_each_is_forked_and_the_original_goes_on(self, this_round: Round) -> None:
        live = make_execution(status="SUSPENDED")
        add_step(live, "1", "charge")
        bulk_id = drawn_up("fork", BulkOptions(operation="charge", version=2), live)
        assert carried_out(bulk_id, this_round) == [("DONE", "")]
        (item,) = bulk_items(bulk_id)
        new = Execution.objects.get(origin_id=item.execution_id)
        assert (new.origin_kind, new.version, event_types(new.pk)) == ("fork", 2, ["ExecutionStarted"])
        live.refresh_from_db()
        assert (live.status, live.superseded_by) == ("SUSPENDED", None)

    def test_a_wait_for_callback_is_a_callback_by_the_name_it_was_given(self, this_round: Round) -> None:
        execution = make_execution(status="PAUSED", paused_at=None)
        about = {"operation_id": "1", "name": "approval", "subtype": "WaitForCallback"}
        add_event(execution, "ContextStarted", **about)
        add_event(execution, "ContextSucceeded", **about)
        bulk_id = drawn_up("rewind", BulkOptions(operation="approval", kind="callback"), execution)
        assert carried_out(bulk_id, this_round) == [("DONE", "")]


class TestComplete:
    def test_what_is_open_under_the_name_gets_the_outcome(self, this_round: Round) -> None:
        step, callback = backs_off(), make_execution(status="SUSPENDED")
        make_callback(callback, name="charge")
        inside = make_execution(status="SUSPENDED")
        add_event(inside, "ContextStarted", operation_id="1", name="charge", subtype="WaitForCallback")
        make_callback(inside, "1-1", name="charge create callback id", parent_id="1")
        bulk_id = drawn_up("complete", PAID, step, callback, inside)
        assert previewed(bulk_id) == BulkPreview(3, [])
        assert carried_out(bulk_id, this_round) == [("DONE", "")] * 3
        given = Event.objects.get(execution=callback, event_type="CallbackSucceeded").payload
        assert given == PAID.result_text
        assert "in cash" in (Event.objects.get(execution=step, event_type="StepSucceeded").payload or "")
        assert set(Callback.objects.values_list("status", flat=True)) == {"SUCCEEDED"}

    def test_an_error_is_an_outcome_too(self, this_round: Round) -> None:
        error = {"ErrorType": "Declined", "ErrorMessage": "no funds"}
        bulk_id = drawn_up("complete", BulkOptions(operation="charge", error=error), execution := backs_off())
        assert carried_out(bulk_id, this_round) == [("DONE", "")]
        failed = Event.objects.filter(execution=execution, event_type="StepFailed").order_by("event_id").last()
        assert failed is not None
        assert json.loads(failed.error or "") == error

    def test_the_value_is_in_no_audit_entry(self, this_round: Round) -> None:
        bulk_id = drawn_up("complete", PAID, backs_off())
        carried_out(bulk_id, this_round)
        started = AuditEntry.objects.get(action="start_bulk_action").details
        assert (started["operation"], started["outcome"]) == ("charge", "SUCCEEDED")
        assert not AuditEntry.objects.filter(details__icontains="in cash").exists()


def running_step() -> Execution:
    execution = make_execution()
    make_back_off(execution)
    return make_running(execution)


def two_open() -> Execution:
    execution = make_execution(status="SUSPENDED")
    make_back_off(execution)
    make_callback(execution, "2", name="charge")
    return execution


def waiting() -> Execution:
    execution = make_execution(status="SUSPENDED")
    add_event(execution, "WaitStarted", operation_id="1", name="charge", subtype="Wait")
    make_timer(execution, kind="wait")
    return execution


def in_context() -> Execution:
    execution = make_execution(status="PAUSED", paused_at=None)
    add_event(execution, "ContextStarted", operation_id="1", name="trip", subtype="RunInChildContext")
    add_step(execution, "1-1", "charge", parent_id="1")
    return execution


def open_context() -> Execution:
    execution = make_execution(status="SUSPENDED")
    add_event(execution, "ContextStarted", operation_id="1", name="charge", subtype="RunInChildContext")
    return execution


def paused_in_back_off() -> Execution:
    pause_execution((execution := backs_off()).pk, actor=ACTOR)
    return execution


REFUSED: list[tuple[str, BulkOptions, Callable[[], Execution], str]] = [
    ("rewind", BulkOptions(operation="pay"), lambda: order("charge"), "It has no operation named 'pay'."),
    ("rewind", BulkOptions(operation="charge", kind="wait"), lambda: order("charge"), "It has no wait named 'charge'."),
    ("rewind", BulkOptions(operation="charge"), backs_off, "The execution is SUSPENDED."),
    (
        "rewind",
        BulkOptions(operation="charge"),
        in_context,
        "Its operation named 'charge' is inside another operation.",
    ),
    ("rewind", BulkOptions(operation="charge"), paused_in_back_off, "Its operation named 'charge' has no outcome yet."),
    ("fork", BulkOptions(operation="charge"), backs_off, "Its operation named 'charge' has no outcome yet."),
    ("complete", PAID, lambda: order("charge"), "The execution can't be changed: it has ended and is STOPPED."),
    ("complete", PAID, running_step, "The execution is running, and so may the operation be."),
    ("complete", PAID, two_open, "More than one operation named 'charge' is open."),
    ("complete", PAID, waiting, "A wait has neither a result nor an error."),
    ("complete", PAID, in_context, "Its operation named 'charge' has its outcome already."),
    ("complete", PAID, open_context, "A context completes when its operations do."),
]


class TestRefusals:
    @pytest.mark.parametrize(("action", "options", "make", "reason"), REFUSED)
    def test_the_preview_says_what_the_run_says(
        self, this_round: Round, action: str, options: BulkOptions, make: Callable[[], Execution], reason: str
    ) -> None:
        execution = make()
        events = event_types(execution.pk)
        bulk_id = drawn_up(action, options, execution)
        preview = previewed(bulk_id)
        assert (preview.would_act, [(group.reason, group.count) for group in preview.refused]) == (0, [(reason, 1)])
        ((status, message),) = carried_out(bulk_id, this_round)
        assert status == "REFUSED"
        assert message == " ".join(filter(None, (reason, preview.refused[0].fix)))
        assert event_types(execution.pk) == events

    def test_one_that_changes_after_the_preview_is_refused_and_the_others_are_done(self, this_round: Round) -> None:
        chosen = [backs_off(), backs_off(), backs_off()]
        bulk_id = drawn_up("complete", PAID, *chosen)
        assert previewed(bulk_id).would_act == 3
        complete_operation(chosen[0].pk, "1", actor=Actor("bob"), result_text="7")
        Execution.objects.filter(pk=chosen[1].pk).delete()
        first, second, third = carried_out(bulk_id, this_round)
        assert first == ("REFUSED", "Its operation named 'charge' has its outcome already.")
        assert second[0] == "REFUSED"
        assert third == ("DONE", "")

    def test_of_two_who_complete_it_at_once_the_second_is_refused(self) -> None:
        execution = backs_off()
        start_bulk_action(bulk_id := drawn_up("complete", PAID, execution), actor=ACTOR)
        with transaction.atomic():
            complete_operation(execution.pk, "1", actor=Actor("bob"), result_text="7")
            assert Other(lambda: carry_out_item(bulk_id, 1)).join().result is False
        assert carry_out_item(bulk_id, 1)
        assert BulkItem.objects.get().message == "Its operation named 'charge' has its outcome already."
        assert event_types(execution.pk).count("StepSucceeded") == 1

    def test_of_histories_only_the_first_are_read_and_the_rest_is_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bulk_queries, "MOST_READ", 2)
        bulk_id = drawn_up("complete", PAID, *(backs_off() for _ in range(5)))
        assert previewed(bulk_id) == BulkPreview(2, [], unseen=3)


class TestOptions:
    def test_it_is_started_only_when_its_operation_is_named(self) -> None:
        bulk_id = drawn_up("rewind", BulkOptions(), order("charge"))
        assert previewed(bulk_id).refused[0].reason == "It is not said yet on which operation."
        with pytest.raises(ActionRefused, match="Name it first"):
            start_bulk_action(bulk_id, actor=ACTOR)
        change_bulk_options(bulk_id, BulkOptions(operation="charge"))
        assert previewed(bulk_id).would_act == 1
        start_bulk_action(bulk_id, actor=ACTOR)
        with pytest.raises(ActionRefused, match="running"):
            change_bulk_options(bulk_id, BulkOptions(operation="send"))

    def test_who_has_seen_other_options_does_not_start_it(self) -> None:
        bulk_id = drawn_up("complete", PAID, backs_off())
        seen = options_revision(BulkAction.objects.get().options)
        change_bulk_options(bulk_id, BulkOptions(operation="charge", result_text='{"paid": "by card"}'))
        with pytest.raises(ActionRefused, match="changed what it would do"):
            start_bulk_action(bulk_id, actor=ACTOR, seen_options=seen)
        start_bulk_action(bulk_id, actor=ACTOR, seen_options=options_revision(BulkAction.objects.get().options))

    def test_a_change_of_the_options_waits_for_a_start_and_is_refused(self) -> None:
        bulk_id = drawn_up("complete", PAID, backs_off())
        with transaction.atomic():
            start_bulk_action(bulk_id, actor=ACTOR)
            other = Other(lambda: change_bulk_options(bulk_id, BulkOptions(operation="send")))
        assert isinstance(other.join().error, ActionRefused)
        assert BulkAction.objects.get().options == PAID.to_json()

    @pytest.mark.parametrize(
        ("action", "options", "field"),
        [
            ("stop", BulkOptions(version=2), "version"),
            ("redrive", BulkOptions(operation="charge"), "operation"),
            ("rewind", BulkOptions(operation="charge", result_text="1"), "result_text"),
            ("rewind", BulkOptions(operation="charge", kind="thing"), "kind"),
            ("rewind", BulkOptions(operation="x" * 257), "operation"),
            ("rewind", BulkOptions(operation="a\x00b"), "operation"),
            ("complete", BulkOptions(operation="charge", result_text="{"), "result"),
            ("rewind", BulkOptions(operation="charge", input_text="1"), "input_text"),
            ("fork", BulkOptions(operation="charge", input_text="{"), "input"),
            ("complete", BulkOptions(operation="charge", result_text="1", error={"ErrorType": "X"}), "error"),
            ("complete", BulkOptions(operation="charge", error={"Cause": "X"}), "error"),
        ],
    )
    def test_what_it_can_t_have_is_named(self, action: str, options: BulkOptions, field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            drawn_up(action, options, order("charge"))
        assert refused.value.field == field
        assert not BulkAction.objects.exists()


class TestOfferedNames:
    def test_those_that_the_action_fits_come_first_by_how_many_have_them(self) -> None:
        both = [order("charge", "send"), order("charge")]
        bulk_id = drawn_up("rewind", BulkOptions(), *both, in_context(), backs_off())
        offered = [(each.name, each.kind, each.executions) for each in offered_names(bulk_id, "rewind")]
        assert offered == [("charge", "step", 2), ("send", "step", 1)]

    def test_to_complete_they_are_open(self) -> None:
        callback = make_execution(status="SUSPENDED")
        make_callback(callback, name="approval create callback id")
        bulk_id = drawn_up("complete", BulkOptions(), callback, backs_off(), order("send"), open_context())
        offered = [(each.name, each.kind) for each in offered_names(bulk_id, "complete")]
        assert offered == [("approval", "callback"), ("charge", "step")]
