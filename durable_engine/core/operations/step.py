"""Steps: run a body, record its outcome, try again by its strategy, and account for attempts that were interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, NoReturn

from durable_engine.core import payloads
from durable_engine.core.errors import error_text
from durable_engine.core.history import FAILED, PENDING, STARTED, SUCCEEDED, OperationState
from durable_engine.core.operations.base import Scope, attempt_logger, calling, recorded_failure, running_step, whole
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
    if state.status == SUCCEEDED:
        serdes = scope.invocation.serdes if config is None or config.serdes is None else config.serdes
        return scope.strand.read(state, serdes)
    if state.status == FAILED:
        raise recorded_failure(scope.strand, state, StepError)
    return StepRun(scope, state, func, config or DEFAULT_CONFIG).advance()


class Unstorable(Exception):
    """What a body returned cannot be stored; `error` says why."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class StepRun:
    """One step that has no outcome yet."""

    def __init__(self, scope: Scope, state: OperationState, func: Body, config: StepConfig) -> None:
        self.scope = scope
        self.strand = scope.strand
        self.invocation = scope.invocation
        self.state = state
        self.func = func
        self.config = config
        self.strategy = config.retry_strategy or DEFAULT_STRATEGY
        self.at_most_once = config.step_semantics is StepSemantics.AT_MOST_ONCE_PER_RETRY

    def advance(self) -> Any:
        """Run the next attempt and return its result, or suspend until it is due."""
        state = self.state
        if state.status == PENDING and state.id in self.invocation.pending_timers:
            self.strand.suspend(state)
        if state.status == STARTED:
            attempt = self._after_interruption()
        else:
            self.strand.check_release()
            attempt = state.attempt + 1
            self._start(attempt)
        return self._run(attempt)

    def _start(self, attempt: int) -> None:
        event = self.strand.event(EventType.STEP_STARTED, self.state, attempt=attempt)
        if self.at_most_once or self.invocation.commits_starts:
            self.strand.checkpoint(self.state, [event])
        else:
            self.strand.defer(self.state, event)

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
        self.strand.check_release()
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

        def call() -> Any:
            with calling(self.scope, self.state, attempt):
                return self.func(context)

        with running_step(self.scope, self.state, context):
            if self.config.timeout is None:
                return call()
            seconds = seconds_of(self.config.timeout, "StepConfig.timeout")
            finished, outcome = call_with_deadline(call, seconds, self.invocation.on_thread_end)
        if not finished:
            self.invocation.tainted = True
            raise StepTimeoutError(
                f"attempt {attempt} of {self.state} was still running after {whole(seconds)} s, its timeout"
            )
        return outcome()

    def _step_context(self, attempt: int) -> StepContext:
        state = self.state
        logger = attempt_logger(self.scope, state, attempt)
        return StepContext(logger, attempt, state.id, f"{self.invocation.execution_id}:{state.id}")

    def _succeed(self, value: Any, attempt: int) -> Any:
        try:
            text, read_back = self._encoded(value)
        except Unstorable as unstorable:
            failure = unstorable.error
        else:
            event = self.strand.event(EventType.STEP_SUCCEEDED, self.state, attempt=attempt, payload=text)
            self.strand.checkpoint(self.state, [event], progress=True)
            return read_back
        return self._fail(failure, attempt, RetryDecision.no_retry())

    def _encoded(self, value: Any) -> tuple[str, Any]:
        """Return the text of a result and what replay will make of it; another attempt would return the same."""
        invocation, what = self.invocation, payloads.result_of(self.state)
        serdes = invocation.serdes if self.config.serdes is None else self.config.serdes
        try:
            payloads.check_no_coroutine(value, what)
            text, read_back = payloads.encoded(value, serdes, self.state.id, invocation.arn, what)
            payloads.check_size(text, payloads.MAX_STEP_BYTES, what, TOO_LARGE)
        except (SerDesError, PayloadTooLargeError) as error:
            raise Unstorable(error) from error
        return text, read_back

    def _fail(self, error: Exception, attempt: int, decision: RetryDecision, *, interrupted: bool = False) -> NoReturn:
        strand, state = self.strand, self.state
        details: dict[str, object] | None = None
        timers = []
        if decision.should_retry:
            seconds = seconds_of(decision.delay, "the delay of the retry strategy")
            details = {"next_attempt_delay_seconds": whole(seconds)}
            timers.append(NewTimer(state.id, "retry", seconds))
        event = strand.event(EventType.STEP_FAILED, state, attempt=attempt, error=error_text(error), details=details)
        # At once, not with the suspend: a handler's `finally` must not be able to lose the attempt.
        strand.checkpoint(state, [event], timers, progress=not interrupted)
        if decision.should_retry:
            strand.suspend(state)
        raise recorded_failure(strand, state, StepError)

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


def call_with_deadline(
    func: Callable[[], Any], seconds: float, on_thread_end: Callable[[], None]
) -> tuple[bool, Callable[[], Any]]:
    """Run a function in a thread of its own; return whether it finished in time, and a function that gives its outcome.

    A function that did not finish is abandoned, not stopped: Python cannot stop a thread.
    """
    outcome: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((func(), None))
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            outcome.append((None, error))
        finally:
            on_thread_end()

    thread = threading.Thread(target=copy_context().run, args=(run,), daemon=True, name="durable-step")
    thread.start()
    thread.join(seconds)

    def give() -> Any:
        value, error = outcome[0]
        if error is not None:
            raise error
        return value

    return bool(outcome), give
