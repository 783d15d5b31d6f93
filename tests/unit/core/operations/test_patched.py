from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.sdk import DurableContext, Duration, StepContext, ValidationError, registry
from durable_engine.sdk.execution import durable_execution
from durable_engine.sdk.registry import DurableHandler
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.runner import DurableFunctionTestRunner

Handler = Callable[[Any, DurableContext], Any]


def made(function: Handler) -> DurableHandler:
    with registry.isolated():
        return durable_execution(name="test-handler")(function)


def deployed(*handlers: Handler) -> MemoryExecution:
    """Run each version of the code until it waits, then go on with the next one."""
    runner = DurableFunctionTestRunner(made(handlers[0]), skip_time=False)
    execution = runner.execution(runner.run_async())
    for handler in handlers[1:]:
        execution.handler = made(handler)
        runner.advance(1)
    return execution


def result_of(execution: MemoryExecution) -> Any:
    assert execution.status == "SUCCEEDED", (execution.status, execution.pause_reason, execution.events[-1])
    return json.loads(execution.events[-1].payload or "null")


def names(execution: MemoryExecution) -> list[str | None]:
    return [event.name for event in execution.events if event.event_type.endswith("Succeeded")]


def old(event: Any, context: DurableContext) -> Any:
    fee = context.step(lambda step: 1, "old fee")
    context.wait(Duration(1))
    return [fee, context.step(lambda step: 2, "book")]


def new(event: Any, context: DurableContext) -> Any:
    if context.patched("new-fees"):
        context.step(lambda step: None, "check")
        fee = context.step(lambda step: 10, "new fee")
    else:
        fee = context.step(lambda step: 1, "old fee")
    context.wait(Duration(1))
    return [fee, context.step(lambda step: 2, "book")]


def test_a_new_execution_takes_the_new_branch_on_the_first_run_and_on_replay() -> None:
    execution = deployed(new, new)

    assert result_of(execution) == [10, 2]
    assert [event.subtype for event in execution.events[1:3]] == ["Patched", "Patched"]
    assert names(execution) == ["new-fees", "check", "new fee", None, "book", None]


def test_an_execution_that_passed_the_place_takes_the_old_branch() -> None:
    execution = deployed(old, new)

    assert result_of(execution) == [1, 2]
    assert "new-fees" not in names(execution)


def test_an_execution_that_has_yet_to_come_to_the_place_takes_the_new_branch() -> None:
    def before(event: Any, context: DurableContext) -> Any:
        context.wait(Duration(1))
        return context.step(lambda step: "old", "work")

    def after(event: Any, context: DurableContext) -> Any:
        context.wait(Duration(1))
        answer = "new" if context.patched("late") else "old"
        return context.step(lambda step: answer, "work")

    assert result_of(deployed(before, after)) == "new"


def test_the_answer_in_a_loop_is_the_one_it_was_begun_with() -> None:
    def loop(event: Any, context: DurableContext, asks: bool) -> Any:
        seen = []
        for number in range(3):
            name = f"{'new' if asks and context.patched('loop') else 'old'} {number}"
            seen.append(context.step(lambda step, name=name: name, name))  # type: ignore[misc]
            context.wait(Duration(1))
        return seen

    execution = deployed(
        lambda event, context: loop(event, context, False),
        lambda event, context: loop(event, context, True),
        lambda event, context: loop(event, context, True),
        lambda event, context: loop(event, context, True),
    )

    assert result_of(execution) == ["old 0", "old 1", "old 2"]


def test_contexts_inside_inherit_the_answer_and_others_decide_for_themselves() -> None:
    def inner(context: DurableContext) -> list[bool]:
        return [context.patched("outer"), context.patched("inner")]

    def before(event: Any, context: DurableContext) -> Any:
        context.step(lambda step: None, "first")
        context.wait(Duration(1))

    def after(event: Any, context: DurableContext) -> Any:
        outer = context.patched("outer")
        context.step(lambda step: None, "first")
        context.wait(Duration(1))
        return [outer, context.run_in_child_context(inner, "inside")]

    assert result_of(deployed(before, after)) == [False, [False, True]]


def test_code_that_no_longer_asks_still_matches_the_history() -> None:
    def cleaned(event: Any, context: DurableContext) -> Any:
        context.step(lambda step: None, "check")
        fee = context.step(lambda step: 10, "new fee")
        context.wait(Duration(1))
        return [fee, context.step(lambda step: 2, "book")]

    assert result_of(deployed(new, cleaned)) == [10, 2]


def test_the_log_is_silent_while_it_replays_a_patch() -> None:
    replaying = []

    def handler(event: Any, context: DurableContext) -> None:
        context.patched("x")
        replaying.append(context.is_replaying())
        context.wait(Duration(1))

    deployed(handler, handler)

    assert replaying == [False, True]


@pytest.mark.parametrize("change_id", ["", "x" * 257, "two\nlines", None])
def test_what_cannot_name_a_change_is_refused(change_id: Any) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        with pytest.raises(ValidationError, match="change_id"):
            context.patched(change_id)

    assert result_of(deployed(handler)) is None


@pytest.mark.parametrize("change_id", ["with spaces, and more", "long-" * 20])
def test_any_name_gives_an_id_that_clients_accept(change_id: str) -> None:
    def handler(event: Any, context: DurableContext) -> bool:
        return context.run_in_child_context(lambda inner: inner.patched(change_id))

    execution = deployed(handler)

    assert result_of(execution) is True
    id = execution.events[2].operation_id or ""
    assert len(id) <= 64
    assert id.replace("-", "").replace("_", "").isalnum()
    assert execution.events[2].name == change_id


def test_inside_a_step_it_is_refused() -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        def body(step: StepContext) -> Any:
            return context.patched("x")

        return context.step(body, "body")

    assert deployed(handler).error_type == "StepError"
