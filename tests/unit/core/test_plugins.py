"""What plugins are told, in which order, and that nothing they do changes an execution."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from durable_engine import (
    CallbackConfig,
    ChildConfig,
    CompletionConfig,
    DurableContext,
    DurableInstrumentationPlugin,
    Duration,
    MapConfig,
    NestingType,
    RetryPresets,
    StepConfig,
    ValidationError,
    WaitForConditionConfig,
    WaitStrategyConfig,
    create_wait_strategy,
    durable_execution,
)
from durable_engine.sdk import registry
from durable_engine.sdk.exceptions import StepError, SuspendExecution
from durable_engine.sdk.plugin import (
    InvocationStartInfo,
    OperationChangeInfo,
    OperationEndInfo,
    OperationInfo,
    UserFunctionEndInfo,
    UserFunctionOutcome,
)
from durable_engine.testing.golden import check_replay
from durable_engine.testing.runner import DurableFunctionTestRunner

Handler = Callable[[Any, DurableContext], Any]
HOOKS = [name for name in vars(DurableInstrumentationPlugin) if name.startswith("on_")]


class Recorder(DurableInstrumentationPlugin):
    """Keeps what it is told as (hook without `on_`, info), and writes the short form of it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def short(self, *left_out: str) -> list[str]:
        return [_short(hook, info) for hook, info in self.told if hook not in left_out]

    def of(self, hook: str) -> list[Any]:
        return [info for told, info in self.told if told == hook]


def _hook(name: str) -> Callable[[Recorder, Any], None]:
    return lambda self, info: self.told.append((name.removeprefix("on_"), info))


for _name in HOOKS:
    setattr(Recorder, _name, _hook(_name))


def _short(hook: str, info: Any) -> str:
    if hook == "operation_change":
        return f"{hook} {' '.join(info.updated_operations)}"
    if isinstance(info, OperationInfo):
        replayed = " replayed" if info.is_replayed else ""
        return f"{hook} {info.name or info.operation_id}{replayed}"
    return f"{hook} {getattr(info, 'status', '')}".strip()


def runner_of(handler: Handler, *plugins: object, **options: Any) -> DurableFunctionTestRunner:
    with registry.isolated():
        return DurableFunctionTestRunner(durable_execution(name="observed", plugins=list(plugins), **options)(handler))


def test_a_step_is_announced_called_and_ended_in_its_thread() -> None:
    plugin = Recorder()

    result = runner_of(lambda event, context: context.step(lambda step: event["n"] + 1, name="add"), plugin).run(
        '{"n": 1}'
    )

    assert result.result == "2"
    assert plugin.short() == [
        "invocation_start",
        "operation_start add",
        "operation_change 1",
        "user_function_start add",
        "user_function_end add",
        "operation_end add",
        "operation_change 1",
        "invocation_end SUCCEEDED",
    ]
    start, end = plugin.of("invocation_start")[0], plugin.of("invocation_end")[0]
    assert (start.is_first_invocation, start.execution_input, dict(start.updated_operations)) == (True, {"n": 1}, {})
    assert start.execution_start_time is not None
    assert (end.request_id, end.execution_arn, end.execution_result) == (start.request_id, start.execution_arn, "2")
    ended: OperationEndInfo = plugin.of("operation_end")[0]
    assert (ended.operation_id, ended.operation_type, ended.sub_type) == ("1", "STEP", "Step")
    assert (ended.status, ended.result, ended.attempt, ended.error) == ("SUCCEEDED", "2", 1, None)
    assert ended.start_time is not None
    assert ended.end_time is not None
    assert list(end.operations) == ["1"]
    assert end.operations["1"].status == "SUCCEEDED"


def test_what_ended_is_not_announced_again_and_what_is_open_is_with_what_happened_meanwhile() -> None:
    plugin = Recorder()

    def handler(event: Any, context: DurableContext) -> None:
        context.step(lambda step: 1, name="before")
        context.wait(Duration.from_seconds(60), name="pause")
        context.wait_for_callback(lambda callback_id, _: None, "answer")

    with runner_of(handler, plugin) as runner:
        arn = runner.run_async()
        runner.send_callback_success(runner.wait_for_callback(arn), "yes")
        assert runner.wait_for_result(arn).status == "SUCCEEDED"

    first, second, third = _invocations(plugin.short("operation_change", "user_function_start", "user_function_end"))
    assert first == ["operation_start before", "operation_end before", "operation_start pause", "PENDING"]
    assert second == [
        "operation_end pause replayed",
        "operation_start answer",
        "operation_start answer create callback id",
        "operation_start answer submitter",
        "operation_end answer submitter",
        "PENDING",
    ]
    assert third == [
        "operation_start answer replayed",
        "operation_end answer create callback id replayed",
        "operation_end answer replayed",
        "SUCCEEDED",
    ]
    starts: list[InvocationStartInfo] = plugin.of("invocation_start")
    assert [start.is_first_invocation for start in starts] == [True, False, False]
    assert [[each.name for each in start.updated_operations.values()] for start in starts] == [
        [],
        ["pause"],
        ["answer create callback id"],
    ]
    pause = next(info for info in plugin.of("operation_end") if info.name == "pause")
    assert (pause.end_time - pause.start_time).total_seconds() == 60


