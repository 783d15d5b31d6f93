from __future__ import annotations

import json
from typing import Any

import pytest

from durable_engine.sdk import ChildConfig, ChildContextError, DurableContext, InvalidStateError, StepContext
from tests.unit.core.conftest import Run


def ids(execution: Any) -> list[tuple[str, str | None, str | None]]:
    return [(event.event_type, event.operation_id, event.parent_id) for event in execution.events if event.operation_id]


def one(step: StepContext) -> int:
    return 1


def test_operations_of_a_child_are_numbered_below_it_and_name_it_as_parent(run: Run) -> None:
    def body(child: DurableContext) -> int:
        return child.step(one) + child.run_in_child_context(lambda inner: inner.step(one))

    execution = run(lambda event, context: context.run_in_child_context(body, "group"))

    assert ids(execution) == [
        ("ContextStarted", "1", None),
        ("StepStarted", "1-1", "1"),
        ("StepSucceeded", "1-1", "1"),
        ("ContextStarted", "1-2", "1"),
        ("StepStarted", "1-2-1", "1-2"),
        ("StepSucceeded", "1-2-1", "1-2"),
        ("ContextSucceeded", "1-2", "1"),
        ("ContextSucceeded", "1", None),
    ]
    assert execution.events[-1].payload == "2"


def test_a_virtual_child_leaves_no_operation_of_its_own(run: Run) -> None:
    config: ChildConfig[int] = ChildConfig(is_virtual=True)
    execution = run(lambda event, context: context.run_in_child_context(lambda child: child.step(one), config=config))

    assert ids(execution) == [("StepStarted", "1-1", None), ("StepSucceeded", "1-1", None)]


def test_the_outer_context_is_refused_inside_the_body(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        return context.run_in_child_context(lambda child: context.step(one), "group")

    execution = run(handler)

    error = json.loads(execution.events[-1].error or "")
    assert error["ErrorType"] == "ChildContextError"
    assert "outer context inside the body of operation 1 'group'" in error["ErrorMessage"]


def test_an_error_of_the_body_can_be_caught_and_names_what_was_raised(run: Run) -> None:
    def fails(child: DurableContext) -> None:
        raise LookupError("no such customer")

    def handler(event: Any, context: DurableContext) -> str:
        with pytest.raises(ChildContextError, match="no such customer") as caught:
            context.run_in_child_context(fails)
        return str(caught.value.error_type)

    assert run(handler).events[-1].payload == '"LookupError"'


def test_the_context_is_usable_again_after_a_refused_call(run: Run) -> None:
    def handler(event: Any, context: DurableContext) -> int:
        def body(child: DurableContext) -> int:
            with pytest.raises(InvalidStateError):
                context.step(one)
            return child.step(one)

        return context.run_in_child_context(body) + context.step(one)

    assert run(handler).events[-1].payload == "2"
