"""Lists and single executions: filters, pages in both directions, counts, revisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from uuid_utils.compat import uuid7

from durable_engine.models import Execution
from durable_engine.queries import executions as queries
from durable_engine.queries.executions import list_executions
from durable_engine.queries.filters import ExecutionFilters
from tests.factories import make_execution

START = datetime(2026, 3, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def make_many(count: int) -> list[str]:
    """Executions of which each two share their time; returns the names, newest first."""
    now = [START + timedelta(seconds=number // 2) for number in range(count)]
    rows = [
        Execution(id=uuid7(), function="orders", name=f"n{number}", payload_hash="", created_at=at)
        for number, at in enumerate(now)
    ]
    Execution.objects.bulk_create(rows)
    return [row.name for row in sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True)]


def names(filters: ExecutionFilters) -> list[str]:
    return [row.name for row in list_executions(filters).items]


class TestPages:
    def test_pages_lead_through_all_and_back(self) -> None:
        expected = make_many(11)
        cursor, seen, pages = None, [], []
        while True:
            page = list_executions(cursor=cursor, limit=4)
            pages.append([row.name for row in page.items])
            seen += pages[-1]
            if page.next is None:
                break
            cursor = page.next
        assert seen == expected
        back = [pages[-1]]
        while page.previous is not None:
            page = list_executions(cursor=page.previous, limit=4)
            back.append([row.name for row in page.items])
        assert back[::-1] == pages
        assert page.next is not None

    def test_a_list_that_fits_has_no_other_pages(self) -> None:
        make_many(3)
        page = list_executions(limit=3)
        assert (page.next, page.previous) == (None, None)

    def test_an_empty_list_is_one_empty_page(self) -> None:
        assert list(list_executions(cursor="nonsense").items) == []

    @pytest.mark.parametrize(
        "cursor", ["x", "é", "W10", "WzEsMiwzXQ", "a" * 5000, "bnVsbA", "WyIyMDI2LTAxLTAxIiwgIjEiLCAwXQ", "\x00"]
    )
    def test_a_cursor_that_cannot_be_read_gives_the_first_page(self, cursor: str) -> None:
        expected = make_many(3)
        assert [row.name for row in list_executions(cursor=cursor, limit=2).items] == expected[:2]

    def test_a_page_beyond_which_everything_was_deleted_gives_the_first(self) -> None:
        make_many(4)
        cursor = list_executions(limit=2).next
        newest = list_executions(limit=1).items[0]
        Execution.objects.exclude(pk=newest.id).delete()
        assert [row.id for row in list_executions(cursor=cursor, limit=2).items] == [newest.id]

    def test_a_page_is_one_query_that_seeks_in_the_index(self) -> None:
        make_many(6)
        cursor = list_executions(limit=2).next
        with CaptureQueriesContext(connection) as captured:
            list_executions(cursor=cursor, limit=2)
        assert len(captured) == 1
        # Without the first of these conditions Postgres walks through everything before the page.
        assert '"created_at" <=' in captured[0]["sql"]
        assert "payload" not in captured[0]["sql"]


class TestFilters:
    def test_by_status_and_function(self) -> None:
        make_execution(name="a", status="FAILED")
        make_execution(name="b")
        make_execution(name="c", function="refund", status="FAILED")
        assert names(ExecutionFilters(status="FAILED")) == ["c", "a"]
        assert names(ExecutionFilters(status="FAILED", function="orders")) == ["a"]

    def test_by_the_beginning_of_a_name(self) -> None:
        for name in ("order-1", "order-2", "my-order", "ORDER-3"):
            make_execution(name=name)
        assert sorted(names(ExecutionFilters(text="order"))) == ["order-1", "order-2"]
        assert names(ExecutionFilters(text="ord%")) == []
        assert names(ExecutionFilters(text="x" * 10_000)) == []

    def test_by_an_id_or_the_beginning_of_it(self) -> None:
        wanted = make_execution(id=UUID("0198aaaa-0000-7000-8000-000000000001"), name="wanted")
        make_execution(id=UUID("0198bbbb-0000-7000-8000-000000000001"), name="other")
        for text in (str(wanted.pk), "0198aaaa", "0198AAAA-00", wanted.pk.hex):
            assert names(ExecutionFilters(text=text)) == ["wanted"]

    def test_names_and_ids_are_both_found_by_an_index(self) -> None:
        make_many(400)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE durable_execution")
        with CaptureQueriesContext(connection) as captured:
            list_executions(ExecutionFilters(text="abcd"))
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("EXPLAIN " + captured[0]["sql"].partition("ORDER BY")[0])
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "durable_execution_name_prefix" in plan
        assert "durable_execution_pkey" in plan


class TestOneExecution:
    def test_a_summary_has_everything_but_payloads(self) -> None:
        execution = make_execution(
            status="PAUSED", pause_kind="crashes", pause_reason="died", tags={"a": "b"}, crash_count=5
        )
        summary = queries.execution_summary(execution.pk)
        assert summary is not None
        assert (summary.id, summary.name, summary.tags, summary.pause_reason) == (
            execution.pk,
            execution.name,
            {"a": "b"},
            "died",
        )
        assert not summary.is_closed
        assert summary.revision == queries.execution_revision(execution.pk) == queries.revision_of(execution)
        assert queries.execution_summary(uuid7()) is None

    @pytest.mark.parametrize(
        "change", [{"last_event_id": 2}, {"fence": 1}, {"signal": 1}, {"status": "PAUSED"}, {"crash_count": 1}]
    )
    def test_the_revision_changes_with_the_execution(self, change: dict[str, object]) -> None:
        execution = make_execution()
        before = queries.execution_revision(execution.pk)
        Execution.objects.filter(pk=execution.pk).update(**change)
        assert queries.execution_revision(execution.pk) != before

    def test_the_revision_is_one_query_and_none_for_an_unknown_execution(self) -> None:
        with CaptureQueriesContext(connection) as captured:
            assert queries.execution_revision(uuid7()) is None
        assert len(captured) == 1

    def test_input_and_outcome_are_read_from_the_first_and_last_events(self) -> None:
        succeeded = make_execution(input_text='{"a": 1.50}', status="SUCCEEDED", result='"ok"')
        error = {"ErrorType": "StepError", "ErrorMessage": "boom"}
        failed = make_execution(status="FAILED", error=error)
        live = make_execution()
        assert queries.input_of(succeeded.pk) == '{"a": 1.50}'
        outcome = queries.outcome_of(succeeded.pk)
        assert outcome is not None
        assert (outcome.status, outcome.result, outcome.error) == ("SUCCEEDED", '"ok"', None)
        outcome = queries.outcome_of(failed.pk)
        assert outcome is not None
        assert outcome.error is not None
        assert (outcome.result, outcome.error.type, outcome.error.message) == (None, "StepError", "boom")
        assert queries.outcome_of(live.pk) is None
        assert queries.outcome_of(uuid7()) is None
        assert queries.input_of(uuid7()) is None


def test_counts_stop_at_the_cap() -> None:
    make_many(5)
    make_execution(status="FAILED")
    counts = queries.capped_status_counts()
    assert (counts["PENDING"], counts["FAILED"], counts["RUNNING"]) == (5, 1, 0)
    with CaptureQueriesContext(connection) as captured:
        queries.capped_status_counts()
    assert len(captured) == 1
    assert captured[0]["sql"].count("LIMIT 10001") == 8
    assert len(counts) == 8
