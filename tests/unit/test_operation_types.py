"""Every operation type has all of its parts; CONTRIBUTING.md says which files to add for a new one."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dashboard.statuses import operation_kind, operation_status
from dashboard.timeline import Run, build_timeline
from durable_engine.config.env import BASE_DIR
from durable_engine.core import operations
from durable_engine.core.history import EFFECTS
from durable_engine.queries.operations import AttemptView, OperationView
from durable_engine.queries.outline import OutlineLine
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.types import OperationType
from tests.conformance.scenarios import SCENARIOS

# Modules of core/operations that are no operation type.
SHARED = {"__init__", "base", "batch", "batch_run", "branch"}


@dataclass(frozen=True)
class Built:
    """An operation type that handlers can use: its module in core/operations, and the methods that make one."""

    type: OperationType
    module: str
    methods: tuple[str, ...]

    def __str__(self) -> str:
        return self.module


BUILT = [
    Built(OperationType.STEP, "step", ("step",)),
    Built(OperationType.STEP, "condition", ("wait_for_condition",)),
    Built(OperationType.STEP, "transaction", ("transaction",)),
    Built(OperationType.STEP, "patched", ("patched",)),
    Built(OperationType.WAIT, "wait", ("wait",)),
    Built(OperationType.CALLBACK, "callback", ("create_callback", "wait_for_callback")),
    Built(OperationType.CONTEXT, "child", ("run_in_child_context",)),
    Built(OperationType.CHAINED_INVOKE, "invoke", ("invoke",)),
    Built(OperationType.CONTEXT, "parallel", ("parallel",)),
    Built(OperationType.CONTEXT, "map", ("map",)),
]


def test_every_operation_of_the_context_is_listed_here() -> None:
    assert sorted(operation_methods()) == sorted(method for built in BUILT for method in built.methods)


def test_every_module_of_operations_is_listed_here() -> None:
    modules = {path.stem for folder in operations.__path__ for path in Path(folder).glob("*.py")}

    assert modules - SHARED == {built.module for built in BUILT}


@pytest.mark.parametrize("built", BUILT, ids=str)
def test_it_has_a_unit_test(built: Built) -> None:
    path = BASE_DIR / f"tests/unit/core/operations/test_{built.module}.py"

    assert path.is_file(), f"{path.relative_to(BASE_DIR)} is missing"


@pytest.mark.parametrize("built", BUILT, ids=str)
def test_both_stores_are_held_to_a_scenario_with_it(built: Built) -> None:
    started = {event for event, effect in EFFECTS.items() if effect == (built.type, "STARTED")}

    assert any(event.split()[0] in started for scenario in SCENARIOS for event in scenario.expected)


@pytest.mark.parametrize("built", BUILT, ids=str)
def test_it_is_documented_with_each_of_its_methods_and_events(built: Built) -> None:
    page = (BASE_DIR / f"docs/operations/{built.module}.md").read_text()

    assert f"](operations/{built.module}.md)" in (BASE_DIR / "docs/index.md").read_text()
    assert [method for method in built.methods if method not in page] == []
    assert [event for event in events_of(built.type) if f"`{event}`" not in page] == []


@pytest.mark.parametrize("built", BUILT, ids=str)
def test_the_timeline_draws_it_while_it_is_open_and_when_it_has_ended(built: Built) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + timedelta(seconds=5)
    for ended_at, status in ((None, "STARTED"), (end, "SUCCEEDED")):
        attempt = AttemptView(1, start, ended_at, status)
        operation = OperationView("1", built.type, None, "name", None, start, status=status, ended_at=ended_at)
        operation.attempts = [attempt] if built.type is OperationType.STEP else []
        line = OutlineLine("1", "name", 0, 0, status, 2, 3, 2, start, end)
        timeline = build_timeline(Run("RUNNING", start, None), [line], {"1": operation}, [], end)

        row = next(row for row in timeline.rows if row.operation_id == "1")
        assert row.segments
        assert row.status.meaning


@pytest.mark.parametrize("built", BUILT, ids=str)
def test_people_read_its_kind_and_its_statuses_in_words(built: Built) -> None:
    assert re.fullmatch(r"[a-z ]+", operation_kind(built.type, None))
    for event in events_of(built.type):
        assert operation_status(built.type, EFFECTS[event][1]).meaning


def operation_methods() -> Iterator[str]:
    """Yield the methods of the context that record an operation: those that take its name, or what it is called by."""
    for name, method in inspect.getmembers(DurableContext, inspect.isfunction):
        if {"name", "change_id"} & set(inspect.signature(method).parameters):
            yield name


def events_of(operation_type: OperationType) -> list[str]:
    """Return the event types of an operation type."""
    # Nothing in the handler API cancels a wait.
    return [event for event, (kind, _) in EFFECTS.items() if kind == operation_type and event != "WaitCancelled"]
