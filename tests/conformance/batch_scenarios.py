"""Handlers with branches, and the history each must leave.

Branches run at the same time, so their events interleave. A name `a:pick` says that the operation belongs to the lane
`a`: each lane must have its events in order, and so must those that belong to none.

Over 400 lines because a handler and the history it must leave are read side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from durable_engine.sdk import (
    BatchResult,
    CallbackConfig,
    CompletionConfig,
    DurableContext,
    Duration,
    MapConfig,
    NestingType,
    ParallelBranch,
    ParallelConfig,
    RetryPresets,
    StepConfig,
    durable_execution,
)
from tests.conformance.scenarios import (
    FAILED,
    FIXED,
    STARTED,
    SUCCEEDED,
    Scenario,
    answer,
    failing_until,
    noting,
    polling,
    until_seen,
)

Body = Callable[[DurableContext], Any]

ALL = CompletionConfig.all_completed()


def branch(lane: str, body: Body) -> ParallelBranch[Any]:
    return ParallelBranch(body, f"{lane}:branch")


def stepping(lane: str, value: Any) -> Body:
    return lambda context: context.step(noting(f"{lane}:step", value), f"{lane}:step")


def failing(lane: str) -> Body:
    config = StepConfig(RetryPresets.none())
    return lambda context: context.step(failing_until(f"{lane}:bad", 99), f"{lane}:bad", config)


def waiting(lane: str, seconds: float) -> Body:
    def body(context: DurableContext) -> str:
        before = context.step(noting(f"{lane}:before", lane), f"{lane}:before")
        context.wait(Duration(seconds), f"{lane}:wait")
        return before + context.step(noting(f"{lane}:after", "!"), f"{lane}:after")

    return body


def nested(lane: str, *events: str) -> list[str]:
    """The events of a branch: those given, between its start and its success."""
    return [f"ContextStarted ParallelBranch {lane}:branch", *events, f"ContextSucceeded ParallelBranch {lane}:branch"]


def stepped(lane: str) -> list[str]:
    return nested(lane, f"StepStarted Step {lane}:step", f"StepSucceeded Step {lane}:step")


def batch(*events: str, name: str = "both", subtype: str = "Parallel") -> list[str]:
    return [f"ContextStarted {subtype} {name}", *events, f"ContextSucceeded {subtype} {name}"]


@durable_execution(name="parallel")
def two_steps(event: Any, context: DurableContext) -> Any:
    return context.parallel([branch("a", stepping("a", 1)), branch("b", stepping("b", None))], "both").get_results()


@durable_execution(name="parallel-waits")
def waits(event: Any, context: DurableContext) -> Any:
    branches = [branch("a", waiting("a", 5)), branch("b", waiting("b", 2)), branch("c", stepping("c", "c"))]
    return context.parallel(branches, "both").get_results()


@durable_execution(name="parallel-retry")
def retries(event: Any, context: DurableContext) -> Any:
    def body(inner: DurableContext) -> Any:
        return inner.step(failing_until("a:flaky", 2), "a:flaky", StepConfig(FIXED))

    return context.parallel([branch("a", body), branch("b", stepping("b", 2))], "both").get_results()


@durable_execution(name="parallel-callback")
def callbacks(event: Any, context: DurableContext) -> Any:
    def body(inner: DurableContext) -> Any:
        return inner.create_callback("a:answer", CallbackConfig(timeout=Duration(60))).result()

    return context.parallel([branch("a", body), branch("b", stepping("b", 2))], "both").get_results()


@durable_execution(name="parallel-fail-fast")
def fail_fast(event: Any, context: DurableContext) -> Any:
    config = ParallelConfig(max_concurrency=1)
    result = context.parallel([branch("a", failing("a")), branch("b", stepping("b", 2))], "both", config)
    return [result.completion_reason, result.total_count, result.get_errors()[0].type]


@durable_execution(name="parallel-throw")
def throws(event: Any, context: DurableContext) -> Any:
    branches = [branch("a", stepping("a", 1)), branch("b", failing("b"))]
    result = context.parallel(branches, "both", ParallelConfig(completion_config=ALL))
    result.throw_if_error()


@durable_execution(name="parallel-flat")
def flat(event: Any, context: DurableContext) -> Any:
    config = ParallelConfig(nesting_type=NestingType.FLAT, completion_config=ALL)
    branches = [branch("a", waiting("a", 3)), branch("b", failing("b")), branch("c", stepping("c", 3))]
    result = context.parallel(branches, "both", config)
    return [result.get_results(), result.completion_reason]


@durable_execution(name="parallel-in-parallel")
def parallel_in_parallel(event: Any, context: DurableContext) -> Any:
    def body(inner: DurableContext) -> Any:
        inmost = [branch("a.x", waiting("a.x", 2)), branch("a.y", stepping("a.y", "y"))]
        return inner.parallel(inmost, "a:inner").get_results()

    return context.parallel([branch("a", body), branch("b", waiting("b", 1))], "both").get_results()


@durable_execution(name="parallel-empty")
def empty(event: Any, context: DurableContext) -> Any:
    result: BatchResult[Any] = context.parallel([], "both")
    return [result.total_count, result.completion_reason]


def map_item(context: DurableContext, item: str, index: int, items: Sequence[str]) -> Any:
    return context.step(noting(f"{item}:step", f"{item}{index}{len(items)}"), f"{item}:step")


@durable_execution(name="map")
def mapped(event: Any, context: DurableContext) -> Any:
    config = MapConfig(max_concurrency=1, item_namer=lambda item, index: f"{item}:branch")
    return context.map(["a", "b", "c"], map_item, "both", config).get_results()


@durable_execution(name="map-in-parallel-in-child")
def map_in_parallel_in_child(event: Any, context: DurableContext) -> Any:
    def mapping(inner: DurableContext) -> Any:
        config = MapConfig(item_namer=lambda item, index: f"{item}:branch")
        return inner.map(["a", "b"], map_item, "m:map", config).get_results()

    def child(inner: DurableContext) -> Any:
        return inner.parallel([branch("m", mapping), branch("w", waiting("w", 1))], "both").get_results()

    return context.run_in_child_context(child, "kid")


@durable_execution(name="map-large")
def map_large(event: Any, context: DurableContext) -> Any:
    def item(inner: DurableContext, lane: str, index: int, items: Sequence[str]) -> Any:
        if lane == "c":
            raise LookupError("c is missing")
        half = inner.step(noting(f"{lane}:step", lane * 150_000), f"{lane}:step")
        return half if lane == "a" else half + half  # the second is too large to be stored by itself

    config = MapConfig(completion_config=ALL, item_namer=lambda item, index: f"{item}:branch")
    result = context.map(["a", "b", "c"], item, "both", config)
    context.wait(Duration(1))
    return [len(text or "") for text in result.get_results()] + [result.get_errors()[0].type]


@durable_execution(name="flat-large")
def flat_large(event: Any, context: DurableContext) -> Any:
    config = ParallelConfig(nesting_type=NestingType.FLAT, completion_config=ALL)
    branches = [branch("a", stepping("a", "a" * 200_000)), branch("b", stepping("b", "b" * 200_000))]
    branches.append(branch("c", failing("c")))
    result = context.parallel(branches, "both", config)
    context.wait(Duration(1))
    return [len(text or "") for text in result.get_results()]


@durable_execution(name="parallel-min-successful")
def min_successful(event: Any, context: DurableContext) -> Any:
    config = ParallelConfig(completion_config=CompletionConfig.first_successful())
    branches = [branch("a", failing("a")), branch("b", waiting("b", 1000)), branch("c", stepping("c", 3))]
    result = context.parallel(branches, "both", config)
    return [result.completion_reason, [item.status for item in result.succeeded()]]


@durable_execution(name="parallel-of-everything-else")
def everything_else(event: Any, context: DurableContext) -> Any:
    """An invoke, a condition, a transaction and a patch, each in a branch of its own."""

    def invoke(inner: DurableContext) -> Any:
        return inner.invoke("charge", {"amount": 3}, "a:charge")

    def condition(inner: DurableContext) -> Any:
        return inner.wait_for_condition(polling("b:look"), until_seen(2), "b:look")

    def transaction(inner: DurableContext) -> Any:
        return inner.transaction(noting("c:pay", 4), "c:pay")

    def patched(inner: DurableContext) -> Any:
        return inner.patched("d:change")

    bodies = zip("abcd", (invoke, condition, transaction, patched), strict=True)
    return context.parallel([branch(lane, body) for lane, body in bodies], "both").get_results()


def waited(lane: str) -> list[str]:
    return [
        f"StepStarted Step {lane}:before",
        f"StepSucceeded Step {lane}:before",
        f"WaitStarted Wait {lane}:wait",
        f"WaitSucceeded Wait {lane}:wait",
        f"StepStarted Step {lane}:after",
        f"StepSucceeded Step {lane}:after",
    ]


def map_branch(lane: str, *events: str, outcome: str = "ContextSucceeded") -> list[str]:
    return [f"ContextStarted MapIteration {lane}:branch", *events, f"{outcome} MapIteration {lane}:branch"]


def map_stepped(lane: str) -> list[str]:
    return map_branch(lane, f"StepStarted Step {lane}:step", f"StepSucceeded Step {lane}:step")


FAILS = ["StepStarted Step {0}:bad", "StepFailed Step {0}:bad"]


def failed(lane: str) -> list[str]:
    return [
        f"ContextStarted ParallelBranch {lane}:branch",
        *(line.format(lane) for line in FAILS),
        f"ContextFailed ParallelBranch {lane}:branch",
    ]


END = ["Inv", SUCCEEDED]

BATCH_SCENARIOS = [
    Scenario(two_steps, [STARTED, *batch(*stepped("a"), *stepped("b")), *END], payload="[1, null]"),
    Scenario(
        waits,
        [
            STARTED,
            "ContextStarted Parallel both",
            *nested("a", *waited("a")),
            *nested("b", *waited("b")),
            *stepped("c"),
            "Inv",
            "Inv",
            "ContextSucceeded Parallel both",
            *END,
        ],
        payload='["a!", "b!", "c"]',
    ),
    Scenario(
        retries,
        [
            STARTED,
            "ContextStarted Parallel both",
            *nested(
                "a",
                "StepStarted Step a:flaky",
                "StepFailed Step a:flaky",
                "StepStarted Step a:flaky",
                "StepSucceeded Step a:flaky",
            ),
            *stepped("b"),
            "Inv",
            "ContextSucceeded Parallel both",
            *END,
        ],
        payload='["done", 2]',
        stable=False,
    ),
    Scenario(
        callbacks,
        [
            STARTED,
            "ContextStarted Parallel both",
            *nested("a", "CallbackStarted Callback a:answer", "CallbackSucceeded Callback a:answer"),
            *stepped("b"),
            "Inv",
            "ContextSucceeded Parallel both",
            *END,
        ],
        payload='["yes", 2]',
        outside=answer("yes", name="a:answer"),
    ),
    Scenario(
        fail_fast,
        [STARTED, *batch(*failed("a")), *END],
        payload='["FAILURE_TOLERANCE_EXCEEDED", 1, "StepError"]',
        stable=False,
    ),
    Scenario(
        throws,
        [STARTED, *batch(*stepped("a"), *failed("b")), "Inv", FAILED],
        status="FAILED",
        error_type="ChildContextError",
        stable=False,
    ),
    Scenario(
        flat,
        [
            STARTED,
            "ContextStarted Parallel both",
            *waited("a"),
            *(line.format("b") for line in FAILS),
            "StepStarted Step c:step",
            "StepSucceeded Step c:step",
            "Inv",
            "ContextSucceeded Parallel both",
            *END,
        ],
        payload='[["a!", null, 3], "ALL_COMPLETED"]',
        stable=False,
    ),
    Scenario(
        parallel_in_parallel,
        [
            STARTED,
            "ContextStarted Parallel both",
            *nested("a", *batch(name="a:inner")),
            *nested("a.x", *waited("a.x")),
            *stepped("a.y"),
            *nested("b", *waited("b")),
            "Inv",
            "Inv",
            "ContextSucceeded Parallel both",
            *END,
        ],
        payload='[["a.x!", "y"], "b!"]',
    ),
    Scenario(
        everything_else,
        [
            STARTED,
            "ContextStarted Parallel both",
            *nested(
                "a", "ChainedInvokeStarted ChainedInvoke a:charge", "ChainedInvokeSucceeded ChainedInvoke a:charge"
            ),
            *nested("b", *["StepStarted WaitForCondition b:look", "StepSucceeded WaitForCondition b:look"] * 2),
            *nested("c", "StepStarted Transaction c:pay", "StepSucceeded Transaction c:pay"),
            *nested("d", "StepStarted Patched d:change", "StepSucceeded Patched d:change"),
            "Inv",
            "Inv",
            "ContextSucceeded Parallel both",
            *END,
        ],
        payload='[{"charged": 3}, {"seen": 2}, 4, true]',
        stable=False,
    ),
    Scenario(empty, [STARTED, *batch(), *END], payload='[0, "ALL_COMPLETED"]'),
    Scenario(
        mapped,
        [STARTED, *batch(*map_stepped("a"), *map_stepped("b"), *map_stepped("c"), subtype="Map"), *END],
        payload='["a03", "b13", "c23"]',
    ),
    Scenario(
        map_in_parallel_in_child,
        [
            STARTED,
            "ContextStarted RunInChildContext kid",
            "ContextStarted Parallel both",
            *nested("m", *batch(name="m:map", subtype="Map")),
            *map_stepped("a"),
            *map_stepped("b"),
            *nested("w", *waited("w")),
            "Inv",
            "ContextSucceeded Parallel both",
            "ContextSucceeded RunInChildContext kid",
            *END,
        ],
        payload='[["a02", "b12"], "w!"]',
    ),
    Scenario(
        map_large,
        [
            STARTED,
            *batch(
                *map_stepped("a"),
                *map_stepped("b"),
                *map_branch("c", outcome="ContextFailed"),
                subtype="Map",
            ),
            "WaitStarted Wait",
            "Inv",
            "WaitSucceeded Wait",
            *END,
        ],
        payload='[150000, 300000, 0, "LookupError"]',
    ),
    Scenario(
        flat_large,
        [
            STARTED,
            "ContextStarted Parallel both",
            "StepStarted Step a:step",
            "StepSucceeded Step a:step",
            "StepStarted Step b:step",
            "StepSucceeded Step b:step",
            *(line.format("c") for line in FAILS),
            "ContextSucceeded Parallel both",
            "WaitStarted Wait",
            "Inv",
            "WaitSucceeded Wait",
            *END,
        ],
        payload="[200000, 200000, 0]",
        stable=False,
    ),
]


def lanes_of(lines: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines of each lane, in order."""
    lanes: dict[str, list[str]] = {}
    for line in lines:
        lanes.setdefault(lane_of(line), []).append(line)
    return lanes


def lane_of(line: str) -> str:
    """Return the lane of a line; empty for what belongs to none."""
    name = line.partition(" ")[2].partition(" ")[2]
    return name.partition(":")[0] if ":" in name else ""
