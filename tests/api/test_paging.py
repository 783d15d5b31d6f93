"""Pages over long lists and histories: each item once, also while new ones arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from uuid_utils.compat import uuid7

from durable_engine.models import Execution
from tests.api.calls import arn_of, refused
from tests.factories import add_event, make_execution

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

EXECUTIONS = 5_000
EVENTS = 20_000


def make_many(function: str, count: int) -> None:
    """So many executions that have ended, started a second after each other, ten at a time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO durable_function (name, version, description, config, fingerprint, seen_at)"
            " VALUES (%s, 1, '', '{}', '', now()) ON CONFLICT DO NOTHING",
            [function],
        )
    first = make_execution(function=function, status="SUCCEEDED", result="1")
    columns = ", ".join(
        f'"{field.column}"'
        for field in Execution._meta.concrete_fields
        if field.name not in {"id", "name", "created_at"}
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO durable_execution (id, name, created_at, {columns})"
            f" SELECT gen_random_uuid(), 'many-' || n, e.created_at - (n / 10) * interval '1 second', {columns}"
            " FROM durable_execution e, generate_series(1, %s) AS n WHERE e.id = %s",
            [count - 1, first.pk],
        )


def pages(call: Any, **options: Any) -> Iterator[Any]:
    answer = call(**options)
    yield answer
    while marker := answer.get("NextMarker"):
        answer = call(**options, Marker=marker)
        yield answer


@pytest.mark.parametrize("oldest_first", [False, True])
def test_every_execution_comes_once_while_others_are_started(client: Any, oldest_first: bool) -> None:
    function = f"many-{oldest_first}".lower()
    make_many(function, EXECUTIONS)
    seen: list[str] = []
    for page in pages(
        client.list_durable_executions_by_function, FunctionName=function, MaxItems=1000, ReverseOrder=oldest_first
    ):
        seen += [row["DurableExecutionArn"] for row in page["DurableExecutions"]]
        make_execution(function=function, name=str(uuid7()), status="SUCCEEDED", result="1")

    old = {arn_of(execution) for execution in Execution.objects.filter(function=function, name__startswith="many-")}
    assert len(seen) == len(set(seen))
    assert old <= set(seen)
    # Whoever reads from the oldest on reads those too that were started meanwhile.
    assert (len(seen) > EXECUTIONS) == oldest_first


@pytest.mark.parametrize("newest_first", [False, True])
def test_every_event_comes_once_while_others_are_recorded(client: Any, newest_first: bool) -> None:
    execution = make_execution(function="long", status="RUNNING")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO durable_event (execution_id, event_id, event_type, operation_id, subtype, payload, attempt,"
            " event_at) SELECT %s, n, CASE WHEN n %% 2 = 0 THEN 'StepStarted' ELSE 'StepSucceeded' END, (n / 2)::text,"
            " 'Step', CASE WHEN n %% 2 = 1 THEN '1' END, 1, now() FROM generate_series(2, %s) AS n",
            [execution.pk, EVENTS],
        )
    execution.last_event_id = EVENTS
    seen: list[int] = []
    for page in pages(
        client.get_durable_execution_history,
        DurableExecutionArn=arn_of(execution),
        MaxItems=1000,
        ReverseOrder=newest_first,
    ):
        seen += [event["EventId"] for event in page["Events"]]
        if len(seen) <= 3000:
            add_event(execution, "StepStarted", operation_id=f"late-{len(seen)}", subtype="Step")

    expected = list(range(EVENTS, 0, -1)) if newest_first else list(range(1, EVENTS + 4))
    assert seen == expected


def test_a_page_ends_where_its_data_come_to_six_megabytes(client: Any) -> None:
    execution = make_execution(function="wide", status="RUNNING")
    for number in range(8):
        add_event(
            execution, "StepSucceeded", operation_id=str(number), subtype="Step", payload="x" * 2_000_000, attempt=1
        )

    found = [
        len(page["Events"])
        for page in pages(client.get_durable_execution_history, DurableExecutionArn=arn_of(execution))
    ]
    assert found == [4, 3, 2]
    bare = client.get_durable_execution_history(DurableExecutionArn=arn_of(execution), IncludeExecutionData=False)
    assert len(bare["Events"]) == 9


class TestMarkers:
    @pytest.fixture
    def marker(self, client: Any) -> str:
        make_many("few", 3)
        answer = client.list_durable_executions_by_function(FunctionName="few", MaxItems=1)
        return str(answer["NextMarker"])

    def test_one_of_another_listing_is_refused(self, client: Any, marker: str) -> None:
        listing = client.list_durable_executions_by_function
        assert listing(FunctionName="few", MaxItems=2, Marker=marker)["DurableExecutions"]
        for options in ({"Statuses": ["FAILED"]}, {"ReverseOrder": True}, {"DurableExecutionName": "a"}):
            problem = refused(listing, FunctionName="few", Marker=marker, **options)
            assert problem[0] == "InvalidParameterValueException"
            assert "another request" in problem[2]
