"""Handlers, one per worked event sequence, and the history each must leave.

An expected event reads `Type subtype name`; `Inv` is InvocationCompleted. Operations are checked against the ledger:
no body may run once its outcome is recorded.

Over 400 lines because a handler and the history it must leave are read side by side, and all of them as one table.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from durable_engine.core.ports import RecordedEvent
from durable_engine.sdk import (
    CallbackConfig,
    CallbackKeyTakenError,
    ChildConfig,
    DurableContext,
    DurableHandler,
    Duration,
    InvokeError,
    RetryPresets,
    StepConfig,
    StepContext,
    StepError,
    StepSemantics,
    TransactionConfig,
    WaitForCallbackConfig,
    WaitForConditionCheckContext,
    WaitForConditionConfig,
    WaitStrategyConfig,
    WithRetryConfig,
    create_wait_strategy,
    durable_execution,
    durable_step,
    with_retry,
)
from tests.conformance.driver import Driver


class Ledger:
    """Counts the runs of bodies, and refuses one whose outcome the history already holds."""

    def __init__(self) -> None:
        self.driver: Driver | None = None
        self.runs: list[str] = []

    def start(self, driver: Driver) -> None:
        self._wait_for_the_dead()
        self.driver = driver
        self.runs = []

    @staticmethod
    def _wait_for_the_dead() -> None:
        """Threads of a crashed invocation may still run a body, which would be noted among those of the next run."""
        for thread in threading.enumerate():
            if thread.name.startswith("durable-"):
                thread.join(timeout=60)

    def ran(self, step: StepContext, label: str) -> int:
        """Note a run of the step's body and return how many there have been."""
        assert self.driver is not None
        done = [
            event
            for event in self.driver.events
            if event.operation_id == step.operation_id and event.event_type == "StepSucceeded"
        ]
        assert not done, f"the body of {label} ran again after {done}"
        self.runs.append(label)
        return self.runs.count(label)


T = TypeVar("T")

LEDGER = Ledger()
FIXED = RetryPresets.fixed(Duration(1))


@dataclass(frozen=True)
class Scenario:
    """A handler, what the outside does when it has run as far as it goes, and what has to come of it."""

    handler: DurableHandler
    expected: Sequence[str]
    status: str = "SUCCEEDED"
    payload: str | None = None
    error_type: str | None = None
    outside: Callable[[Driver], None] | None = None
    input: str = "{}"
    stable: bool = True  # a crash while a step runs leaves the same events, apart from the InvocationCompleted ones
    label: str = ""
    crashes: bool = True  # False: another scenario differs from it only in what the outside does

    def __str__(self) -> str:
        return f"{self.handler.name}-{self.label or self.error_type or 'succeeds'}"


@durable_step
def greet(step: StepContext, name: str) -> str:
    LEDGER.ran(step, "greet")
    return f"hi {name}"


@durable_execution(name="step-success")
def step_success(event: Any, context: DurableContext) -> Any:
    return context.step(greet(event["name"]))


def failing_until(label: str, succeeds_at: int) -> Callable[[StepContext], str]:
    def body(step: StepContext) -> str:
        LEDGER.ran(step, label)
        if step.attempt < succeeds_at:
            raise ValueError("boom")
        return "done"

    return body


def noting(label: str, value: T) -> Callable[[StepContext], T]:
    """Return a body that notes its run and returns a value."""

    def body(step: StepContext) -> T:
        LEDGER.ran(step, label)
        return value

    return body


@durable_execution(name="step-retry")
def step_retry(event: Any, context: DurableContext) -> Any:
    return context.step(failing_until("flaky", 2), "flaky", StepConfig(FIXED))


@durable_execution(name="step-fail")
def step_fail(event: Any, context: DurableContext) -> Any:
    return context.step(failing_until("hopeless", 99), "hopeless", StepConfig(RetryPresets.none()))


@durable_execution(name="wait")
def wait(event: Any, context: DurableContext) -> Any:
    context.wait(Duration.from_seconds(5), "pause")
    return "waited"


@durable_execution(name="steps-and-waits")
def steps_and_waits(event: Any, context: DurableContext) -> Any:
    first = context.step(noting("first", 1), "first")
    context.wait(Duration(2.5))
    second = context.step(noting("second", 2), "second")
    context.wait(Duration.from_minutes(1), "long")
    return [first, second]