def _invocations(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = []
    for line in lines:
        if line == "invocation_start":
            found.append([])
        else:
            found[-1].append(line.removeprefix("invocation_end "))
    return found


def test_each_attempt_is_told_with_its_outcome() -> None:
    plugin, failures = Recorder(), [ValueError("first"), ValueError("second")]

    def body(step: Any) -> str:
        if failures:
            raise failures.pop(0)
        return "done"

    config = StepConfig(retry_strategy=RetryPresets.fixed(Duration(1)))
    runner_of(lambda event, context: context.step(body, name="flaky", config=config), plugin).run()

    ends: list[UserFunctionEndInfo] = plugin.of("user_function_end")
    assert [(end.attempt, end.outcome.value) for end in ends] == [(1, "FAILED"), (2, "FAILED"), (3, "SUCCEEDED")]
    assert [end.error.message for end in ends if end.error] == ["first", "second"]
    assert len(plugin.of("operation_end")) == 1
    assert [info.is_replayed for info in plugin.of("operation_start")] == [False, True, True]


def test_an_operation_that_fails_ends_with_its_error_and_so_does_the_execution() -> None:
    plugin = Recorder()

    def fail(step: Any) -> None:
        raise LookupError("no such order")

    def handler(event: Any, context: DurableContext) -> None:
        context.step(fail, name="find", config=StepConfig(retry_strategy=RetryPresets.none()))

    assert runner_of(handler, plugin).run().status == "FAILED"

    ended = plugin.of("operation_end")[0]
    assert (ended.status, ended.error.type, ended.error.message) == ("FAILED", "LookupError", "no such order")
    end = plugin.of("invocation_end")[0]
    assert (end.status, end.error.type) == ("FAILED", StepError.__name__)


@pytest.mark.parametrize("nesting", NestingType)
def test_branches_are_told_in_their_own_threads(nesting: NestingType) -> None:
    plugin, threads = Recorder(), set()

    def one(child: DurableContext, item: int, index: int, items: Any) -> int:
        threads.add(threading.get_ident())
        return child.step(lambda step: item * 2, name=f"double {item}")

    def handler(event: Any, context: DurableContext) -> list[int | None]:
        return context.map([1, 2], one, "all", MapConfig(nesting_type=nesting)).get_results()

    assert json.loads(runner_of(handler, plugin).run().result or "") == [2, 4]

    ended = [info.name for info in plugin.of("operation_end")]
    branches = ["map-item-0", "map-item-1"] if nesting is NestingType.NESTED else []
    assert sorted(ended) == sorted(["all", "double 1", "double 2", *branches])
    assert sorted(info.name for info in plugin.of("operation_start")) == sorted(ended)
    called = sorted(info.name for info in plugin.of("user_function_start"))
    assert called == sorted(["double 1", "double 2", *branches])
    assert threads


def test_every_kind_of_operation_is_told() -> None:
    plugin = Recorder()

    def handler(event: Any, context: DurableContext) -> None:
        context.transaction(lambda step: 1, name="transaction")
        poll = WaitStrategyConfig[int](should_continue_polling=lambda state: state < 2)
        strategy = create_wait_strategy(poll)
        context.wait_for_condition(lambda state, check: state + 1, WaitForConditionConfig(strategy, 0), "condition")
        context.run_in_child_context(lambda child: child.step(lambda step: 1, name="inner"), "child")
        context.run_in_child_context(
            lambda child: child.step(lambda step: 1, name="virtual inner"), "virtual", ChildConfig(is_virtual=True)
        )
        context.parallel([lambda child: 1], "parallel")
        context.invoke("other", {}, "invoke")
        context.create_callback("callback", CallbackConfig(timeout=Duration(1)))
        context.patched("change")

    with runner_of(handler, plugin) as runner:
        runner.mock_invoke("other", result=1)
        assert runner.run().status == "SUCCEEDED"

    names = {info.name for info in plugin.of("operation_start")}
    assert names >= {"transaction", "condition", "child", "inner", "virtual inner", "parallel", "invoke", "callback"}
    assert "virtual" not in names
    assert {info.name for info in plugin.of("operation_end")} >= names - {"callback"}


def test_a_suspended_body_is_incomplete() -> None:
    plugin = Recorder()

    def handler(event: Any, context: DurableContext) -> None:
        context.run_in_child_context(lambda child: child.wait(Duration(5)), "child")

    runner_of(handler, plugin).run()

    outcomes = [end.outcome for end in plugin.of("user_function_end")]
    assert outcomes == [UserFunctionOutcome.INCOMPLETE, UserFunctionOutcome.SUCCEEDED]


def test_a_large_result_that_is_computed_again_says_so() -> None:
    plugin = Recorder()

    def handler(event: Any, context: DurableContext) -> int:
        large = context.run_in_child_context(lambda child: "x" * 300_000, "large")
        context.wait(Duration(1))
        return len(large)

    runner_of(handler, plugin).run()

    assert [info.is_replay_children for info in plugin.of("user_function_start")] == [False, True]
    assert [info.name for info in plugin.of("operation_end")] == ["large", None]


def test_a_crash_is_no_end_of_an_invocation_and_the_next_one_goes_on() -> None:
    plugin = Recorder()

    def handler(event: Any, context: DurableContext) -> None:
        context.step(lambda step: 1, name="one")
        context.step(lambda step: 2, name="two")

    with runner_of(handler, plugin) as runner:
        runner.crash_after("one")
        runner.run()

    assert len(plugin.of("invocation_start")) == 2
    assert len(plugin.of("invocation_end")) == 1


class Failing(DurableInstrumentationPlugin):
    """Fails in every method, each time in another way."""

    raised = 0


def _fail(self: Failing, info: Any) -> None:
    kinds = (ValueError, SuspendExecution, AssertionError, type("Odd", (BaseException,), {}))
    Failing.raised += 1
    raise kinds[Failing.raised % len(kinds)](f"failure {Failing.raised}")


for _name in HOOKS:
    setattr(Failing, _name, _fail)


class FailingFactory:
    def create_plugin(self, info: InvocationStartInfo) -> DurableInstrumentationPlugin:
        raise RuntimeError("no exporter")


def orders(event: Any, context: DurableContext) -> Any:
    def flaky(step: Any) -> int:
        if step.attempt == 1:
            raise ValueError("once")
        return 1

    found = [context.step(flaky, name="flaky", config=StepConfig(retry_strategy=RetryPresets.fixed(Duration(1))))]
    config = MapConfig(completion_config=CompletionConfig.all_completed())
    batch = context.map([1, 2, 3], lambda child, item, *_: child.step(lambda step: item), "items", config)
    context.wait(Duration.from_seconds(5))
    return found + batch.get_results()


def test_a_failing_plugin_changes_nothing_and_the_others_are_told_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    alone, beside = Recorder(), Recorder()
    expected = runner_of(orders, alone).run()

    with caplog.at_level(logging.ERROR, "perdure.plugins"):
        result = runner_of(orders, Failing(), FailingFactory(), beside).run()

    assert (result.status, result.result) == (expected.status, expected.result) == ("SUCCEEDED", "[1, 1, 2, 3]")
    assert sorted(beside.short()) == sorted(alone.short())
    hooks = {record.args[0] for record in caplog.records if isinstance(record.args, tuple) and len(record.args) == 2}
    assert hooks == set(HOOKS)
    assert "no exporter" in caplog.text


def test_a_class_and_a_factory_make_a_plugin_for_each_invocation() -> None:
    made: list[object] = []

    class Counting(DurableInstrumentationPlugin):
        def __init__(self) -> None:
            made.append(self)

    class Factory:
        def create_plugin(self, info: InvocationStartInfo, /) -> DurableInstrumentationPlugin:
            made.append(info.is_first_invocation)
            return DurableInstrumentationPlugin()

    def handler(event: Any, context: DurableContext) -> None:
        context.wait(Duration(1))

    runner_of(handler, Counting, Factory()).run()

    assert [each for each in made if isinstance(each, bool)] == [True, False]
    assert len(made) == 4


@pytest.mark.parametrize("given", [["tracing"], [object()], "plugin", [int]])
def test_what_is_no_plugin_is_refused(given: Any) -> None:
    with registry.isolated(), pytest.raises(ValidationError, match="plugins: "):
        durable_execution(name="observed", plugins=given)(lambda event, context: None)


def test_the_operations_of_a_change_show_how_they_stand() -> None:
    plugin = Recorder()

    def handler(event: Any, context: DurableContext) -> None:
        context.step(lambda step: 1, name="one")

    runner_of(handler, plugin).run()

    changes: list[OperationChangeInfo] = plugin.of("operation_change")
    assert [change.updated_operations["1"].status for change in changes] == ["STARTED", "SUCCEEDED"]
    assert len(changes[0].operations) == 1
    assert changes[0].operations["1"].status == "SUCCEEDED"


def test_a_replay_check_calls_no_plugin() -> None:
    plugin = Recorder()
    runner = runner_of(orders, plugin)
    history = runner.record_history(runner.run_async())
    told = len(plugin.told)

    assert check_replay(runner.handler, history) is None
    assert len(plugin.told) == told
