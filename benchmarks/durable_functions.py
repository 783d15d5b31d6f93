"""Handlers of the benchmarks. Times are taken inside step bodies, in nanoseconds, and returned as results."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from durable_engine import DurableContext, Duration, StepContext, durable_execution

Input = dict[str, Any]

# What a step of a business process might return.
PAYLOAD = {"order": "A-100217", "status": "reserved", "sku": "mug-blue-0.3", "pieces": 12, "warehouse": "north"}

# A queue of its own: the worker that serves it has its statements counted.
COUNTED_QUEUE = "counted"


def _result(_: StepContext) -> dict[str, Any]:
    return {**PAYLOAD, "at": time.time_ns()}


def _sequence(event: Input, context: DurableContext) -> list[int]:
    results = [context.step(_result, name="step") for _ in range(event["steps"])]
    return [results[0]["at"], results[-1]["at"]]


@durable_execution(name="bench-sequence")
def sequence(event: Input, context: DurableContext) -> list[int]:
    """Steps one after the other; returns when the first and the last body ran."""
    return _sequence(event, context)


@durable_execution(name="bench-counted-sequence", queue=COUNTED_QUEUE)
def counted_sequence(event: Input, context: DurableContext) -> list[int]:
    """The same in the queue whose statements are counted."""
    return _sequence(event, context)


@durable_execution(name="bench-wait")
def wait(event: Input, context: DurableContext) -> int:
    """A step, a wait, a step; returns when the last body ran."""
    context.step(_result, name="before")
    context.wait(Duration(event["seconds"]), "wait")
    after: int = context.step(_result, name="after")["at"]
    return after


@durable_execution(name="bench-callback")
def callback(_: Input, context: DurableContext) -> int:
    """A callback, then a step; returns when its body ran."""
    context.create_callback("answer").result()
    resumed: int = context.step(_result, name="resumed")["at"]
    return resumed


def _sleeping(seconds: float) -> dict[str, Any] | None:
    if not seconds:
        return None  # a step that does nothing
    time.sleep(seconds)
    return PAYLOAD


def _branch(milliseconds: float) -> Callable[[DurableContext], Any]:
    return lambda context: context.step(lambda _: _sleeping(milliseconds / 1000), name="step")


@durable_execution(name="bench-parallel")
def parallel(event: Input, context: DurableContext) -> list[int]:
    """Steps that sleep, at the same time; returns when the bodies before and after them ran."""
    before: int = context.step(_result, name="before")["at"]
    context.parallel([_branch(milliseconds) for milliseconds in event["sleeps_ms"]], name="batch").throw_if_error()
    after: int = context.step(_result, name="after")["at"]
    return [before, after]


@durable_execution(name="bench-map")
def mapped(event: Input, context: DurableContext) -> list[int]:
    """The same for a number of items."""
    before: int = context.step(_result, name="before")["at"]
    body = _branch(event["sleep_ms"])
    context.map(range(event["items"]), lambda inner, *_: body(inner), name="batch").throw_if_error()
    after: int = context.step(_result, name="after")["at"]
    return [before, after]


@durable_execution(name="bench-history")
def long_history(event: Input, context: DurableContext) -> Any:
    """Many steps, then a callback that nobody answers: each resume replays all of them."""
    _sequence(event, context)
    return context.create_callback("never").result()


@durable_execution(name="bench-suspended")
def suspended(event: Input, context: DurableContext) -> int:
    """A long wait, or a callback that nobody answers; then a step."""
    if event["callback"]:
        context.create_callback("answer").result()
    else:
        context.wait(Duration(event["seconds"]), "wait")
    resumed: int = context.step(_result, name="resumed")["at"]
    return resumed
