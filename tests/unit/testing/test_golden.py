"""Golden histories: every change of a handler that its history cannot bear is found, and nothing runs to find it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from durable_engine import (
    BatchResult,
    CallbackConfig,
    DurableContext,
    DurableHandler,
    Duration,
    StepConfig,
    StepError,
    WaitForConditionConfig,
    WaitForConditionDecision,
    durable_execution,
)
from durable_engine.sdk import registry
from durable_engine.sdk.retries import RetryPresets
from durable_engine.testing.golden import GoldenHistory, check_replay
from durable_engine.testing.runner import DurableFunctionTestRunner

# A plan is a list of operations: a kind, a name, and for groups the plan inside.
Op = tuple[Any, ...]
Plan = tuple[Op, ...]

PLANS: dict[str, Plan] = {
    "steps": (("step", "a"), ("step", "b"), ("step", "c")),
    "waits": (("step", "a"), ("wait", "pause"), ("step", "b"), ("wait", "again")),
    "a failing step": (("step", "a"), ("fail", "b"), ("step", "c")),
    "a child": (("child", "group", (("step", "a"), ("wait", "pause"))), ("step", "b")),
    "children in children": (("child", "out", (("child", "in", (("step", "a"), ("step", "b"))), ("step", "c"))),),
    "a parallel": (("parallel", "all", (("step", "a"), ("step", "b"))), ("step", "c")),
    "a map in a child": (("child", "group", (("map", "items", (("step", "a"), ("step", "b"))),)), ("step", "b")),
    "a callback": (("step", "a"), ("callback", "answer"), ("step", "b")),
    "invokes": (("invoke", "call"), ("step", "a"), ("invoke", "again")),
    "a transaction and a poll": (("transaction", "pay"), ("poll", "look"), ("step", "a")),
    "an empty child": (("child", "nothing", ()), ("step", "a"), ("wait", "pause")),
    "the same name twice": (("step", "a"), ("step", "b"), ("wait", "b"), ("step", "a")),
}

ran: list[str] = []
POLL_ONCE = WaitForConditionConfig(lambda state, attempt: WaitForConditionDecision.stop_polling(), "")


def perform(op: Op, context: DurableContext) -> object:
    kind, name = op[:2]
    if kind == "step":
        return context.step(lambda step: run_body(name), name)
    if kind == "fail":
        return failing(context, name)
    if kind == "wait":
        return context.wait(Duration(5), name)
    if kind == "callback":
        return context.create_callback(name, CallbackConfig(timeout=Duration(60))).result()
    if kind == "invoke":
        return context.invoke("echo", name, name)
    if kind == "transaction":
        return context.transaction(lambda step: run_body(name), name)
    if kind == "poll":
        return context.wait_for_condition(lambda state, check: run_body(name), POLL_ONCE, name)
    if kind == "child":
        return context.run_in_child_context(lambda inner: perform_all(op[2], inner), name)
    if kind == "parallel":
        branches = [lambda inner, each=each: perform(each, inner) for each in op[2]]
        return shown(context.parallel(branches, name))
    return shown(context.map(list(op[2]), lambda inner, each, index, items: perform(tuple(each), inner), name))


def run_body(name: str) -> str:
    ran.append(name)
    return f"{name} done"


def perform_all(plan: Plan, context: DurableContext) -> list[object]:
    return [perform(op, context) for op in plan]


def shown(result: BatchResult[Any]) -> list[Any]:
    return list(result.get_results())


def failing(context: DurableContext, name: str) -> str:
    def body(step: object) -> None:
        raise ValueError(name)

    try:
        context.step(body, name, StepConfig(retry_strategy=RetryPresets.none()))
    except StepError as error:
        return str(error)
    raise AssertionError("the step did not fail")


def handler_of(plan: Plan) -> DurableHandler:
    with registry.isolated():
        return durable_execution(name="planned")(lambda event, context: perform_all(plan, context))


def recorded(plan: Plan) -> GoldenHistory:
    runner = DurableFunctionTestRunner(handler_of(plan))
    with registry.isolated():
        runner.register_durable_function("echo", durable_execution(name="echo")(lambda event, context: event))
    arn = runner.run_async()
    for _ in range(sum(op[0] == "callback" for op in plan)):
        runner.send_callback_success(runner.wait_for_callback(arn), b"yes")
    assert runner.wait_for_result(arn).status == "SUCCEEDED"
    return runner.record_history(arn)


def until(history: GoldenHistory, count: int) -> GoldenHistory:
    return GoldenHistory(history.function, history.version, history.execution_id, history.events[:count])


def changed(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """Yield every plan that differs in one operation: one more, one less, another name or kind, or two swapped."""
    for index, op in enumerate(plan):
        before, after = plan[:index], plan[index + 1 :]
        yield f"before {op[1]} something new", (*before, ("step", "new"), op, *after)
        yield f"without {op[1]}", (*before, *after)
        yield f"{op[1]} renamed", (*before, (op[0], f"{op[1]} 2", *op[2:]), *after)
        yield f"{op[1]} of another kind", (*before, ("wait" if op[0] != "wait" else "step", op[1]), *after)
        if after:
            yield f"{op[1]} after {after[0][1]}", (*before, after[0], op, *after[1:])


def changed_inside(plan: Plan) -> Iterator[tuple[str, str, Plan]]:
    """Yield every plan that differs in one operation of a group, with the group's name. Of branches only the number."""
    for index, op in enumerate(plan):
        if len(op) < 3:
            continue
        inner = changed(op[2]) if op[0] == "child" else [("one branch less", op[2][:-1])]
        for what, changed_plan in inner:
            yield op[1], what, (*plan[:index], (op[0], op[1], changed_plan), *plan[index + 1 :])
        for group, what, changed_plan in changed_inside(op[2]):
            yield group, what, (*plan[:index], (op[0], op[1], changed_plan), *plan[index + 1 :])