@durable_execution(name="child")
def child(event: Any, context: DurableContext) -> Any:
    def body(inner: DurableContext) -> Any:
        return inner.step(greet("bob"))

    return context.run_in_child_context(body, "kid")


@durable_execution(name="child-fail")
def child_fail(event: Any, context: DurableContext) -> Any:
    def body(inner: DurableContext) -> Any:
        return inner.step(failing_until("hopeless", 99), "hopeless", StepConfig(RetryPresets.none()))

    return context.run_in_child_context(body, "kid")


@durable_execution(name="child-nested-wait")
def child_nested_wait(event: Any, context: DurableContext) -> Any:
    def inmost(context: DurableContext) -> str:
        context.wait(Duration(3))
        return "deep"

    def body(inner: DurableContext) -> str:
        return inner.run_in_child_context(inmost, "inmost") + context_result

    context_result = context.step(noting("outer", "!"), "outer")
    return context.run_in_child_context(body, "kid")


@durable_execution(name="child-virtual")
def child_virtual(event: Any, context: DurableContext) -> Any:
    def body(inner: DurableContext) -> str:
        return inner.step(greet("bob"))

    grouped = context.run_in_child_context(body, "group", ChildConfig(is_virtual=True))
    return [grouped, context.step(noting("after", "after"), "after")]


@durable_execution(name="child-large")
def child_large(event: Any, context: DurableContext) -> Any:
    def body(inner: DurableContext) -> str:
        half = inner.step(noting("half", "x" * 200_000), "half")
        return half + half

    large = context.run_in_child_context(body, "large", ChildConfig(summary_generator=lambda text: f"{len(text)} x"))
    context.wait(Duration(1))
    return len(large)


@durable_execution(name="callback")
def callback(event: Any, context: DurableContext) -> Any:
    opened = context.create_callback("answer", CallbackConfig(timeout=Duration(60)))
    assert opened.callback_id
    return opened.result()


@durable_execution(name="callback-heartbeat")
def callback_heartbeat(event: Any, context: DurableContext) -> Any:
    return context.create_callback("answer", CallbackConfig(heartbeat_timeout=Duration(20))).result()


@durable_execution(name="callback-key")
def callback_key(event: Any, context: DurableContext) -> Any:
    first = context.create_callback("answer", key="order-7")
    try:
        context.create_callback("second", CallbackConfig(key="order-7"))
    except CallbackKeyTakenError as error:
        taken = error.error_type
    return [taken, first.result(), bool(context.create_callback("third", key="order-7").callback_id)]


@durable_execution(name="callback-and-step")
def callback_and_step(event: Any, context: DurableContext) -> Any:
    opened = context.create_callback("answer")
    context.step(greet("bob"))
    return opened.result()


@durable_execution(name="wait-for-callback")
def wait_for_callback(event: Any, context: DurableContext) -> Any:
    return context.wait_for_callback(lambda id, submit: None, "appr", WaitForCallbackConfig(timeout=Duration(60)))


@durable_execution(name="with-retry")
def retried_group(event: Any, context: DurableContext) -> Any:
    def body(inner: DurableContext, attempt: int) -> Any:
        def once(step: StepContext) -> str:
            LEDGER.ran(step, f"try {attempt}")
            if attempt == 1:
                raise ValueError("boom")
            return "done"

        return inner.step(once, "try", StepConfig(RetryPresets.none()))

    return with_retry(context, body, WithRetryConfig(FIXED), name="wr")


@durable_execution(name="execution-fail")
def execution_fail(event: Any, context: DurableContext) -> Any:
    context.step(greet("bob"))
    raise RuntimeError("no luck")


@durable_execution(name="invalid-before-anything")
def invalid_before_anything(event: Any, context: DurableContext) -> Any:
    context.wait(Duration(0))


@durable_execution(name="at-most-once")
def at_most_once(event: Any, context: DurableContext) -> Any:
    config = StepConfig(FIXED, StepSemantics.AT_MOST_ONCE_PER_RETRY)
    return context.step(noting("once", "done"), "once", config)


@durable_execution(name="compensation")
def compensation(event: Any, context: DurableContext) -> Any:
    try:
        context.step(failing_until("pay", 99), "pay", StepConfig(RetryPresets.none()))
    except StepError as error:
        caught = type(error).__name__
        return context.step(noting("undo", caught), "undo")


