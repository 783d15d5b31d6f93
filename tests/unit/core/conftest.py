from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from durable_engine.core.context import ReplayContext
from durable_engine.sdk import registry
from durable_engine.sdk.execution import durable_execution
from durable_engine.testing.memory_execution import MemoryExecution
from durable_engine.testing.runner import DurableFunctionTestRunner

Run = Callable[..., MemoryExecution]


@pytest.fixture
def run() -> Run:
    """Run a function `(event, context)` as a handler as far as it goes, and return its execution."""

    def run(function: Callable[[Any, ReplayContext], Any], input_text: str = "{}", **options: Any) -> MemoryExecution:
        with registry.isolated():
            handler = durable_execution(name="test-handler", **options)(function)
        runner = DurableFunctionTestRunner(handler)
        return runner.execution(runner.run_async(input_text))

    return run
