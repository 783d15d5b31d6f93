"""Conditions: a check that runs again and again, with a state handed on, until its strategy is satisfied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from durable_engine.core import payloads
from durable_engine.core.errors import error_text
from durable_engine.core.history import FAILED, PENDING, STARTED, SUCCEEDED, OperationState
from durable_engine.core.operations.base import Scope, attempt_logger, calling, recorded_failure, running_step, whole
from durable_engine.core.ports import EventType, NewTimer
from durable_engine.sdk.durations import seconds_of
from durable_engine.sdk.exceptions import InvocationError, ValidationError, WaitForConditionError
from durable_engine.sdk.types import WaitForConditionCheckContext
from durable_engine.sdk.waits import WaitForConditionConfig, WaitForConditionDecision, WaitStrategy

Check = Callable[[Any, WaitForConditionCheckContext], Any]

TOO_LARGE = "Keep the data elsewhere and hand on where it is."


def run_condition(scope: Scope, state: OperationState, check: Check, config: WaitForConditionConfig[Any]) -> Any:
    """Return the state with which the strategy was satisfied, or check once more.

    Raises:
        WaitForConditionError: the strategy gave up, or it or the check raised.
    """
    if state.status == SUCCEEDED:
        return scope.strand.read(state, scope.invocation.serdes if config.serdes is None else config.serdes)
    if state.status == FAILED:
        raise recorded_failure(scope.strand, state, WaitForConditionError)
    return _Poll(scope, state, check, config).advance()


class _Poll:
    """One condition that has no outcome yet."""

    def __init__(self, scope: Scope, state: OperationState, check: Check, config: WaitForConditionConfig[Any]) -> None:
        self.scope = scope
        self.strand = scope.strand
        self.invocation = scope.invocation
        self.state = state
        self.check = check
        self.config = config
        self.serdes = self.invocation.serdes if config.serdes is None else config.serdes

    def advance(self) -> Any:
        """Check once and return the result, or suspend until the next check is due."""
        state, strand = self.state, self.strand
        if state.status == PENDING and state.id in self.invocation.pending_timers:
            strand.suspend(state)
        strand.check_release()
        attempt = state.attempt
        if state.status != STARTED:  # an interrupted check is repeated: it only looks
            attempt += 1
            event = strand.event(EventType.STEP_STARTED, state, attempt=attempt)
            if self.invocation.commits_starts:
                strand.checkpoint(state, [event])
            else:
                strand.defer(state, event)
        return self._run(attempt)

    def _run(self, attempt: int) -> Any:
        state, what = self.state, payloads.result_of(self.state)
        try:
            before = self._state_before(what)
            context = WaitForConditionCheckContext(attempt_logger(self.scope, state, attempt), attempt)
            with running_step(self.scope, state, context), calling(self.scope, state, attempt):
                value = self.check(before, context)
            payloads.check_no_coroutine(value, what)
            text, after = payloads.encoded(value, self.serdes, state.id, self.invocation.arn, what)
            payloads.check_size(text, payloads.MAX_STEP_BYTES, what, TOO_LARGE)
            # The strategy sees what the next check will see.
            decision = self._decision(after, attempt)
        except InvocationError:  # not an outcome: another invocation checks again
            raise
        except Exception as error:  # noqa: BLE001 - whatever check or strategy raise is the outcome
            failure = error
        else:
            self._record(text, attempt, decision)
            return after
        return self._fail(failure, attempt)

    def _state_before(self, what: str) -> Any:
        if self.state.payload is not None:
            return self.strand.read(self.state, self.serdes)
        initial = self.config.initial_state
        return payloads.encoded(initial, self.serdes, self.state.id, self.invocation.arn, f"the first state of {what}")[
            1
        ]

    def _decision(self, value: Any, attempt: int) -> WaitForConditionDecision:
        strategy = self.config.wait_strategy
        if isinstance(strategy, WaitStrategy):
            return strategy.decide(value, attempt, self.invocation.random)
        decision: object = strategy(value, attempt)
        if not isinstance(decision, WaitForConditionDecision):
            raise ValidationError(
                f"the wait strategy of {self.state} must return a WaitForConditionDecision, not {decision!r}"
            )
        seconds_of(decision.delay, f"the delay that the wait strategy of {self.state} returned")
        return decision

    def _record(self, text: str, attempt: int, decision: WaitForConditionDecision) -> None:
        """Record the state as the result, or as what the next check is given; suspends in that case."""
        state, strand = self.state, self.strand
        details: dict[str, object] | None = None
        timers = []
        if decision.should_continue:
            seconds = seconds_of(decision.delay, "the delay of the wait strategy")
            details = {"next_attempt_delay_seconds": whole(seconds)}
            timers.append(NewTimer(state.id, "condition", seconds))
        event = strand.event(EventType.STEP_SUCCEEDED, state, attempt=attempt, payload=text, details=details)
        strand.checkpoint(state, [event], timers, progress=True)
        if decision.should_continue:
            strand.suspend(state)

    def _fail(self, error: Exception, attempt: int) -> NoReturn:
        state, strand = self.state, self.strand
        event = strand.event(EventType.STEP_FAILED, state, attempt=attempt, error=error_text(error))
        strand.checkpoint(state, [event], progress=True)
        raise recorded_failure(strand, state, WaitForConditionError)
