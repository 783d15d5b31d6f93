"""Steps: run a body, record its outcome, try again by its strategy, and account for attempts that were interrupted."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, NoReturn

from durable_engine.core import payloads
from durable_engine.core.errors import error_text
from durable_engine.core.history import FAILED, PENDING, STARTED, SUCCEEDED, OperationState
from durable_engine.core.operations.base import Scope, recorded_error, running_step, whole
from durable_engine.core.ports import EventType, NewTimer
from durable_engine.sdk.config import StepConfig, StepSemantics
from durable_engine.sdk.durations import seconds_of
from durable_engine.sdk.exceptions import (
    ExecutionError,
    InvalidStateError,
    PayloadTooLargeError,
    SerDesError,
    StepError,
    StepInterruptedError,
    StepTimeoutError,
    ValidationError,
)
from durable_engine.sdk.logger import ReplayAwareLogger
from durable_engine.sdk.retries import RetryPresets, RetryStrategy
from durable_engine.sdk.types import RetryDecision, StepContext

Body = Callable[[StepContext], Any]

DEFAULT_CONFIG = StepConfig()
DEFAULT_STRATEGY = RetryPresets.default()
TOO_LARGE = "Store the data elsewhere and return where it is, or split the step."


def run_step(scope: Scope, state: OperationState, func: Body, config: StepConfig | None) -> Any:
    """Return the recorded result, or run what is still to run.

    Raises:
        StepError: the last attempt failed.
    """
    invocation = scope.invocation
    if state.status == SUCCEEDED:
        serdes = invocation.serdes if config is None or config.serdes is None else config.serdes
        return invocation.read(state, serdes)
    if state.status == FAILED:
        raise recorded_error(invocation, state, StepError)
    return StepRun(scope, state, func, config or DEFAULT_CONFIG).advance()


class StepRun:
    """One step that has no outcome yet."""

    def __init__(self, scope: Scope, state: OperationState, func: Body, config: StepConfig) -> None:
        self.scope = scope
        self.invocation = scope.invocation
        self.state = state
        self.func = func
        self.config = config
        self.strategy = config.retry_strategy or DEFAULT_STRATEGY
        self.at_most_once = config.step_semantics is StepSemantics.AT_MOST_ONCE_PER_RETRY

    def advance(self) -> Any:
        """Run the next attempt and return its result, or suspend until it is due."""
        state, invocation = self.state, self.invocation
        if state.status == PENDING and state.id in invocation.pending_timers:
            invocation.suspend(state)
        if state.status == STARTED:
            attempt = self._after_interruption()
        else:
            invocation.check_release()
            attempt = state.attempt + 1
            self._start(attempt)
        return self._run(attempt)

    def _start(self, attempt: int) -> None:
        event = self.invocation.event(EventType.STEP_STARTED, self.state, attempt=attempt)
        if self.at_most_once or self.invocation.commits_starts:
            self.invocation.checkpoint(self.state, [event])
        else:
            self.invocation.defer(self.state, event)

    def _after_interruption(self) -> int:
        """Return the number of the attempt to run now in place of one that never reported back."""
        started = self.state.attempt
        error = StepInterruptedError(
            f"attempt {started} of {self.state} was interrupted: its process ended before the outcome was recorded",
            self.state.id,
        )
        if self.at_most_once:
            failure, decision = self._judged(error, started)
            self._fail(failure, started, decision, interrupted=True)
        self.invocation.check_release()
        if not self.config.count_interrupted:
            return started
        attempt = started + self.invocation.history.interruptions(self.state)
        if attempt > started and self._is_exhausted(error, attempt - 1):
            self._fail(error, attempt - 1, RetryDecision.no_retry(), interrupted=True)
        return attempt

    def _is_exhausted(self, error: StepInterruptedError, attempts_made: int) -> bool:
        limit = getattr(self.strategy, "max_attempts", None)
        if isinstance(limit, int):
            # Not the strategy itself: its filters are about errors of the body.
            return attempts_made >= limit
        return not self._judged(error, attempts_made)[1].should_retry

    def _run(self, attempt: int) -> Any:
        failure: Exception
        try:
            value = self._call_body(attempt)
        except ExecutionError:  # the author's way to fail the execution without asking a strategy
            raise
        except InvalidStateError as error:  # a mistake in the code, which another attempt would repeat
            failure, decision = error, RetryDecision.no_retry()
        except Exception as error:  # noqa: BLE001 - whatever the body raises is its outcome
            failure, decision = self._judged(error, attempt)
        else:
            return self._succeed(value, attempt)
        return self._fail(failure, attempt, decision)

    def _call_body(self, attempt: int) -> Any:
        context = self._step_context(attempt)
        with running_step(self.scope, self.state):
            if self.config.timeout is None:
                return self.func(context)
            seconds = seconds_of(self.config.timeout, "StepConfig.timeout")
            finished, outcome = call_with_deadline(lambda: self.func(context), seconds)
        if not finished:
            self.invocation.tainted = True
            raise StepTimeoutError(
                f"attempt {attempt} of {self.state} was still running after {whole(seconds)} s, its timeout"
            )
        return outcome()

    def _step_context(self, attempt: int) -> StepContext:
        invocation, state = self.invocation, self.state
        extra: dict[str, object] = {"executionArn": invocation.arn, "operationId": state.id, "attempt": attempt}
        if state.parent_id is not None:
            extra["parentId"] = state.parent_id
        if state.name is not None:
            extra["operationName"] = state.name
        logger = ReplayAwareLogger(self.scope.base_logger, extra)
        return StepContext(logger, attempt, state.id, f"{invocation.execution_id}:{state.id}")

    def _succeed(self, value: Any, attempt: int) -> Any:
        invocation, state = self.invocation, self.state
        serdes = invocation.serdes if self.config.serdes is None else self.config.serdes
        what = payloads.result_of(state)
        failure: Exception
        try:
            _check_no_coroutine(value, what)
            text, read_back = payloads.encoded(value, serdes, state.id, invocation.arn, what)
            payloads.check_size(text, payloads.MAX_STEP_BYTES, what, TOO_LARGE)
        except (SerDesError, PayloadTooLargeError) as error:  # another attempt would return the same
            failure = error
        else:
            event = invocation.event(EventType.STEP_SUCCEEDED, state, attempt=attempt, payload=text)
            invocation.checkpoint(state, [event], progress=True)
            return read_back
        return self._fail(failure, attempt, RetryDecision.no_retry())

    def _fail(self, error: Exception, attempt: int, decision: RetryDecision, *, interrupted: bool = False) -> NoReturn:
        invocation, state = self.invocation, self.state
        details: dict[str, object] | None = None
        timers = []
        if decision.should_retry:
            seconds = seconds_of(decision.delay, "the delay of the retry strategy")
            details = {"next_attempt_delay_seconds": whole(seconds)}
            timers.append(NewTimer(state.id, "retry", seconds))
        event = invocation.event(
            EventType.STEP_FAILED, state, attempt=attempt, error=error_text(error), details=details
        )
        # At once, not with the suspend: a handler's `finally` must not be able to lose the attempt.
        invocation.checkpoint(state, [event], timers, progress=not interrupted)
        if decision.should_retry:
            invocation.suspend(state)
        raise recorded_error(invocation, state, StepError)

    def _judged(self, error: Exception, attempts_made: int) -> tuple[Exception, RetryDecision]:
        """Ask the strategy. One that fails itself ends the step with its own error: that is a mistake in the code."""
        try:
            return error, self._decision(error, attempts_made)
        except Exception as broken:  # noqa: BLE001 - anything may come out of an author's function
            return broken, RetryDecision.no_retry()

    def _decision(self, error: Exception, attempts_made: int) -> RetryDecision:
        if isinstance(self.strategy, RetryStrategy):
            return self.strategy.decide(error, attempts_made, self.invocation.random)
        decision: object = self.strategy(error, attempts_made)
        if not isinstance(decision, RetryDecision):
            raise ValidationError(
                f"StepConfig.retry_strategy of {self.state} must return a RetryDecision, not {decision!r}"
            )
        seconds_of(decision.delay, f"the delay that the retry strategy of {self.state} returned")
        return decision


def call_with_deadline(func: Callable[[], Any], seconds: float) -> tuple[bool, Callable[[], Any]]:
    """Run a function in a thread of its own; return whether it finished in time, and a function that gives its outcome.

    A function that did not finish is abandoned, not stopped: Python cannot stop a thread.
    """
    outcome: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((func(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            outcome.append((None, error))

    thread = threading.Thread(target=copy_context().run, args=(run,), daemon=True, name="durable-step")
    thread.start()
    thread.join(seconds)

    def give() -> Any:
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return bool(outcome), give


def _check_no_coroutine(value: Any, what: str) -> None:
    if inspect.iscoroutine(value):
        value.close()
        raise SerDesError(f"{what} is a coroutine: the body must be a plain function; call asyncio.run() inside it")
