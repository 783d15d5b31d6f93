"""Who invoked whom."""

import pytest
from pytest_django import DjangoAssertNumQueries

from durable_engine.queries.executions import ExecutionSummary, execution_summary
from durable_engine.queries.relations import children_of, open_children, parent_of
from tests.factories import make_execution

pytestmark = pytest.mark.django_db


def summary(execution_id: object) -> ExecutionSummary:
    found = execution_summary(execution_id)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_parent_and_children_lead_to_each_other() -> None:
    parent = make_execution(function="checkout", name="order-1")
    first = make_execution(function="charge", parent_execution_id=parent.pk, parent_operation_id="1")
    second = make_execution(function="ship", parent_execution_id=parent.pk, parent_operation_id="2", status="FAILED")
    make_execution()

    above = parent_of(summary(first.pk))
    below = children_of(parent.pk).items

    assert above is not None
    assert (above.id, above.function, above.name, above.has_name) == (parent.pk, "checkout", "order-1", True)
    assert parent_of(summary(parent.pk)) is None
    assert [(child.id, child.parent_operation_id, child.status) for child in below] == [
        (first.pk, "1", "PENDING"),
        (second.pk, "2", "FAILED"),
    ]
    assert not below[0].has_name
    assert [child.id for child in open_children(parent.pk)] == [first.pk]


def test_a_parent_that_was_deleted_is_none() -> None:
    parent = make_execution()
    child = make_execution(parent_execution_id=parent.pk)
    parent.delete()

    assert parent_of(summary(child.pk)) is None


def test_many_children_come_in_pages_of_one_query_each(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    parent = make_execution()
    made = [make_execution(parent_execution_id=parent.pk).pk for _ in range(5)]

    with django_assert_num_queries(1):
        page = children_of(parent.pk, limit=3)
    last = children_of(parent.pk, page.next, limit=3)

    assert [child.id for child in [*page.items, *last.items]] == made
    assert last.next is None
