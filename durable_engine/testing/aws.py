"""The testing package of AWS, over our own kit: its names and the arguments its runners are called with.

What those arguments are for there has no place here: nothing polls, nothing is stored, and time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from durable_engine.sdk import registry
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.durations import Duration
from durable_engine.sdk.execution import durable_execution
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.types import ErrorObject, InvocationStatus
from durable_engine.testing.results import (
    CallbackOperation,
    ContextOperation,
    DurableFunctionsTestError,
    DurableFunctionTestResult,
    ExecutionOperation,
    InvokeOperation,
    Operation,
    StepOperation,
    WaitOperation,
)
from durable_engine.testing.runner import DurableFunctionTestRunner as OurRunner

__all__ = [
    "CallbackOperation",
    "ContextOperation",
    "DurableChildContextTestRunner",
    "DurableFunctionCloudTestRunner",
    "DurableFunctionTestResult",
    "DurableFunctionTestRunner",
    "DurableFunctionsTestError",
    "ErrorObject",
    "ExecutionOperation",
    "InvocationStatus",
    "InvokeOperation",
    "Operation",
    "StepOperation",
    "WaitOperation",
    "WebRunner",
    "WebRunnerConfig",
]


class DurableFunctionTestRunner(OurRunner):
    """Our runner, called as that of AWS is: `execution_timeout` counts, on the virtual clock; the rest is accepted."""

    def __init__(
        self,
        handler: DurableHandler,
        poll_interval: float = 1.0,
        max_invocation_page_bytes: int | None = None,
        execution_timeout: float | None = None,
        invocation_timeout: float = 900,
        store: object = None,
        skip_time: bool = True,
    ) -> None:
        super().__init__(_limited(handler, execution_timeout), skip_time=skip_time)

    def run(
        self,
        input: str | None = None,
        execution_timeout: float | None = None,
        timeout: float | None = None,
        function_name: str = "test-function",
        execution_name: str = "execution-name",
        account_id: str = "123456789012",
    ) -> DurableFunctionTestResult:
        """Run one execution to its end."""
        return self.wait_for_result(self.run_async(input, execution_timeout, execution_name=execution_name))

    def run_async(
        self,
        input: str | None = None,
        execution_timeout: float | None = None,
        timeout: float | None = None,
        function_name: str = "test-function",
        execution_name: str = "execution-name",
        account_id: str = "123456789012",
    ) -> str:
        """Run one execution as far as it goes by itself and return its ARN."""
        self.handler = _limited(self.handler, execution_timeout)
        return super().run_async(input, execution_name=execution_name)

    def wait_for_result(self, arn: str, timeout: float = 60) -> DurableFunctionTestResult:
        """Return how an execution ended."""
        return super().wait_for_result(arn)

    def wait_for_callback(self, arn: str, name: str | None = None, timeout: float = 60) -> str:
        """Return the id of an open callback."""
        return super().wait_for_callback(arn, name)


class DurableChildContextTestRunner(DurableFunctionTestRunner):
    """Runs a function that `durable_with_child_context` decorates, as the only thing that a handler does."""

    def __init__(self, context_function: Callable[..., Any], *args: Any, skip_time: bool = True, **kwargs: Any) -> None:
        prepared = context_function(*args, **kwargs)

        def handler(event: object, context: DurableContext) -> Any:
            return prepared(context)

        name = getattr(context_function, "__name__", "context").replace("_", "-").strip("-")
        with registry.unregistered():
            made = durable_execution(name=name if name.replace("-", "").isalnum() else "context")(handler)
        super().__init__(made, skip_time=skip_time)


class _NotHere:
    """A name of the package that has no counterpart; the class attribute says what to use instead."""

    instead = ""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} is not part of Perdure: {self.instead}")


class DurableFunctionCloudTestRunner(_NotHere):
    """Runs a function that is deployed to AWS."""

    instead = "start the function in a running installation with durable_engine.client or boto3 (docs/service-api.md)"


class WebRunner(_NotHere):
    """The local service of AWS."""

    instead = "`manage.py up` serves the same calls on this machine (docs/service-api.md)"


class WebRunnerConfig(_NotHere):
    """Options of the local service of AWS."""

    instead = WebRunner.instead


def _limited(handler: DurableHandler, seconds: float | None) -> DurableHandler:
    return handler if seconds is None else replace(handler, execution_timeout=Duration(seconds))
