"""Handlers for the tests with real processes. Every step body writes into a ledger, outside Postgres, that it ran."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from durable_engine import (
    CallbackConfig,
    DurableContext,
    Duration,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    durable_execution,
)

HOLD_LIMIT_SECONDS = 30.0

Event = dict[str, Any]


def _note(event: Event, body: str, context: StepContext) -> str:
    """Append one line to the ledger; a write this short is atomic."""
    line = f"{body} attempt={context.attempt} pid={os.getpid()}\n"
    with Path(event["ledger"]).open("a") as ledger:
        ledger.write(line)
    return body


def _hold(event: Event, barrier: str) -> None:
    """Say that the body is at this place, and wait there until the test lets it go on."""
    directory = Path(event["ledger"]).parent
    (directory / f"{barrier}.reached").touch()
    deadline = time.monotonic() + HOLD_LIMIT_SECONDS
    while not (directory / f"{barrier}.go").exists() and time.monotonic() < deadline:
        time.sleep(0.005)


@durable_execution(name="three-steps")
def three_steps(event: Event, context: DurableContext) -> list[str]:
    """Three steps; the second waits inside its body when asked to hold."""

    def second(step: StepContext) -> str:
        _note(event, "second", step)
        if event.get("hold"):
            _hold(event, "second")
        return "second"

    first = context.step(lambda step: _note(event, "first", step), name="first")
    middle = context.step(second, name="second")
    third = context.step(lambda step: _note(event, "third", step), name="third")
    return [first, middle, third]


@durable_execution(name="step-wait-step")
def step_wait_step(event: Event, context: DurableContext) -> str:
    """A wait between two steps."""
    context.step(lambda step: _note(event, "before", step), name="before")
    context.wait(Duration.from_seconds(event["seconds"]), name="pause")
    return context.step(lambda step: _note(event, "after", step), name="after")


@durable_execution(name="answer")
def answer(event: Event, context: DurableContext) -> str | None:
    """Wait for somebody's answer."""
    callback = context.create_callback(
        name="answer", config=CallbackConfig(timeout=Duration.from_seconds(event.get("timeout", 0)))
    )
    context.step(lambda step: _note(event, "asked", step), name="ask")
    text: str | None = callback.result()
    context.step(lambda step: _note(event, f"answered {text}", step), name="record")
    return text


@durable_execution(name="poison")
def poison(event: Event, context: DurableContext) -> None:
    """Kills whatever process runs it."""

    def body(step: StepContext) -> None:
        _note(event, "poison", step)
        os.kill(os.getpid(), signal.SIGKILL)

    context.step(body, name="poison", config=StepConfig(count_interrupted=False))


@durable_execution(name="exits")
def exits(event: Event, context: DurableContext) -> None:
    """Ends its process from inside a step, once."""

    def body(step: StepContext) -> None:
        _note(event, "exits", step)
        if not _seen(event, "exits"):
            raise SystemExit(3)

    context.step(body, name="exits")


@durable_execution(name="step-timeout")
def step_timeout(event: Event, context: DurableContext) -> str:
    """A step body that outlives its timeout, in whose process nothing more should run."""

    def stuck(step: StepContext) -> None:
        _note(event, "stuck", step)
        _hold(event, "stuck")
        _note(event, "stuck body went on", step)

    try:
        context.step(
            stuck,
            name="stuck",
            config=StepConfig(timeout=Duration.from_seconds(0.3), retry_strategy=RetryPresets.none()),
        )
    except StepError as error:
        reason = f"gave up: {error.error_type}"
        return context.step(lambda step: _note(event, reason, step), name="give up")
    return "not stuck"


@durable_execution(name="overrun", invocation_timeout=Duration.from_seconds(1))
def overrun(event: Event, context: DurableContext) -> str:
    """Its first invocation takes longer than it may."""

    def body(step: StepContext) -> str:
        _note(event, "body", step)
        if not _seen(event, "overrun"):
            _hold(event, "never")
        return "done"

    return context.step(body, name="body")


@durable_execution(name="many-steps")
def many_steps(event: Event, context: DurableContext) -> int:
    """As many steps as asked for."""
    for number in range(event["steps"]):
        _numbered_step(event, context, number)
    return int(event["steps"])


@durable_execution(name="on-slow-queue", queue="slow")
def on_slow_queue(event: Event, context: DurableContext) -> str:
    """Runs only where the queue is served."""

    def body(step: StepContext) -> str:
        _note(event, "slow", step)
        if event.get("hold"):
            _hold(event, "slow")
        return "slow"

    context.step(body, name="slow")
    if event.get("wait"):
        context.wait(Duration.from_seconds(event["wait"]), name="pause")
    return context.step(lambda step: _note(event, "then", step), name="then")


def _numbered_step(event: Event, context: DurableContext, number: int) -> None:
    context.step(lambda step: _note(event, f"step {number}", step), name=f"step {number}")


def _seen(event: Event, what: str) -> bool:
    """Whether this was asked before, by any process."""
    try:
        (Path(event["ledger"]).parent / f"{what}.seen").touch(exist_ok=False)
    except FileExistsError:
        return True
    return False
