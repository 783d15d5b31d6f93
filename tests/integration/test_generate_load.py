"""What generate_load adds looks as if the engine had written it, and goes again without a trace."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Sum

from durable_engine.models import Event, Execution, Failure, FailureGroup, Function, Rollup, Timer
from durable_engine.queries.executions import input_of, outcome_of
from durable_engine.queries.operations import operations_of
from tests.factories import event_types, make_execution

pytestmark = pytest.mark.django_db(transaction=True)


def generate(**options: object) -> None:
    call_command("generate_load", stdout=StringIO(), **{"executions": 400, "steps": 60} | options)


def test_each_execution_has_a_history_that_fits_it() -> None:
    generate()

    assert Execution.objects.count() == 401
    for execution in Execution.objects.exclude(function="load-wide"):
        types = event_types(execution.id)
        assert len(types) == execution.last_event_id
        assert input_of(execution.id)
        outcome = outcome_of(execution.id)
        assert (outcome is None) == (execution.closed_at is None)
        if execution.status == "FAILED":
            assert outcome is not None
            assert outcome.error is not None
            assert outcome.error.type == execution.error_type
        assert Timer.objects.filter(execution=execution).exists() == (execution.status in {"SUSPENDED", "PAUSED"})


def test_the_wide_execution_has_its_steps() -> None:
    generate(executions=0)

    wide = Execution.objects.get()
    assert event_types(wide.id)[-1] == "ExecutionSucceeded"
    operations = operations_of(wide.id)
    assert len(operations) == 60
    assert {len(operation.attempts) for operation in operations} == {1, 2}
    assert all(operation.status == "SUCCEEDED" for operation in operations)


def test_charts_and_groups_have_it_at_once_and_nothing_twice() -> None:
    make_execution(status="SUCCEEDED")
    generate()
    generate(executions=50, steps=0)

    hours = Rollup.objects.filter(width_seconds=3600, function__startswith="load-")
    assert hours.aggregate(n=Sum("started"))["n"] == 451
    failed = Execution.objects.filter(status__in=["FAILED", "TIMED_OUT"]).count()
    assert FailureGroup.objects.aggregate(n=Sum("count"))["n"] == failed == Failure.objects.count()


def test_removing_leaves_what_is_real() -> None:
    real = make_execution(status="FAILED", error={"ErrorType": "ValueError", "ErrorMessage": "no"})
    generate()
    generate(remove=True)

    assert [each.id for each in Execution.objects.all()] == [real.id]
    assert {event.execution_id for event in Event.objects.all()} == {real.id}
    assert not Function.objects.exists()
    assert not Rollup.objects.filter(function__startswith="load-").exists()
    assert not FailureGroup.objects.filter(function__startswith="load-").exists()


@pytest.mark.parametrize("options", [{"executions": -1}, {"steps": -5}, {"days": 0}])
def test_amounts_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(CommandError, match="must not be negative"):
        generate(**options)
