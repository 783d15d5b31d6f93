"""Transactions: a step whose body writes into the store's own database, committed together with its outcome."""

from __future__ import annotations

from typing import Any

from durable_engine.core.history import FAILED, SUCCEEDED, OperationState
from durable_engine.core.operations.base import Scope, calling, recorded_failure, running_step
from durable_engine.core.operations.step import Body, StepRun, Unstorable
from durable_engine.core.ports import EventType, NewEvent
from durable_engine.sdk.config import StepConfig, TransactionConfig
from durable_engine.sdk.exceptions import ExecutionError, InvalidStateError, StepError
from durable_engine.sdk.types import RetryDecision


def run_transaction(scope: Scope, state: OperationState, func: Body, config: TransactionConfig | None) -> Any:
    """Return the recorded result, or run what is still to run.

    Raises:
        StepError: the last attempt failed.
    """
    options = config or TransactionConfig()
    if state.status == SUCCEEDED:
        return scope.strand.read(state, scope.invocation.serdes if options.serdes is None else options.serdes)
    if state.status == FAILED:
        raise recorded_failure(scope.strand, state, StepError)
    return _TransactionRun(scope, state, func, StepConfig(options.retry_strategy, serdes=options.serdes)).advance()


class _TransactionRun(StepRun):
    """One transaction that has no outcome yet. What fails is rolled back, and tried again like any step."""

    def _run(self, attempt: int) -> Any:
        results: list[Any] = []
        context = self._step_context(attempt)

        def body() -> NewEvent:
            with calling(self.scope, self.state, attempt):
                value = self.func(context)
            text, read_back = self._encoded(value)
            results.append(read_back)
            return self.strand.event(EventType.STEP_SUCCEEDED, self.state, attempt=attempt, payload=text)

        failure: Exception
        try:
            with running_step(self.scope, self.state, context):
                self.strand.transact(self.state, body)
        except ExecutionError:
            raise
        except Unstorable as unstorable:
            failure, decision = unstorable.error, RetryDecision.no_retry()
        except InvalidStateError as error:
            failure, decision = error, RetryDecision.no_retry()
        except Exception as error:  # noqa: BLE001 - whatever the body or the commit raises is the attempt's outcome
            failure, decision = self._judged(error, attempt)
        else:
            return results[0]
        return self._fail(failure, attempt, decision)
