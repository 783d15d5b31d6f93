"""Handlers made on the spot, run to their end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from durable_engine.sdk import DurableContext, DurableHandler, StepContext, registry
from durable_engine.sdk.execution import durable_execution
from tests.conformance.driver import Driver

Function = Callable[[Any, DurableContext], Any]


def handler_of(function: Function, **options: Any) -> DurableHandler:
    with registry.isolated():
        made = durable_execution(name="test-handler", **options)(function)
    assert isinstance(made, DurableHandler)
    return made


def run(runner: Driver, function: Function, input: str = "{}", **options: Any) -> None:
    runner.start(handler_of(function, **options), input)
    runner.drive()


def error_of(runner: Driver) -> dict[str, Any]:
    error = json.loads(runner.events[-1].error or "null")
    assert isinstance(error, dict), runner.events[-1]
    return error


def nothing(step: StepContext) -> None:
    return None
