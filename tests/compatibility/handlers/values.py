"""Values through their serdes, log lines, arguments that are refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from aws_durable_execution_sdk_python import (
    DurableContext,
    SerDesError,
    StepContext,
    ValidationError,
    durable_execution,
)
from aws_durable_execution_sdk_python.config import (
    ChildConfig,
    CompletionConfig,
    Duration,
    MapConfig,
    StepConfig,
)
from aws_durable_execution_sdk_python.retries import RetryPresets
from aws_durable_execution_sdk_python.serdes import (
    ExtendedTypeSerDes,
    JsonSerDes,
    PassThroughSerDes,
    SerDes,
    SerDesContext,
)

LOGGED: list[Any] = []


class Reversed(SerDes[Any]):
    """A serdes of one's own."""

    def serialize(self, value: Any, serdes_context: SerDesContext) -> str:
        return json.dumps(value)[::-1]

    def deserialize(self, data: str, serdes_context: SerDesContext) -> Any:
        return json.loads(data[::-1])


@durable_execution
def rich_values(event: Any, context: DurableContext) -> Any:
    values = {
        "number": Decimal("1.10"),
        "when": datetime(2026, 1, 2, 3, tzinfo=UTC),
        "id": UUID(int=7),
        "bytes": b"\x00\xff",
        "pair": (1, [2.5, None, True]),
        "text": "é\n",
    }
    kept = context.step(lambda step: values, name="values")
    plain = [context.step(lambda step, value=value: value) for value in ([1, "a"], {}, "", 0, None)]
    in_child = context.run_in_child_context(lambda child: values["pair"], name="pair")
    context.wait(Duration.from_seconds(1), name="pause")
    return [kept == values, plain, in_child == values["pair"]]


@durable_execution
def chosen_serdes(event: Any, context: DurableContext) -> Any:
    done = []
    for name, serdes, value in (
        ("json", JsonSerDes(), (1, {2: 3})),
        ("text", PassThroughSerDes(), "as it is"),
        ("extended", ExtendedTypeSerDes(), (1, 2)),
        ("reversed", Reversed(), {"a": [1, 2]}),
    ):
        config = StepConfig(serdes=serdes)
        kept = context.step(lambda step, value=value: value, name=name, config=config)
        done.append([type(kept).__name__, kept])
    child = ChildConfig(serdes=Reversed())
    done.append(context.run_in_child_context(lambda inner: ["child"], name="child", config=child))
    context.wait(Duration.from_seconds(1), name="pause")
    return done


class Collector:
    """A logger that keeps what it is given."""

    def _keep(self, level: str, message: object, *args: object, extra: Any = None) -> None:
        fields = {
            key: value for key, value in dict(extra or {}).items() if key in ("operationName", "attempt", "order")
        }
        LOGGED.append([level, str(message) % args if args else str(message), fields])

    def debug(self, msg: object, *args: object, extra: Any = None) -> None:
        self._keep("debug", msg, *args, extra=extra)

    def info(self, msg: object, *args: object, extra: Any = None) -> None:
        self._keep("info", msg, *args, extra=extra)

    def warning(self, msg: object, *args: object, extra: Any = None) -> None:
        self._keep("warning", msg, *args, extra=extra)

    def error(self, msg: object, *args: object, extra: Any = None) -> None:
        self._keep("error", msg, *args, extra=extra)

    def exception(self, msg: object, *args: object, extra: Any = None) -> None:
        self._keep("exception", msg, *args, extra=extra)


@durable_execution
def log_lines(event: Any, context: DurableContext) -> Any:
    """Each line is logged once, though the code above each wait runs again and again."""

    def attempt(step: StepContext) -> str:
        step.logger.warning("inside the step")
        if step.attempt == 1:
            raise ValueError("once more")
        return "done"

    if not context.is_replaying():
        LOGGED.clear()
    context.set_logger(Collector())
    context.logger.info("begin %s", "here", extra={"order": 7})
    context.step(attempt, name="attempt", config=StepConfig(retry_strategy=RetryPresets.fixed()))
    context.logger.info("after the step")
    context.wait(Duration.from_seconds(1), name="pause")
    context.logger.error("after the wait")
    context.run_in_child_context(lambda child: child.logger.debug("in the child"), name="child")
    context.logger.info("end")
    return LOGGED


@durable_execution
def refused_arguments(event: Any, context: DurableContext) -> Any:
    refused = []
    config = MapConfig(completion_config=CompletionConfig(min_successful=5))
    for name, call in (
        ("wait", lambda: context.wait(Duration.from_seconds(0))),
        ("map", lambda: context.map([1], lambda child, item, index, items: item, config=config)),
        ("duration", lambda: Duration(seconds=-1)),
        ("max_concurrency", lambda: MapConfig(max_concurrency=0)),
        ("completion", lambda: CompletionConfig(min_successful=0)),
        ("condition", lambda: context.wait_for_condition(None, None)),  # type: ignore[arg-type]
    ):
        try:
            call()
        except ValidationError:
            refused.append(name)
    return [refused, context.step(lambda step: "first", name="first")]


@durable_execution
def unstorable_values(event: Any, context: DurableContext) -> Any:
    """What becomes of results that no serdes can store: of a step, a child, a branch."""
    seen = []
    try:
        context.step(lambda step: object(), name="step")
    except SerDesError:
        seen.append("step")
    try:
        context.run_in_child_context(lambda child: object(), name="child")
    except SerDesError:
        seen.append("child")
    batch = context.map([1], lambda branch, item, index, items: object(), name="map")
    try:
        batch.throw_if_error()
    except SerDesError:
        seen.append("map")
    return seen
