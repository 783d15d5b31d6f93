"""Child contexts, with_retry, invokes."""

from __future__ import annotations

from typing import Any

from aws_durable_execution_sdk_python import (
    ChildContextError,
    DurableContext,
    InvokeError,
    StepContext,
    WithRetryConfig,
    durable_execution,
    durable_with_child_context,
    with_retry,
)
from aws_durable_execution_sdk_python.config import ChildConfig, Duration, InvokeConfig, StepConfig
from aws_durable_execution_sdk_python.retries import RetryPresets

ONCE = StepConfig(retry_strategy=RetryPresets.none())


def fails(step: StepContext) -> None:
    raise ValueError("broken")


@durable_with_child_context
def pack(context: DurableContext, items: list[str]) -> list[str]:
    return [context.step(lambda step, item=item: item.upper(), name=f"pack {item}") for item in items]


@durable_execution
def children(event: Any, context: DurableContext) -> Any:
    def outer(child: DurableContext) -> Any:
        before = child.step(lambda step: "before", name="before")
        inner = child.run_in_child_context(pack(["c"]), name="inner")
        child.wait(Duration.from_seconds(3), name="pause")
        return [before, inner]

    packed = context.run_in_child_context(pack(["a", "b"]))
    nested = context.run_in_child_context(outer, name="outer")
    unnamed = context.run_in_child_context(lambda child: None)
    return [packed, nested, unnamed]


@durable_execution
def virtual_child(event: Any, context: DurableContext) -> Any:
    config: ChildConfig[Any] = ChildConfig(is_virtual=True)
    packed = context.run_in_child_context(pack(["a", "b"]), name="virtual", config=config)
    context.wait(Duration.from_seconds(1), name="pause")
    try:
        context.run_in_child_context(lambda child: child.step(fails, "bad", ONCE), name="fails", config=config)
    except ChildContextError as error:
        return [packed, error.error_type.rpartition(".")[2], error.message]


@durable_execution
def failing_child(event: Any, context: DurableContext) -> Any:
    def inner(child: DurableContext) -> None:
        child.step(fails, name="bad", config=ONCE)

    def outer(child: DurableContext) -> None:
        child.run_in_child_context(inner, name="inner")

    try:
        context.run_in_child_context(outer, name="outer")
    except ChildContextError as error:
        caught = [error.error_type.rpartition(".")[2], error.message]
    context.step(lambda step: caught, name="note")
    context.run_in_child_context(inner, name="last")


@durable_execution
def large_child(event: Any, context: DurableContext) -> Any:
    def body(child: DurableContext) -> str:
        half: str = child.step(lambda step: "x" * 200_000, name="half")
        return half + half

    config: ChildConfig[Any] = ChildConfig(summary_generator=lambda text: f"{len(text)} characters")
    told = context.run_in_child_context(body, name="told", config=config)
    untold = context.run_in_child_context(body, name="untold")
    context.wait(Duration.from_seconds(1), name="pause")
    return [len(told), len(untold)]


@durable_execution
def retried_groups(event: Any, context: DurableContext) -> Any:
    def second_time(child: DurableContext, attempt: int) -> str:
        def once(step: StepContext) -> str:
            if attempt == 1:
                raise ValueError("first time")
            return f"try {attempt}"

        return str(child.step(once, name="try", config=ONCE))

    def never(child: DurableContext, attempt: int) -> None:
        raise LookupError(f"try {attempt}")

    config: WithRetryConfig[Any] = WithRetryConfig(RetryPresets.fixed(Duration.from_seconds(2)))
    bare: WithRetryConfig[Any] = WithRetryConfig(RetryPresets.linear(), wrap_with_run_in_child_context=False)
    done = [with_retry(context, second_time, config, name="wrapped"), with_retry(context, second_time, bare)]
    for each in (WithRetryConfig(RetryPresets.none()), bare):
        try:
            with_retry(context, never, each, name="never")
        except (ChildContextError, LookupError) as error:
            done.append(f"{type(error).__name__}: {error}")
    return done


@durable_execution
def charge(event: Any, context: DurableContext) -> Any:
    if event["amount"] > 100:
        raise ValueError("over the limit")
    return {"charged": context.step(lambda step: event["amount"], name="charge")}


@durable_execution
def invokes(event: Any, context: DurableContext) -> Any:
    config: InvokeConfig[Any, Any] = InvokeConfig(tenant_id="tenant-7")
    charged = context.invoke("charge", {"amount": 7}, name="small")
    again = context.run_in_child_context(
        lambda child: child.invoke("charge", {"amount": 8}, config=config), name="group"
    )
    try:
        context.invoke("charge", {"amount": 700}, name="large")
    except InvokeError as error:
        return [charged, again, error.error_type.rpartition(".")[2], error.message]
