"""The handlers of the chaos run: one interprets programs, one kills whatever process runs it."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import Any

from durable_engine import (
    CallbackConfig,
    ChildConfig,
    DurableContext,
    Duration,
    InvokeError,
    JitterStrategy,
    ParallelBranch,
    ParallelConfig,
    RetryStrategyConfig,
    StepConfig,
    StepContext,
    StepError,
    StepSemantics,
    WaitForCallbackConfig,
    WaitForCallbackContext,
    create_retry_strategy,
    durable_execution,
)
from durable_engine.sdk.exceptions import CallbackError, CallbackTimeoutError, ChildContextError
from durable_engine.sdk.retries import RetryStrategy
from tests.chaos import ledger, marks
from tests.chaos.programs import (
    CALLBACK_FAILED,
    CALLBACK_TIMED_OUT,
    CHILD_FAILED,
    ENOUGH_ATTEMPTS,
    INVOKE_FAILED,
    STEP_FAILED,
    Op,
    Program,
    invoked,
    step_value,
)

# The body of a step that a frozen process and its successor run at the same time.
FREEZE_SECONDS = 0.4


class Planned(Exception):
    """A failure that the program asks for."""


@durable_execution(name="chaos")
def chaos(program: Program, context: DurableContext) -> list[Any]:
    """Run a program."""
    return _Interpreter(context).run(program, context)


@durable_execution(name="chaos-held", queue="held")
def chaos_held(program: Program, context: DurableContext) -> list[Any]:
    """Run a program in the workers whose failpoints hold."""
    return _Interpreter(context).run(program, context)


@durable_execution(name="chaos-losing", queue="losing")
def chaos_losing(program: Program, context: DurableContext) -> list[Any]:
    """Run a program in the worker that loses the reply of every checkpoint after a hold."""
    return _Interpreter(context).run(program, context)


@durable_execution(name="chaos-leaving", queue="leaving")
def chaos_leaving(program: Program, context: DurableContext) -> list[Any]:
    """Run a program in the worker that is stopped in order all the time."""
    return _Interpreter(context).run(program, context)


@durable_execution(name="chaos-invoked")
def chaos_invoked(program: Program, context: DurableContext) -> list[Any]:
    """Run a program that another one invokes."""
    return _Interpreter(context).run(program, context)


@durable_execution(name="chaos-poison")
def chaos_poison(program: Program, context: DurableContext) -> None:
    """Never comes past its only step."""
    interpreter = _Interpreter(context)

    def body(step: StepContext) -> None:
        interpreter.note("poison", "begin", attempt=step.attempt)
        os.kill(os.getpid(), signal.SIGKILL)

    context.step(body, name="poison", config=StepConfig(count_interrupted=False))


class _Interpreter:
    def __init__(self, context: DurableContext) -> None:
        self.program = ""
        # No handler can see the fence of its lease; the checks of the ledger need it.
        claim = context.invocation.store._claim  # type: ignore[attr-defined]
        self.execution_id = str(claim.execution_id)
        self.fence: int = claim.fence

    def run(self, program: Program, context: DurableContext) -> list[Any]:
        self.program = program["name"]
        values = self.run_all(program["ops"], context)
        if program["end"] == "raise":
            raise Planned("the program ends with an error")
        return values

    def run_all(self, ops: list[Op], context: DurableContext) -> list[Any]:
        return [self.run_one(op, context) for op in ops]

    def run_one(self, op: Op, context: DurableContext) -> Any:
        value = getattr(self, op["k"])(op, context)
        self.note(op["n"], "seen", value=value)
        return value

    def note(self, name: str, phase: str, *, attempt: int = 0, value: Any = None) -> None:
        ledger.note(self.execution_id, name, phase, attempt=attempt, fence=self.fence, value=value)

    def step(self, op: Op, context: DurableContext) -> Any:
        semantics = (
            StepSemantics.AT_MOST_ONCE_PER_RETRY if op["at_most_once"] else StepSemantics.AT_LEAST_ONCE_PER_RETRY
        )
        config = StepConfig(_strategy(op["attempts"], op["delay"]), semantics, count_interrupted=op["counted"])
        try:
            return context.step(lambda step: self.step_body(op, step), op["n"], config)
        except StepError:
            return STEP_FAILED

    def step_body(self, op: Op, step: StepContext) -> str:
        self.note(op["n"], "begin", attempt=step.attempt)
        seconds = FREEZE_SECONDS if op["mark"] == marks.FREEZE else op["ms"] / 1000
        if op["mark"]:
            marks.send(op["mark"], self.program, self.execution_id, str(op.get("of", op["n"])), seconds)
        time.sleep(seconds)
        if step.attempt <= op["fails"]:
            self.note(op["n"], "fail", attempt=step.attempt)
            raise Planned(f"attempt {step.attempt} fails")
        self.note(op["n"], "end", attempt=step.attempt)
        return step_value(op)

    def wait(self, op: Op, context: DurableContext) -> None:
        context.wait(Duration(op["seconds"]), op["n"])

    def child(self, op: Op, context: DurableContext) -> Any:
        def body(inner: DurableContext) -> list[Any]:
            values = self.run_all(op["ops"], inner)
            if op["fails"]:
                raise Planned("the child fails")
            return values

        try:
            return context.run_in_child_context(body, op["n"], ChildConfig())
        except ChildContextError:
            return CHILD_FAILED

    def parallel(self, op: Op, context: DurableContext) -> Any:
        branches = [ParallelBranch(partial(self.run_all, each["ops"]), each["n"]) for each in op["ops"]]
        batch = context.parallel(branches, op["n"], ParallelConfig(max_concurrency=op["max_concurrency"]))
        batch.throw_if_error()
        return batch.get_results()

    def invoke(self, op: Op, context: DurableContext) -> Any:
        program = next(each for each in invoked({"name": self.program, "ops": [op]}))
        try:
            return context.invoke("chaos-invoked", program, op["n"])
        except InvokeError:
            return INVOKE_FAILED

    def callback(self, op: Op, context: DurableContext) -> Any:
        opened = context.create_callback(op["n"], CallbackConfig(Duration(op["timeout"])))
        inner = [self.run_one(each, context) for each in op["ops"][:-1]]
        gate = op["ops"][-1]
        value = self.step(gate, context)
        self.note(gate["n"], "seen", value=value)
        try:
            answer = opened.result()
        except CallbackTimeoutError:
            answer = CALLBACK_TIMED_OUT
        except CallbackError:
            answer = CALLBACK_FAILED
        return [[*inner, value], answer]

    def wait_for_callback(self, op: Op, context: DurableContext) -> Any:
        def submit(_: str, __: WaitForCallbackContext) -> None:
            seconds = op["ms"] / 1000
            marks.send(marks.CALLBACK, self.program, self.execution_id, op["n"], seconds)
            time.sleep(seconds)

        config = WaitForCallbackConfig(timeout=Duration(op["timeout"]), retry_strategy=_strategy(ENOUGH_ATTEMPTS, 0.1))
        try:
            return context.wait_for_callback(submit, op["n"], config)
        except CallbackTimeoutError:
            return CALLBACK_TIMED_OUT
        except CallbackError:
            return CALLBACK_FAILED


def _strategy(attempts: int, delay: float) -> RetryStrategy:
    return create_retry_strategy(
        RetryStrategyConfig(
            max_attempts=attempts,
            initial_delay=Duration(delay),
            max_delay=Duration(delay),
            jitter_strategy=JitterStrategy.NONE,
        )
    )