def until_success_of(history: GoldenHistory, group: str) -> GoldenHistory:
    """The history while the group was still under way: one that is complete is not looked into."""
    names = [event.name if event.event_type == "ContextSucceeded" else None for event in history.events]
    return until(history, names.index(group))


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@pytest.mark.parametrize("name", PLANS)
def test_the_same_code_goes_on_with_its_history_wherever_it_ends_and_runs_no_body(name: str) -> None:
    history = recorded(PLANS[name])
    ran.clear()

    for count in range(1, len(history.events) + 1):
        assert check_replay(handler_of(PLANS[name]), until(history, count)) is None
    assert ran == []


def is_missed(plan: Plan, history: GoldenHistory) -> bool:
    """Whether nothing is found, or only by what came out: an execution under way would have had a wrong value."""
    problem = check_replay(handler_of(plan), history)
    return problem is None or "result would change" in problem


@pytest.mark.parametrize("name", PLANS)
def test_each_change_of_one_operation_is_found(name: str) -> None:
    history = recorded(PLANS[name])
    plans = [*changed(PLANS[name]), ("something new at the end", (*PLANS[name], ("step", "new")))]

    missed = [what for what, plan in plans if is_missed(plan, history)]

    assert missed == []
    assert len(plans) > 4


@pytest.mark.parametrize("name", [name for name, plan in PLANS.items() if any(len(op) > 2 for op in plan)])
def test_each_change_inside_a_group_under_way_is_found(name: str) -> None:
    history = recorded(PLANS[name])
    plans = list(changed_inside(PLANS[name]))

    missed = [f"in {group}: {what}" for group, what, plan in plans if is_missed(plan, until_success_of(history, group))]

    assert missed == []


def test_an_invoke_of_another_function_is_found() -> None:
    history = recorded(PLANS["invokes"])

    def other(event: Any, context: DurableContext) -> list[Any]:
        return [context.invoke("other", "call", "call")]

    with registry.isolated():
        problem = check_replay(durable_execution(name="planned")(other), history)

    assert problem is not None
    assert "recorded 'echo'" in problem


def test_what_continues_as_new_and_what_asks_for_a_patch_replays_as_it_ran() -> None:
    def loop(event: Any, context: DurableContext) -> None:
        if context.patched("change"):
            context.step(lambda step: run_body("new"), "new")
        if event != "last":
            context.continue_as_new("last")

    with registry.isolated():
        handler = durable_execution(name="loop")(loop)
    runner = DurableFunctionTestRunner(handler)
    history = runner.record_history(runner.run_async('"first"'))
    ran.clear()

    for count in range(1, len(history.events) + 1):
        assert check_replay(handler, until(history, count)) is None
    assert ran == []


def test_the_first_place_that_differs_is_named() -> None:
    history = recorded(PLANS["steps"])

    problem = check_replay(handler_of((("step", "a"), ("step", "z"), ("step", "c"))), history)

    assert problem is not None
    assert "no longer matches the history at operation 2" in problem
    assert "recorded 'b'" in problem
    assert "handler 'z'" in problem


def test_another_result_is_found_and_shown() -> None:
    with registry.isolated():
        made = durable_execution(name="made")(lambda event, context: context.step(lambda step: 1, "one"))
        doubled = durable_execution(name="doubled")(lambda event, context: 2 * context.step(lambda step: 1, "one"))
    runner = DurableFunctionTestRunner(made)
    history = runner.record_history(runner.run_async())

    assert check_replay(made, history) is None
    assert check_replay(doubled, history) == "The result would change.\n  recorded 1\n  today    2"


def test_a_history_survives_its_file() -> None:
    for plan in PLANS.values():
        history = recorded(plan)
        assert GoldenHistory.from_json(history.to_json()) == GoldenHistory(
            history.function, history.version, history.execution_id, list(history.events)
        )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "events": [{"kind": 1}]}'])
def test_what_is_no_golden_history_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"not JSON|not a golden history"):
        GoldenHistory.from_json(text)