@durable_execution(name="charge", execution_timeout=Duration.from_minutes(5))
def charge(event: Any, context: DurableContext) -> Any:
    """Invoked by the handlers below: charges, fails, or asks first, as its input says."""
    if event.get("fails"):
        raise ValueError("declined")
    if event.get("asks"):
        return context.create_callback("second signature").result()
    return context.step(noting("charge", {"charged": event["amount"]}), "charge")


@durable_execution(name="invoke")
def invoke(event: Any, context: DurableContext) -> Any:
    return context.invoke("charge", {"amount": 1, **event}, "charge")


@durable_execution(name="invoke-caught")
def invoke_caught(event: Any, context: DurableContext) -> Any:
    try:
        context.invoke("charge:1", {"fails": True}, "charge")
    except InvokeError as error:
        caught = [error.error_type, str(error)]
        return context.step(noting("note", caught), "note")


@durable_execution(name="invoke-unknown")
def invoke_unknown(event: Any, context: DurableContext) -> Any:
    return context.invoke("chrage", {}, "charge")


@durable_execution(name="invoke-nested")
def invoke_nested(event: Any, context: DurableContext) -> Any:
    """Invokes a handler that invokes one, inside a child context and after a step."""

    def body(inner: DurableContext) -> Any:
        amount = inner.step(noting("amount", 7), "amount")
        return [inner.invoke("invoke", {"amount": amount}), inner.invoke("charge", {"amount": 8})]

    return context.run_in_child_context(body, "both")


def polling(label: str) -> Callable[[dict[str, Any], WaitForConditionCheckContext], dict[str, Any]]:
    """Return a check that counts on in its state."""

    def check(state: dict[str, Any], context: WaitForConditionCheckContext) -> dict[str, Any]:
        LEDGER.runs.append(f"{label} {state['seen']}")
        return {"seen": state["seen"] + 1}

    return check


def until_seen(count: int, most: int = 60) -> WaitForConditionConfig[dict[str, Any]]:
    strategy = WaitStrategyConfig[dict[str, Any]](lambda state: state["seen"] < count, max_attempts=most)
    return WaitForConditionConfig(create_wait_strategy(strategy), {"seen": 0})


@durable_execution(name="condition")
def condition(event: Any, context: DurableContext) -> Any:
    return context.wait_for_condition(polling("look"), until_seen(2), "ready")


@durable_execution(name="condition-exhausted")
def condition_exhausted(event: Any, context: DurableContext) -> Any:
    return context.wait_for_condition(polling("look"), until_seen(9, most=2), "ready")


@durable_execution(name="patched")
def patched(event: Any, context: DurableContext) -> Any:
    name = "new" if context.patched("change") else "old"
    context.wait(Duration(1))
    return context.step(noting(name, name), name)


@durable_execution(name="transaction")
def transaction(event: Any, context: DurableContext) -> Any:
    receipt = context.transaction(noting("pay", {"receipt": 1}), "pay")
    context.wait(Duration(1))
    return receipt


@durable_execution(name="transaction-fails")
def transaction_fails(event: Any, context: DurableContext) -> Any:
    return context.transaction(failing_until("pay", 99), "pay", TransactionConfig(RetryPresets.none()))


@durable_execution(name="transaction-retry")
def transaction_retry(event: Any, context: DurableContext) -> Any:
    return context.transaction(failing_until("pay", 2), "pay", TransactionConfig(FIXED))


def answer(result: str | None = None, error: str | None = None, name: str = "answer") -> Callable[[Driver], None]:
    return lambda driver: driver.complete_callback(name, result=result, error=error)


STARTED = "ExecutionStarted"
SUCCEEDED = "ExecutionSucceeded"
FAILED = "ExecutionFailed"
EXTERNAL = '{"ErrorType": "NoMood", "ErrorMessage": "not today"}'
APPROVAL = (
    STARTED,
    "ContextStarted WaitForCallback appr",
    "CallbackStarted Callback appr create callback id",
    "StepStarted Step appr submitter",
    "StepSucceeded Step appr submitter",
    "Inv",
)
INVOKED = (STARTED, "ChainedInvokeStarted ChainedInvoke charge", "Inv")

