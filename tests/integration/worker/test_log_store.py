"""Records of handlers come into Postgres in order, as many as are kept, and go with their execution."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection as django_connection
from uuid_utils.compat import uuid7

from durable_engine.models import Execution, LogRecord
from durable_engine.queries.arns import execution_arn
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.deletions import delete_execution
from durable_engine.storage.connection import EngineConnection, open_engine_connection
from durable_engine.storage.log_records import NewRecord, append_log_records
from durable_engine.worker import log_store
from durable_engine.worker.log_store import LogStore
from tests.factories import make_execution
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(transactional_db: None) -> Iterator[EngineConnection]:
    opened = open_engine_connection()
    yield opened
    opened.close()


def records(execution_id: UUID, *messages: str) -> list[NewRecord]:
    now = datetime.now(UTC)
    return [NewRecord(execution_id, now, "INFO", message, None, None, None, None) for message in messages]


def messages(execution: Execution) -> list[str]:
    found = LogRecord.objects.filter(execution=execution).order_by("position")
    return list(found.values_list("message", flat=True))


def test_records_are_numbered_in_order_and_no_more_are_kept_than_the_most(connection: EngineConnection) -> None:
    one, other = make_execution(), make_execution()

    mixed = [*records(one.pk, "1"), *records(other.pk, "a"), *records(one.pk, "2", "3")]
    append_log_records(connection, mixed, most=5)
    append_log_records(connection, records(one.pk, "4", "5", "6"), most=5)
    append_log_records(connection, records(one.pk, "7"), most=5)

    assert messages(one) == ["1", "2", "3", "4", "5"]
    assert messages(other) == ["a"]
    assert list(LogRecord.objects.filter(execution=one).values_list("position", flat=True)) == [1, 2, 3, 4, 5]


def test_what_belongs_to_a_deleted_execution_is_left_out(connection: EngineConnection) -> None:
    execution = make_execution()

    append_log_records(connection, [*records(uuid7(), "gone"), *records(execution.pk, "kept")], most=5)

    assert messages(execution) == ["kept"]


def test_they_go_with_their_execution(connection: EngineConnection) -> None:
    execution = make_execution(status="SUCCEEDED", closed_at=datetime.now(UTC))
    append_log_records(connection, records(execution.pk, "1", "2"), most=5)

    delete_execution(execution.pk, actor=PYTHON_CODE)

    assert not LogRecord.objects.exists()


def put(store: LogStore, execution: Execution, message: str, **fields: Any) -> None:
    arn = execution_arn(execution.function, execution.name, execution.pk)
    store.put(time.time(), "WARNING", message, {"executionArn": arn, **fields})


def test_the_store_writes_by_itself_and_what_is_left_when_it_is_closed() -> None:
    execution, store = make_execution(), LogStore(100)

    put(store, execution, "first", operationId="1", operationName="pay", attempt=2, order="A-7", parentId="0")
    wait_for(lambda: messages(execution), "the first record")
    put(store, execution, "second")
    store.close()
    put(store, execution, "too late")
    wait_for(lambda: len(messages(execution)) >= 2, "what was left")  # on a slow machine, close does not wait for it

    first, second = LogRecord.objects.filter(execution=execution).order_by("position")
    assert (first.level, first.operation_id, first.operation_name, first.attempt) == ("WARNING", "1", "pay", 2)
    assert (first.fields, second.fields, second.message) == ('{"order": "A-7"}', None, "second")


def test_many_records_take_few_statements_of_a_connection_of_their_own() -> None:
    execution, store = make_execution(), LogStore(10_000)

    for number in range(2_000):
        put(store, execution, str(number))
    store.hurry()
    wait_for(lambda: len(messages(execution)) == 2_000, "all records")
    store.close()

    assert messages(execution) == [str(number) for number in range(2_000)]
    with django_connection.cursor() as cursor:
        # Rows of one statement in autocommit mode have one transaction.
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM durable_log_record")
        assert cursor.fetchone()[0] <= 20


def test_records_wait_for_postgres_and_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    execution, store = make_execution(), LogStore(100)
    monkeypatch.setattr(log_store, "EVERY_SECONDS", 0.01)
    away = [True]
    tried: list[bool] = []
    opened = store._connections.get

    def get() -> EngineConnection:
        tried.append(True)
        if away[0]:
            raise psycopg.OperationalError("away")
        return opened()

    monkeypatch.setattr(store._connections, "get", get)
    put(store, execution, "1")
    wait_for(lambda: tried, "the first try")
    put(store, execution, "2")
    away[0] = False
    wait_for(lambda: len(messages(execution)) == 2, "both records")
    store.close()

    assert messages(execution) == ["1", "2"]
