"""Redrive and rewind of executions with branches: what other branches have done stands, on both stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from durable_engine.sdk import (
    CompletionConfig,
    DurableContext,
    Duration,
    MapConfig,
    NestingType,
    ParallelBranch,
    ParallelConfig,
)
from tests.conformance.driver import Driver
from tests.conformance.test_copies import ONCE, World, lines, run

ALL = CompletionConfig.all_completed()
NESTING = pytest.mark.parametrize("nesting", list(NestingType))

Handler = Callable[[Any, DurableContext], Any]


@pytest.fixture
def world() -> World:
    return World()


def mapped(world: World, nesting: NestingType) -> Handler:
    """Three items of two steps each; the second step of item `b` fails while the world is broken."""

    def item(context: DurableContext, name: str, index: int, items: Sequence[str]) -> str:
        context.step(world.step(f"{name} first"), "first", ONCE)
        return context.step(world.step(f"{name} second", fails=name == "b"), "second", ONCE)

    def handler(event: Any, context: DurableContext) -> list[str | None]:
        before = context.step(world.step("before"), "before")
        config = MapConfig(completion_config=ALL, nesting_type=nesting)
        batch = context.map(["a", "b", "c"], item, "items", config)
        batch.throw_if_error()
        return [before, *batch.get_results(), context.step(world.step("after"), "after")]

    return handler


DONE = '["before", "a second", "b second", "c second", "after"]'


@NESTING
def test_a_failed_branch_is_repeated_from_what_failed_and_no_other(
    runner: Driver, world: World, nesting: NestingType
) -> None:
    run(runner, mapped(world, nesting))
    assert runner.status == "FAILED"
    world.mended()
    runner.redrive()
    runner.drive()
    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", DONE)
    assert world.ran == ["b second", "after"]


@NESTING
def test_after_a_rewind_into_a_branch_the_others_have_their_results(
    runner: Driver, world: World, nesting: NestingType
) -> None:
    world.broken = False
    run(runner, mapped(world, nesting))
    world.mended()
    first_of_c = next(
        e.operation_id for e in runner.events if e.name == "first" and str(e.operation_id).startswith("2-3")
    )
    assert first_of_c is not None
    runner.rewind(first_of_c)
    runner.drive()
    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", DONE)
    assert world.ran == ["c first", "c second", "after"]


def test_branches_that_waited_when_it_was_stopped_wait_on(runner: Driver, world: World) -> None:
    def asking(context: DurableContext) -> str:
        context.step(world.step("before asking"), "before asking")
        return str(context.create_callback("answer").result())

    def waiting(context: DurableContext) -> str:
        context.wait(Duration(60), "pause")
        return context.step(world.step("waited"), "waited")

    def handler(event: Any, context: DurableContext) -> Any:
        branches = [ParallelBranch(asking, name="asks"), ParallelBranch(waiting, name="waits")]
        return context.parallel(branches, "both").get_results()

    run(runner, handler)
    runner.stop()
    ran = list(world.ran)
    runner.redrive()
    runner.complete_callback("answer", result="yes")
    runner.drive()
    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", '["yes", "waited"]')
    assert world.ran[: len(ran)] == ran
    assert world.ran.count("before asking") == 1
    assert lines(runner).count("CallbackStarted Callback answer") == 1


def test_a_batch_whose_failures_the_handler_tolerated_stands(runner: Driver, world: World) -> None:
    def handler(event: Any, context: DurableContext) -> Any:
        branches = [ParallelBranch(lambda inner: inner.step(world.step("x", fails=True), "x", ONCE), name="x")]
        failures = context.parallel(branches, "tolerant", ParallelConfig(completion_config=ALL)).failure_count
        return [failures, context.step(world.step("last", fails=True), "last", ONCE)]

    run(runner, handler)
    world.mended()
    runner.redrive()
    runner.drive()
    assert (runner.events[-1].payload, world.ran) == ('[1, "last"]', ["last"])


@NESTING
@pytest.mark.parametrize("event_id", range(14, 24, 2))
def test_a_crash_in_a_redriven_batch_changes_nothing(
    runner: Driver, world: World, nesting: NestingType, event_id: int
) -> None:
    run(runner, mapped(world, nesting))
    world.mended()
    runner.redrive()
    runner.flushes_starts = True
    runner.crash_at(event_id, before=True)
    runner.drive()
    assert (runner.status, runner.events[-1].payload) == ("SUCCEEDED", DONE)
    assert not {"before", "a first", "a second", "b first", "c first", "c second"} & set(world.ran)
