"""A handler written against the AWS SDK runs with its imports unchanged."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import durable_engine
from durable_engine.aws import alias
from durable_engine.sdk import registry
from durable_engine.sdk.concurrency import BatchResult
from durable_engine.testing.runner import DurableFunctionTestRunner

HANDLER = textwrap.dedent(
    """
    from aws_durable_execution_sdk_python import (
        BatchResult, DurableContext, StepContext, StepError, durable_execution, durable_step,
        durable_with_child_context,
    )
    from aws_durable_execution_sdk_python.concurrency.models import CompletionReason
    from aws_durable_execution_sdk_python.config import CompletionConfig, Duration, MapConfig, StepConfig
    from aws_durable_execution_sdk_python.exceptions import CheckpointError
    from aws_durable_execution_sdk_python.retries import RetryPresets
    from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitStrategyConfig, create_wait_strategy

    @durable_step
    def validate(step: StepContext, order: dict) -> str:
        return f"valid {order['id']} at attempt {step.attempt}"

    @durable_with_child_context
    def pack(context: DurableContext, items: list) -> list:
        return [context.step(lambda step, item=item: item.upper(), name=f"pack {item}") for item in items]

    def fails(step: StepContext) -> None:
        raise ValueError("out of stock")

    @durable_execution(boto3_client=None)
    def handler(event: dict, context: DurableContext) -> dict:
        valid = context.step(validate(event))
        context.wait(Duration.from_seconds(30), name="cool down")
        packed = context.run_in_child_context(pack(["a", "b"]))
        doubled = context.map(
            [1, 2, 3],
            lambda child, item, index, items: child.step(lambda step: item * 2, name="double"),
            config=MapConfig(completion_config=CompletionConfig.all_completed()),
        )
        assert isinstance(doubled, BatchResult)
        strategy = create_wait_strategy(WaitStrategyConfig(should_continue_polling=lambda state: state < 3))
        polled = context.wait_for_condition(
            lambda state, check: state + 1, WaitForConditionConfig(strategy, initial_state=0)
        )
        try:
            context.step(fails, config=StepConfig(retry_strategy=RetryPresets.none()))
        except CheckpointError:
            raise
        except StepError as error:
            problem = error.error_type
        assert doubled.completion_reason is CompletionReason.ALL_COMPLETED
        numbers = doubled.get_results()
        return {"valid": valid, "packed": packed, "doubled": numbers, "polled": polled, "problem": problem}
    """
)


def observed(event: object, context: object) -> None:
    """A handler that does nothing."""


def loaded() -> dict[str, ModuleType]:
    return {name: each for name, each in sys.modules.items() if name.split(".")[0] in (alias.PACKAGE, alias.TESTING)}


@pytest.fixture
def unloaded() -> Iterator[None]:
    """The real package, where it is installed for other tests, is as if nobody had imported it."""
    real = loaded()
    for name in real:
        del sys.modules[name]
    yield
    for name in loaded():
        del sys.modules[name]
    sys.modules.update(real)


@pytest.fixture
def installed(unloaded: None) -> Iterator[None]:
    with registry.isolated():
        alias.install()
        yield
        alias.uninstall()


def aws(name: str = "") -> ModuleType:
    return importlib.import_module(f"{alias.PACKAGE}.{name}".rstrip("."))


@pytest.mark.usefixtures("installed")
def test_a_handler_runs_with_its_imports_unchanged() -> None:
    module = ModuleType("orders")
    exec(compile(HANDLER, "orders.py", "exec"), vars(module))

    result = DurableFunctionTestRunner(module.handler).run('{"id": 7}')

    assert result.status == "SUCCEEDED", result.error
    assert json.loads(result.result or "") == {
        "valid": "valid 7 at attempt 1",
        "packed": ["A", "B"],
        "doubled": [2, 4, 6],
        "polled": 3,
        "problem": "ValueError",
    }
    assert result.get_step("validate").status == "SUCCEEDED"


@pytest.mark.usefixtures("installed")
def test_the_names_are_ours_so_both_imports_may_be_mixed() -> None:
    assert aws().StepConfig is durable_engine.StepConfig
    assert aws("concurrency.models").BatchResult is BatchResult
    assert aws("exceptions").StepError is durable_engine.StepError
    assert aws("config").Duration is durable_engine.Duration


@pytest.mark.usefixtures("installed")
def test_plugins_of_the_aliased_package_are_called() -> None:
    told: list[str] = []

    class Plugin(aws("plugin").DurableInstrumentationPlugin):  # type: ignore[misc]  # as a handler's module has it
        def on_invocation_end(self, info: object) -> None:
            told.append(type(info).__name__)

    handler = aws().durable_execution(plugins=[Plugin()], boto3_client=None)(observed)
    DurableFunctionTestRunner(handler).run()

    assert told == ["InvocationEndInfo"]


@pytest.mark.usefixtures("installed")
def test_a_module_without_a_counterpart_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(
        ModuleNotFoundError, match=r"boto has no counterpart .* aws_durable_execution_sdk_python\.config"
    ):
        aws("boto")


def test_the_real_package_is_not_replaced_under_who_has_imported_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, alias.PACKAGE, ModuleType(alias.PACKAGE))

    with pytest.raises(alias.AliasRefused, match=r"already imported .* unset DURABLE_AWS_ALIAS"):
        alias.install()


def test_the_setting_turns_it_on_in_every_process(tmp_path: Path) -> None:
    code = f"import django; django.setup(); import {alias.PACKAGE} as sdk; print(sdk.DurableContext.__module__)"
    environment = {
        "DURABLE_AWS_ALIAS": "1",
        "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
        "PERDURE_HOME": str(tmp_path),
    }

    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert done.stdout.strip() == "durable_engine.sdk.context", done.stderr
