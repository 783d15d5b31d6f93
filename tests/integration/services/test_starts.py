"""Starting executions: what is written, which names are shared, what is refused."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from durable_engine.models import AuditEntry, Event, Execution
from durable_engine.sdk import registry
from durable_engine.sdk.limits import ConcurrencyLimit
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import ExecutionAlreadyStarted, FunctionNotFound, InvalidInput
from durable_engine.services.executions import StartedExecution, StartRequest, start_execution, start_executions
from durable_engine.storage.connection import open_engine_connection
from tests.factories import make_function
from tests.integration.races import Other, race, wait_until_one_waits

ACTOR = Actor("ana", channel="dashboard")
ONE_SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.django_db


def start(input_text: str = "{}", function: str = "orders", **options: Any) -> StartedExecution:
    return start_execution(function, input_text, actor=ACTOR, **options)


class TestWhatIsWritten:
    def test_a_start_is_a_pending_row_with_its_first_event(self) -> None:
        started = start('{"order": 7}', name="order-7", tags={"team": "billing"})
        execution = Execution.objects.get(pk=started.id)
        event = Event.objects.get(execution=execution)
        assert (execution.status, execution.function, execution.name) == ("PENDING", "orders", "order-7")
        assert (execution.tags, execution.queue, execution.last_event_id) == ({"team": "billing"}, "durable", 1)
        assert (event.event_id, event.event_type, event.payload) == (1, "ExecutionStarted", '{"order": 7}')
        assert execution.ready_at == execution.created_at == event.event_at == execution.last_event_at
        assert started.created

    def test_the_input_is_stored_byte_for_byte(self) -> None:
        text = '{ "amount" : 1.50, "name": "Zo\\u00eb\\u0000",\n "big": 12345678901234567890123 }'
        assert Event.objects.get(execution_id=start(text).id).payload == text

    def test_the_latest_version_is_pinned_unless_one_is_given(self) -> None:
        make_function("orders", 3)
        assert Execution.objects.get(pk=start().id).version == 3
        assert Execution.objects.get(pk=start(version=1).id).version == 1

    @pytest.mark.parametrize(
        ("function", "version"),
        [("orders:1", 1), ("orders:$LATEST", 3), ("arn:aws:lambda:eu-west-1:123456789012:function:orders:1", 1)],
    )
    def test_a_function_may_be_named_with_its_version_or_by_an_arn(self, function: str, version: int) -> None:
        make_function("orders", 3)
        execution = Execution.objects.get(pk=start(function=function).id)
        assert (execution.function, execution.version) == ("orders", version)

    def test_a_function_only_workers_know_takes_its_options_from_their_registration(self) -> None:
        make_function("elsewhere", config={"queue": "gpu", "execution_timeout_seconds": 60})
        execution = Execution.objects.get(pk=start(function="elsewhere").id)
        assert execution.queue == "gpu"
        assert execution.expires_at == execution.created_at + timedelta(seconds=60)

    def test_the_execution_timeout_counts_from_when_it_may_run(self) -> None:
        started = start('{"order": "A", "amount": 1}', "refund", delay_seconds=30)
        execution = Execution.objects.get(pk=started.id)
        assert execution.ready_at == execution.created_at + timedelta(seconds=30)
        assert execution.expires_at == execution.created_at + timedelta(seconds=630)
        assert Event.objects.get(execution=execution).details == {"execution_timeout_seconds": 600.0}

    def test_a_delayed_start_is_left_for_the_scheduler_to_dispatch(self) -> None:
        assert Execution.objects.get(pk=start(delay_seconds=0.5).id).dispatched_at is None
        assert Execution.objects.get(pk=start().id).dispatched_at is not None

    def test_an_unnamed_execution_gets_a_name_of_its_own(self) -> None:
        first, second = start(), start()
        assert first.created
        assert second.created
        assert first.name != second.name

    def test_the_audit_says_who_started_it(self) -> None:
        entry = AuditEntry.objects.get(execution_id=start().id)
        assert (entry.actor, entry.channel, entry.action) == ("ana", "dashboard", "start_execution")

    def test_a_rolled_back_transaction_leaves_no_execution(self) -> None:
        with transaction.atomic():
            start(name="lost")
            transaction.set_rollback(True)
        assert not Execution.objects.exists()
        assert not AuditEntry.objects.exists()


class TestNames:
    def test_the_same_name_and_input_give_the_same_execution(self) -> None:
        first = start('{"a": 1, "b": [1, 2]}', name="once")
        again = start('{"b":[1,2],"a":1}', name="once")
        assert again == StartedExecution(first.id, "once", created=False)
        assert Execution.objects.count() == 1

    def test_a_start_that_found_one_is_not_audited_again(self) -> None:
        start(name="once")
        start(name="once")
        assert AuditEntry.objects.count() == 1

    def test_a_closed_execution_keeps_its_name(self) -> None:
        first = start(name="once")
        Execution.objects.filter(pk=first.id).update(status="SUCCEEDED", closed_at="2026-01-01T00:00Z")
        assert start(name="once").id == first.id

    def test_another_input_is_refused_and_names_the_execution(self) -> None:
        first = start('{"amount": 1}', name="once")
        with pytest.raises(ExecutionAlreadyStarted, match=str(first.id)) as refused:
            start('{"amount": 2}', name="once")
        assert (refused.value.execution_id, refused.value.status_code) == (first.id, 409)

    @pytest.mark.parametrize(
        ("one", "other", "same"),
        [
            ("1.0", "1.00", True),
            ("1", "1.0", False),
            ("1e2", "100.0", True),
            ('"\\u00e9"', '"é"', True),
            ("0", "false", False),
        ],
    )
    def test_inputs_are_equal_when_the_handler_reads_the_same(self, one: str, other: str, same: bool) -> None:
        start(one, name="once")
        if same:
            assert not start(other, name="once").created
        else:
            with pytest.raises(ExecutionAlreadyStarted):
                start(other, name="once")

    def test_a_name_belongs_to_its_function(self) -> None:
        start(name="once")
        assert start('{"order": "A", "amount": 1}', "refund", name="once").created

    def test_a_superseded_execution_has_given_its_name_away(self) -> None:
        first = start(name="once")
        Execution.objects.filter(pk=first.id).update(superseded_by=first.id)
        assert start('{"other": 1}', name="once").created

    @pytest.mark.parametrize("name", ["", "a b", "é", "a" * 65, "a\n", "a/b"])
    def test_a_bad_name_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            start(name=name)
        assert refused.value.field == "name"


class TestTwoAtOnce:
    pytestmark = pytest.mark.django_db(transaction=True)

    def test_two_starts_of_one_name_make_one_execution(self) -> None:
        second = race(lambda: start(name="once"), lambda: start(name="once"))
        execution = Execution.objects.get()
        assert second.result == StartedExecution(execution.pk, "once", created=False)

    def test_two_starts_of_one_name_with_different_inputs_leave_the_first(self) -> None:
        second = race(lambda: start("1", name="once"), lambda: start("2", name="once"))
        assert isinstance(second.error, ExecutionAlreadyStarted)
        assert Event.objects.get().payload == "1"

    def test_the_second_start_goes_through_when_the_first_rolls_back(self) -> None:
        with transaction.atomic():
            start("1", name="once")
            other = Other(lambda: start("2", name="once"))
            wait_until_one_waits()
            transaction.set_rollback(True)
        assert other.join().result.created
        assert Event.objects.get().payload == "2"

    def test_a_name_that_retention_frees_in_between_is_started_anew(self) -> None:
        old = start("1", name="once")

        def delete_before_the_look_up(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            # The insert has found the name taken; its owner is gone when the next statement asks for it.
            if sql.startswith("SELECT") and "payload_hash" in sql:
                with open_engine_connection() as retention:
                    retention.execute("DELETE FROM durable_event WHERE execution_id = %s", (old.id,))
                    retention.execute("DELETE FROM durable_execution WHERE id = %s", (old.id,))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(delete_before_the_look_up):
            new = start("2", name="once")
        assert new.created
        assert Execution.objects.get().pk == new.id

    def test_bulk_starts_with_the_same_names_do_not_deadlock(self) -> None:
        names = [f"n{number}" for number in range(20)]
        requests = [StartRequest("orders", "{}", name=name) for name in names]
        second = race(
            lambda: start_executions(requests, actor=ACTOR), lambda: start_executions(requests[::-1], actor=ACTOR)
        )
        assert second.error is None
        assert Execution.objects.count() == 20


class TestBulk:
    def test_many_start_with_a_constant_number_of_statements(self) -> None:
        with CaptureQueriesContext(
            connection,
        ) as few:
            start_executions([StartRequest("orders", "{}")] * 2, actor=ACTOR)
        with CaptureQueriesContext(connection) as many:
            start_executions([StartRequest("orders", "{}")] * 300, actor=ACTOR)
        assert len(few) == len(many)
        assert Execution.objects.count() == Event.objects.count() == AuditEntry.objects.count() == 302

    def test_answers_come_in_the_order_of_the_requests(self) -> None:
        old = start("1", name="b")
        requests = [StartRequest("orders", "1", name=name) for name in ("c", "b", "a", "c")]
        started = start_executions(requests, actor=ACTOR)
        assert [each.name for each in started] == ["c", "b", "a", "c"]
        assert started[1] == StartedExecution(old.id, "b", created=False)
        assert started[0].id == started[3].id
        assert [each.created for each in started] == [True, False, True, False]

    def test_one_bad_request_starts_nothing(self) -> None:
        requests = [StartRequest("orders", "1"), StartRequest("orders", "nope")]
        with pytest.raises(InvalidInput):
            start_executions(requests, actor=ACTOR)
        start("1", name="taken")
        with pytest.raises(ExecutionAlreadyStarted):
            start_executions(
                [StartRequest("orders", "1", name="new"), StartRequest("orders", "2", name="taken")], actor=ACTOR
            )
        assert Execution.objects.count() == 1


class TestRefusals:
    def test_an_unknown_function_names_the_known_ones_closest_first(self) -> None:
        make_function("archive")
        with pytest.raises(FunctionNotFound) as refused:
            start(function="order")
        assert refused.value.known == ["orders", "archive", "refund"]
        assert "Did you mean 'orders'?" in str(refused.value)
        assert refused.value.status_code == 404

    def test_an_unknown_version_names_the_known_ones(self) -> None:
        with pytest.raises(FunctionNotFound, match=r"no version 9 of function 'orders'\. Known versions: 1, 2"):
            start(version=9)

    def test_a_name_with_a_version_and_another_version_contradict_each_other(self) -> None:
        with pytest.raises(InvalidInput, match="2 is not the version in 'orders:1'"):
            start(function="orders:1", version=2)

    @pytest.mark.parametrize("version", [0, -1, True, "1"])
    def test_a_version_is_a_whole_number_from_1(self, version: Any) -> None:
        with pytest.raises(InvalidInput, match="version"):
            start(version=version)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "{'a': 1}",
            "nope",
            "NaN",
            "[Infinity]",
            "1e999",
            "1" * 4301,
            '"a\x00b"',
            "[1,]",
            '"\ud800"',
            '"\\ud800"',
        ],
    )
    def test_an_input_that_is_not_json_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            start(text)
        assert refused.value.field == "input"
        assert not Execution.objects.exists()

    def test_an_input_must_be_text(self) -> None:
        with pytest.raises(InvalidInput, match="must be text, not dict"):
            start({"a": 1})  # type: ignore[arg-type]

    def test_six_mebibytes_are_accepted_and_one_byte_more_is_not(self) -> None:
        assert start('"' + "é" * ((6_291_456 - 2) // 2) + '"').created
        with pytest.raises(InvalidInput, match=r"6,291,457 bytes; at most 6,291,456"):
            start('"' + "a" * (6_291_456 - 1) + '"')

    def test_64_levels_are_accepted_and_65_are_not(self) -> None:
        assert start("[" * 64 + "1" + "]" * 64).created
        for deep in ("[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "[" * 100_000 + "]" * 100_000):
            with pytest.raises(InvalidInput, match="deeper than 64"):
                start(deep)

    @pytest.mark.parametrize("delay", [-1, -0.001, math.nan, math.inf, 366 * 86_400 + 1, "5", True])
    def test_an_absurd_delay_is_refused(self, delay: Any) -> None:
        with pytest.raises(InvalidInput) as refused:
            start(delay_seconds=delay)
        assert refused.value.field == "delay"

    def test_366_days_are_accepted(self) -> None:
        assert start(delay_seconds=366 * 86_400).created

    @pytest.mark.parametrize(
        "tags",
        [
            {"": "x"},
            {"k": 1},
            {"k": "x" * 257},
            {"k" * 129: "x"},
            {"k": "\x00"},
            {"k": "\ud800"},
            {str(n): "" for n in range(51)},
            "team",
        ],
    )
    def test_tags_map_short_text_to_short_text(self, tags: Any) -> None:
        with pytest.raises(InvalidInput) as refused:
            start(tags=tags)
        assert refused.value.field == "tags"

    @pytest.mark.parametrize(
        ("value", "field"),
        [({"order": "A"}, "input.amount"), ({"order": "A", "amount": "much"}, "input.amount"), ([], "input")],
    )
    def test_an_input_its_handler_describes_differently_is_refused(self, value: Any, field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            start(json.dumps(value), "refund")
        assert refused.value.field == field


class TestWhereAndWhen:
    @pytest.fixture(autouse=True)
    def limited(self) -> None:
        registry.register(DurableHandler("limited", 1, lambda event, context: None, limit=ConcurrencyLimit(1)))

    def test_a_start_may_choose_priority_queue_and_key(self) -> None:
        started = start(function="limited", priority=7, queue="bulk", concurrency_key="A-1")
        execution = Execution.objects.get(pk=started.id)
        assert (execution.priority, execution.queue, execution.concurrency_key) == (7, "bulk", "limited/A-1")

    def test_without_them_the_function_decides(self) -> None:
        execution = Execution.objects.get(pk=start(function="limited").id)
        assert (execution.priority, execution.queue, execution.concurrency_key) == (0, "durable", None)

    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"priority": 1001}, "priority"),
            ({"priority": True}, "priority"),
            ({"priority": 1.5}, "priority"),
            ({"queue": ""}, "queue"),
            ({"queue": "a b"}, "queue"),
            ({"concurrency_key": ""}, "concurrency_key"),
            ({"concurrency_key": "x" * 257}, "concurrency_key"),
        ],
    )
    def test_what_cannot_be_is_named(self, options: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidInput) as refused:
            start(function="limited", **options)
        assert refused.value.field == field

    def test_a_key_without_a_limit_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="no limit"):
            start(function="orders", concurrency_key="A-1")
