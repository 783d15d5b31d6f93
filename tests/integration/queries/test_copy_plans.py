"""What a person is told before they redrive, rewind or fork, and how what came of what is found."""

from __future__ import annotations

import pytest
from uuid_utils.compat import uuid7

from durable_engine.models import Execution
from durable_engine.queries.copy_plans import CopyPlan, fork_plan, redrive_plan, rewind_plan
from durable_engine.queries.executions import execution_summary
from durable_engine.queries.relations import copies_of, origin_of
from tests.factories import add_event, make_execution

pytestmark = pytest.mark.django_db


def failed_at_its_second_step() -> Execution:
    execution = make_execution()
    for operation_id, outcome in (("1", "StepSucceeded"), ("2", "StepFailed")):
        about = {"operation_id": operation_id, "name": f"step {operation_id}", "subtype": "Step", "attempt": 1}
        add_event(execution, "StepStarted", **about)
        add_event(execution, outcome, **about)
    add_event(execution, "ExecutionFailed")
    return execution


def names(plan: CopyPlan | None) -> tuple[int, list[str | None]]:
    assert plan is not None
    return plan.kept, [operation.name for operation in plan.repeated]


def test_a_plan_names_what_would_run_again() -> None:
    execution_id = failed_at_its_second_step().pk
    assert names(redrive_plan(execution_id)) == (1, ["step 2"])
    assert names(rewind_plan(execution_id, "1")) == (0, ["step 1", "step 2"])
    assert names(fork_plan(execution_id, "2")) == (1, ["step 2"])


def test_there_is_no_plan_for_what_does_not_exist() -> None:
    assert redrive_plan(uuid7()) is None
    assert rewind_plan(failed_at_its_second_step().pk, "7") is None


def test_origin_and_copies_are_found_from_either_end() -> None:
    source = make_execution(status="FAILED")
    copies = [make_execution(origin_id=source.pk, origin_kind=kind) for kind in ("fork", "rerun")]
    summary = execution_summary(copies[0].pk)
    assert summary is not None
    origin = origin_of(summary)
    assert origin is not None
    assert (origin.id, origin.origin_kind) == (source.pk, "")
    found = copies_of(source.pk).items
    assert [(each.id, each.origin_kind) for each in found] == [(copies[0].pk, "fork"), (copies[1].pk, "rerun")]


def test_an_origin_that_was_deleted_is_none() -> None:
    summary = execution_summary(make_execution(origin_id=uuid7(), origin_kind="redrive").pk)
    assert summary is not None
    assert origin_of(summary) is None
