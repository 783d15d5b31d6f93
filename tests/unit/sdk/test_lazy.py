"""Functions that are loaded when they first run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from durable_engine.sdk import DurableContext, Duration, StepContext, ValidationError, register, registry
from durable_engine.sdk.execution import durable_execution
from durable_engine.sdk.registry import DurableHandler
from durable_engine.testing.runner import DurableFunctionTestRunner


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    with registry.isolated():
        yield


def run(handler: DurableHandler, input: str = "{}") -> Any:
    result = DurableFunctionTestRunner(handler).run(input)
    return result.result if result.error is None else result.error.type


def test_it_is_loaded_once_and_only_when_it_runs() -> None:
    loads = []

    def loader() -> Any:
        loads.append("loaded")

        @durable_execution
        def handler(event: Any, context: DurableContext) -> Any:
            context.wait(Duration(1))
            return event

        return handler

    lazy = register("lazy", loader)
    assert loads == []

    assert run(lazy, "1") == "1"
    assert run(lazy, "2") == "2"
    assert loads == ["loaded"]


def test_what_the_loaded_module_decorates_takes_no_name_of_its_own() -> None:
    def loader_of(answer: str) -> Any:
        def loader() -> Any:
            @durable_execution
            def handler(event: Any, context: DurableContext) -> str:
                return answer

            return handler

        return loader

    first, second = register("first", loader_of("one")), register("second", loader_of("two"))

    assert (run(first), run(second)) == ('"one"', '"two"')
    assert [handler.key for handler in registry.all_handlers()] == ["first:1", "second:1"]


def test_it_has_its_environment_while_it_is_loaded_and_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "outside")
    monkeypatch.delenv("TABLE", raising=False)
    seen = []

    def look() -> tuple[str | None, str | None]:
        return os.environ.get("STAGE"), os.environ.get("TABLE")

    def loader() -> Any:
        seen.append(look())

        def handler(event: Any, context: DurableContext) -> None:
            context.step(lambda step: seen.append(look()))
            context.wait(Duration(1))
            seen.append(look())

        return handler

    run(register("lazy", loader, env={"STAGE": "test", "TABLE": "orders"}))

    assert seen == [("test", "orders")] * 3
    assert look() == ("outside", None)


def test_the_options_it_was_registered_with_hold() -> None:
    @durable_execution(name="own-name", execution_timeout=Duration(5), input={"type": "object", "required": ["id"]})
    def handler(event: Any, context: DurableContext) -> Any:
        return None

    lazy = register("lazy", lambda: handler, execution_timeout=timedelta(minutes=1))

    assert lazy.execution_timeout == Duration(60)
    loaded = lazy.loaded()
    assert (loaded.key, loaded.execution_timeout) == ("lazy:1", Duration(60))
    assert run(lazy) == "ValidationError"  # the input that the handler itself asks for


def test_a_plain_function_is_the_target_of_an_invoke() -> None:
    asked: list[Any] = []

    def plain(event: Any, lambda_context: Any) -> Any:
        lambda_context.log("working")
        asked.append((lambda_context.function_name, lambda_context.log_group_name, lambda_context.tenant_id))
        assert 0 < lambda_context.get_remaining_time_in_millis() <= 15 * 60_000
        assert lambda_context.aws_request_id
        return {"echo": event}

    register("plain", lambda: plain, durable=False)

    @durable_execution
    def parent(event: Any, context: DurableContext) -> Any:
        return context.invoke("plain", {"a": 1})

    assert run(parent) == '{"echo": {"a": 1}}'
    assert asked == [("plain", "/aws/lambda/plain", None)]


def test_a_plain_function_that_raises_fails_the_invoke_with_its_error() -> None:
    def plain(event: Any, lambda_context: Any) -> None:
        raise LookupError("no such order")

    register("plain", lambda: plain, durable=False)

    @durable_execution
    def parent(event: Any, context: DurableContext) -> Any:
        try:
            return context.invoke("plain")
        except Exception as error:  # noqa: BLE001
            return [type(error).__name__, getattr(error, "error_type", None), str(error)]

    assert run(parent) == '["InvokeError", "LookupError", "no such order"]'


def test_calling_it_calls_the_function() -> None:
    lazy = register("lazy", lambda: lambda event, context: os.environ["STAGE"] + event, env={"STAGE": "test"})

    assert lazy("!", None) == "test!"


async def asynchronous(event: Any, context: Any) -> None: ...


def step(context: StepContext) -> None: ...


@pytest.mark.parametrize(
    ("loaded", "problem"),
    [
        (None, "must be a function"),
        (asynchronous, "must be a plain function"),
        (step, "must accept two arguments"),
    ],
)
def test_what_a_loader_may_not_return_is_named(loaded: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=f"the loader of 'lazy' returned {problem}"):
        register("lazy", lambda: loaded).loaded()


def test_a_durable_handler_is_no_plain_function() -> None:
    handler = register("durable", lambda: lambda event, context: None)

    with pytest.raises(ValidationError, match="without durable=False"):
        register("plain", lambda: handler, durable=False).loaded()


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"name": "two words"}, "name"),
        ({"loader": "module:function"}, "loader"),
        ({"env": ["A=1"]}, "env"),
        ({"env": {"A": 1}}, "env"),
        ({"env": {"A=B": "1"}}, "env"),
        ({"execution_timeout": 60}, "execution_timeout"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_by_name(options: dict[str, Any], argument: str) -> None:
    arguments: dict[str, Any] = {"name": "lazy", "loader": lambda: None, **options}

    with pytest.raises(ValidationError, match=f"^{argument}"):
        register(**arguments)


def test_a_name_is_given_once() -> None:
    def other(event: Any, context: Any) -> None: ...

    register("lazy", lambda: other)
    with pytest.raises(ValidationError, match="'lazy' version 1 is already the function"):
        durable_execution(name="lazy")(other)