SCENARIOS = [
    Scenario(
        step_success,
        [STARTED, "StepStarted Step greet", "StepSucceeded Step greet", "Inv", SUCCEEDED],
        payload='"hi bob"',
        input='{"name": "bob"}',
    ),
    Scenario(
        step_retry,
        [
            STARTED,
            "StepStarted Step flaky",
            "StepFailed Step flaky",
            "Inv",
            "StepStarted Step flaky",
            "StepSucceeded Step flaky",
            "Inv",
            SUCCEEDED,
        ],
        payload='"done"',
        stable=False,
    ),
    Scenario(
        step_fail,
        [STARTED, "StepStarted Step hopeless", "StepFailed Step hopeless", "Inv", FAILED],
        status="FAILED",
        error_type="StepError",
    ),
    Scenario(
        wait,
        [STARTED, "WaitStarted Wait pause", "Inv", "WaitSucceeded Wait pause", "Inv", SUCCEEDED],
        payload='"waited"',
    ),
    Scenario(
        steps_and_waits,
        [
            STARTED,
            "StepStarted Step first",
            "StepSucceeded Step first",
            "WaitStarted Wait",
            "Inv",
            "WaitSucceeded Wait",
            "StepStarted Step second",
            "StepSucceeded Step second",
            "WaitStarted Wait long",
            "Inv",
            "WaitSucceeded Wait long",
            "Inv",
            SUCCEEDED,
        ],
        payload="[1, 2]",
    ),
    Scenario(
        child,
        [
            STARTED,
            "ContextStarted RunInChildContext kid",
            "StepStarted Step greet",
            "StepSucceeded Step greet",
            "ContextSucceeded RunInChildContext kid",
            "Inv",
            SUCCEEDED,
        ],
        payload='"hi bob"',
    ),
    Scenario(
        child_fail,
        [
            STARTED,
            "ContextStarted RunInChildContext kid",
            "StepStarted Step hopeless",
            "StepFailed Step hopeless",
            "ContextFailed RunInChildContext kid",
            "Inv",
            FAILED,
        ],
        status="FAILED",
        error_type="ChildContextError",
    ),
    Scenario(
        child_nested_wait,
        [
            STARTED,
            "StepStarted Step outer",
            "StepSucceeded Step outer",
            "ContextStarted RunInChildContext kid",
            "ContextStarted RunInChildContext inmost",
            "WaitStarted Wait",
            "Inv",
            "WaitSucceeded Wait",
            "ContextSucceeded RunInChildContext inmost",
            "ContextSucceeded RunInChildContext kid",
            "Inv",
            SUCCEEDED,
        ],
        payload='"deep!"',
    ),
    Scenario(
        child_virtual,
        [
            STARTED,
            "StepStarted Step greet",
            "StepSucceeded Step greet",
            "StepStarted Step after",
            "StepSucceeded Step after",
            "Inv",
            SUCCEEDED,
        ],
        payload='["hi bob", "after"]',
    ),
    Scenario(
        child_large,
        [
            STARTED,
            "ContextStarted RunInChildContext large",
            "StepStarted Step half",
            "StepSucceeded Step half",
            "ContextSucceeded RunInChildContext large",
            "WaitStarted Wait",
            "Inv",
            "WaitSucceeded Wait",
            "Inv",
            SUCCEEDED,
        ],
        payload="400000",
    ),
    Scenario(
        callback,
        [
            STARTED,
            "CallbackStarted Callback answer",
            "Inv",
            "CallbackSucceeded Callback answer",
            "Inv",
            SUCCEEDED,
        ],
        payload='"yes"',
        outside=answer("yes"),
    ),
    Scenario(
        callback,
        [
            STARTED,
            "CallbackStarted Callback answer",
            "Inv",
            "CallbackFailed Callback answer",
            "Inv",
            FAILED,
        ],
        status="FAILED",
        error_type="CallbackExternalError",
        outside=answer(error=EXTERNAL),
    ),
    Scenario(
        callback,
        [
            STARTED,
            "CallbackStarted Callback answer",
            "Inv",
            "CallbackTimedOut Callback answer",
            "Inv",
            FAILED,
        ],
        status="FAILED",
        error_type="CallbackTimeoutError",
        outside=lambda driver: driver.expire_callback("answer"),
    ),
    Scenario(
        callback_heartbeat,
        [
            STARTED,
            "CallbackStarted Callback answer",
            "Inv",
            "CallbackTimedOut Callback answer",
            "Inv",
            FAILED,
        ],
        status="FAILED",
        error_type="CallbackTimeoutError",
        outside=lambda driver: driver.expire_callback("answer"),
    ),
    Scenario(
        callback_key,
        [
            STARTED,
            "CallbackStarted Callback answer",
            "CallbackStarted Callback second",
            "CallbackFailed Callback second",
            "Inv",
            "CallbackSucceeded Callback answer",
            "CallbackStarted Callback third",
            "Inv",
            SUCCEEDED,
        ],
        payload='["CallbackKeyTakenError", "yes", true]',
        outside=answer("yes"),
    ),
    Scenario(
        callback_and_step,
        [
            STARTED,
            "CallbackStarted Callback answer",
            "StepStarted Step greet",
            "StepSucceeded Step greet",
            "Inv",
            "CallbackSucceeded Callback answer",
            "Inv",
            SUCCEEDED,
        ],
        payload="null",
        outside=answer(),
    ),
    Scenario(
        wait_for_callback,
        [
            *APPROVAL,
            "CallbackSucceeded Callback appr create callback id",
            "ContextSucceeded WaitForCallback appr",
            "Inv",
            SUCCEEDED,
        ],
        payload='"ok"',
        outside=answer("ok", name="appr create callback id"),
    ),
    Scenario(
        wait_for_callback,
        [
            *APPROVAL,
            "CallbackFailed Callback appr create callback id",
            "ContextFailed WaitForCallback appr",
            "Inv",
            FAILED,
        ],
        status="FAILED",
        error_type="CallbackExternalError",
        outside=answer(error=EXTERNAL, name="appr create callback id"),
    ),
    Scenario(
        wait_for_callback,
        [
            *APPROVAL,
            "CallbackTimedOut Callback appr create callback id",
            "ContextFailed WaitForCallback appr",
            "Inv",
            FAILED,
        ],
        status="FAILED",
        error_type="CallbackTimeoutError",
        outside=lambda driver: driver.expire_callback("appr create callback id"),
    ),
    Scenario(
        retried_group,
        [
            STARTED,
            "ContextStarted RunInChildContext wr",
            "StepStarted Step try",
            "StepFailed Step try",
            "WaitStarted Wait wr-backoff-1",
            "Inv",
            "WaitSucceeded Wait wr-backoff-1",
            "StepStarted Step try",
            "StepSucceeded Step try",
            "ContextSucceeded RunInChildContext wr",
            "Inv",
            SUCCEEDED,
        ],
        payload='"done"',
        stable=False,
    ),
    Scenario(
        execution_fail,
        [STARTED, "StepStarted Step greet", "StepSucceeded Step greet", "Inv", FAILED],
        status="FAILED",
        error_type="RuntimeError",
    ),
    Scenario(invalid_before_anything, [STARTED, "Inv", FAILED], status="FAILED", error_type="ValidationError"),
    Scenario(
        at_most_once,
        [STARTED, "StepStarted Step once", "StepSucceeded Step once", "Inv", SUCCEEDED],
        payload='"done"',
        stable=False,
    ),
    Scenario(
        compensation,
        [
            STARTED,
            "StepStarted Step pay",
            "StepFailed Step pay",
            "StepStarted Step undo",
            "StepSucceeded Step undo",
            "Inv",
            SUCCEEDED,
        ],
        payload='"StepError"',
        stable=False,
    ),
    Scenario(
        invoke,
        [*INVOKED, "ChainedInvokeSucceeded ChainedInvoke charge", "Inv", SUCCEEDED],
        payload='{"charged": 1}',
    ),
    Scenario(
        invoke,
        [*INVOKED, "ChainedInvokeFailed ChainedInvoke charge", "Inv", FAILED],
        status="FAILED",
        error_type="InvokeError",
        input='{"fails": true}',
        crashes=False,
    ),
    Scenario(
        invoke,
        [*INVOKED, "ChainedInvokeSucceeded ChainedInvoke charge", "Inv", SUCCEEDED],
        payload='"signed"',
        input='{"asks": true}',
        outside=answer("signed", name="second signature"),
        label="asks",
        crashes=False,
    ),
    Scenario(
        invoke,
        [*INVOKED, "ChainedInvokeStopped ChainedInvoke charge", "Inv", FAILED],
        status="FAILED",
        error_type="InvokeError",
        input='{"asks": true}',
        outside=lambda driver: driver.stop_child(),
        label="stopped",
    ),
    Scenario(
        invoke,
        [*INVOKED, "ChainedInvokeTimedOut ChainedInvoke charge", "Inv", FAILED],
        status="FAILED",
        error_type="InvokeError",
        input='{"asks": true}',
        outside=lambda driver: driver.expire_child(),
        label="timed-out",
        crashes=False,
    ),
    Scenario(
        invoke_caught,
        [
            *INVOKED,
            "ChainedInvokeFailed ChainedInvoke charge",
            "StepStarted Step note",
            "StepSucceeded Step note",
            "Inv",
            SUCCEEDED,
        ],
        payload='["ValueError", "declined"]',
    ),
    Scenario(
        invoke_unknown,
        [
            STARTED,
            "ChainedInvokeStarted ChainedInvoke charge",
            "ChainedInvokeFailed ChainedInvoke charge",
            "Inv",
            FAILED,
        ],
        status="FAILED",
        error_type="InvokeError",
    ),
    Scenario(
        invoke_nested,
        [
            STARTED,
            "ContextStarted RunInChildContext both",
            "StepStarted Step amount",
            "StepSucceeded Step amount",
            "ChainedInvokeStarted ChainedInvoke",
            "Inv",
            "ChainedInvokeSucceeded ChainedInvoke",
            "ChainedInvokeStarted ChainedInvoke",
            "Inv",
            "ChainedInvokeSucceeded ChainedInvoke",
            "ContextSucceeded RunInChildContext both",
            "Inv",
            SUCCEEDED,
        ],
        payload='[{"charged": 7}, {"charged": 8}]',
    ),
    Scenario(
        condition,
        [
            STARTED,
            "StepStarted WaitForCondition ready",
            "StepSucceeded WaitForCondition ready",
            "Inv",
            "StepStarted WaitForCondition ready",
            "StepSucceeded WaitForCondition ready",
            "Inv",
            SUCCEEDED,
        ],
        payload='{"seen": 2}',
    ),
    Scenario(
        condition_exhausted,
        [
            STARTED,
            "StepStarted WaitForCondition ready",
            "StepSucceeded WaitForCondition ready",
            "Inv",
            "StepStarted WaitForCondition ready",
            "StepFailed WaitForCondition ready",
            "Inv",
            FAILED,
        ],
        status="FAILED",
        error_type="WaitForConditionError",
    ),
    Scenario(
        patched,
        [
            STARTED,
            "StepStarted Patched change",
            "StepSucceeded Patched change",
            "WaitStarted Wait",
            "Inv",
            "WaitSucceeded Wait",
            "StepStarted Step new",
            "StepSucceeded Step new",
            "Inv",
            SUCCEEDED,
        ],
        payload='"new"',
    ),
    Scenario(
        transaction,
        [
            STARTED,
            "StepStarted Transaction pay",
            "StepSucceeded Transaction pay",
            "WaitStarted Wait",
            "Inv",
            "WaitSucceeded Wait",
            "Inv",
            SUCCEEDED,
        ],
        payload='{"receipt": 1}',
    ),
    Scenario(
        transaction_fails,
        [STARTED, "StepStarted Transaction pay", "StepFailed Transaction pay", "Inv", FAILED],
        status="FAILED",
        error_type="StepError",
        crashes=False,
    ),
    Scenario(
        transaction_retry,
        [
            STARTED,
            "StepStarted Transaction pay",
            "StepFailed Transaction pay",
            "Inv",
            "StepStarted Transaction pay",
            "StepSucceeded Transaction pay",
            "Inv",
            SUCCEEDED,
        ],
        payload='"done"',
        stable=False,
        crashes=False,
    ),
]


def line_of(event: RecordedEvent) -> str:
    """Return an event in the short form of this page."""
    if event.event_type == "InvocationCompleted":
        return "Inv"
    return " ".join(part for part in (event.event_type, event.subtype, event.name) if part)
