"""Handlers for the tests with real processes. Every step body writes into a ledger, outside Postgres, that it ran."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group

import approvals
from durable_engine import (
    CallbackConfig,
    CompletionConfig,
    DurableContext,
    Duration,
    ParallelConfig,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    StepSemantics,
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


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + HOLD_LIMIT_SECONDS
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.005)


@durable_execution(name="many-branches")
def many_branches(event: Event, context: DurableContext) -> list[str | None]:
    """One step an item, all at the same time; that of item 5 waits inside its body when asked to hold."""

    def item(inner: DurableContext, number: int, index: int, numbers: Sequence[int]) -> str:
        def body(step: StepContext) -> str:
            _note(event, f"item-{number}", step)
            if number == 5 and event.get("hold"):
                _hold(event, "item-5")
            return f"item-{number}"

        return inner.step(body, name=f"item-{number}")

    return context.map(range(12), item, name="items").get_results()


@durable_execution(name="race")
def race(event: Event, context: DurableContext) -> list[str | None]:
    """The first of two branches wins; the other waits inside its body when asked to hold."""

    def slow(step: StepContext) -> str:
        _note(event, "slow", step)
        _hold(event, "slow")
        return "slow"

    def quick(inner: DurableContext) -> str:
        reached = Path(event["ledger"]).parent / "slow.reached"
        inner.step(lambda step: _wait_for(reached), name="wait for slow")
        return inner.step(lambda step: _note(event, "quick", step), name="quick")

    config = ParallelConfig(completion_config=CompletionConfig.first_successful())
    batch = context.parallel([lambda inner: inner.step(slow, name="slow"), quick], "race", config)
    context.step(lambda step: _note(event, "after", step), name="after")
    return batch.get_results()


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


@durable_execution(name="asks-other")
def asks_other(event: Event, context: DurableContext) -> Any:
    """Invoke another function, and take note of its answer."""

    def ask(inner: DurableContext) -> Any:
        return inner.invoke(event["target"], {**event, "invoked": True}, name="other")

    def body(step: StepContext) -> None:
        _note(event, "beside", step)
        _hold(event, "beside")

    def work(inner: DurableContext) -> Any:
        return inner.step(body, name="beside")

    answer = context.parallel([ask, work]).get_results()[0] if event.get("beside") else ask(context)
    return context.step(lambda step: _note(event, f"heard {answer}", step), name="record")


@durable_execution(name="says-yes")
def says_yes(event: Event, context: DurableContext) -> str:
    """Without operations: its only write is its end."""
    return "yes"


@durable_execution(name="pays", queue="slow")
def pays(event: Event, context: DurableContext) -> str:
    """Write a row into a table of an application in the transaction of the checkpoint, then go on."""

    def pay(step: StepContext) -> str:
        _note(event, "pay", step)
        # A name of its own each time, so that nothing but the transaction keeps a second row out.
        Group.objects.create(name=f"{event['receipt']} {uuid4().hex}")
        return "paid"

    paid = context.transaction(pay, name="pay")
    return context.step(lambda step: _note(event, f"then {paid}", step), name="then")


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


@durable_execution(name="last-words")
def last_words(event: Event, context: DurableContext) -> str:
    """Says what it does, and is killed in the middle of its second step the first time, right after its last words."""
    context.logger.info("begins", extra={"order": event["order"]})

    def first(step: StepContext) -> None:
        print("prints", 1, "line")  # noqa: T201
        step.logger.warning("does %s", "first")

    def second(step: StepContext) -> None:
        if not _seen(event, "second"):
            step.logger.error("last words", extra={"order": event["order"]})
            os.kill(os.getpid(), signal.SIGKILL)
        print("again")  # noqa: T201

    context.step(first, name="first")
    print("between")  # noqa: T201
    # Its start is durable before its body: what was said before it is not said again.
    once = StepConfig(RetryPresets.fixed(Duration(0.05)), StepSemantics.AT_MOST_ONCE_PER_RETRY)
    context.step(second, name="second", config=once)
    logging.getLogger("shop").warning("ends")
    return "said"


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


@durable_execution(name="asks-people")
def asks_people(event: Event, context: DurableContext) -> dict[str, object]:
    """Ask a group; remind after a moment, then ask somebody else too, and end by itself."""
    decision = approvals.wait_for_approval(
        context,
        "manager",
        title="Refund 120 EUR",
        assignees=[approvals.Group("reviewers")],
        requester=event.get("requester"),
        remind=[approvals.After(seconds=0.3)],
        escalate=[approvals.After(seconds=0.6).add(approvals.User("lead"))],
        due=Duration.from_seconds(0.9),
        expires=Duration.from_seconds(event.get("seconds", 1.2)),
        on_expire="reject",
        notify=event.get("notify", ["email"]),
    )
    return {"outcome": decision.outcome, "by": decision.by, "is_expired": decision.is_expired}


@durable_execution(name="one-at-a-time", max_concurrency=1, concurrency_key="key")
def one_at_a_time(event: Event, context: DurableContext) -> str:
    """Goes into a room twice, with a wait between, that only one may be in at a time."""

    def visit(step: StepContext) -> None:
        _write(event, f"in {os.getpid()}")
        time.sleep(0.02)  # long enough for somebody else to come in
        _write(event, f"out {os.getpid()}")

    context.step(visit, "first visit", StepConfig(count_interrupted=False))
    context.wait(Duration(0.05))
    context.step(visit, "second visit", StepConfig(count_interrupted=False))
    return "seen"


def _write(event: Event, line: str) -> None:
    with Path(event["ledger"]).open("a") as ledger:
        ledger.write(f"{line}\n")
