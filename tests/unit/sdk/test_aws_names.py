"""Small names of the AWS SDK that no other test is about: what they are here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from durable_engine import (
    DurableContext,
    Duration,
    JitterStrategy,
    LinearRetryStrategyConfig,
    RetryStrategyConfig,
    StepError,
    WaitStrategyConfig,
    durable_execution,
)
from durable_engine.aws import exceptions as theirs
from durable_engine.aws import lambda_service, root
from durable_engine.aws.identifier import OperationIdentifier
from durable_engine.sdk import exceptions, registry
from durable_engine.sdk.types import ErrorObject, InvocationStatus
from durable_engine.testing.runner import DurableFunctionTestRunner


def test_a_handler_has_a_stand_in_for_the_lambda_context() -> None:
    seen: list[Any] = []

    def handler(event: Any, context: DurableContext) -> None:
        lambda_context = context.lambda_context
        lambda_context.log("a line")
        child = context.run_in_child_context(lambda inner: inner.lambda_context.function_name, "child")
        seen.append((lambda_context, lambda_context.get_remaining_time_in_millis(), child))

    with registry.isolated():
        made = durable_execution(name="ported", invocation_timeout=Duration(60))(handler)
    DurableFunctionTestRunner(made).run()

    lambda_context, left, child = seen[0]
    assert (lambda_context.function_name, child, left) == ("ported", "ported", 60_000)
    assert lambda_context.aws_request_id
    assert lambda_context.invoked_function_arn.endswith(":function:ported")
    assert lambda_context.log_group_name == "/aws/lambda/ported"
    assert (lambda_context.function_version, lambda_context.memory_limit_in_mb) == ("$LATEST", "128")
    assert (lambda_context.tenant_id, lambda_context.client_context, lambda_context.identity) == (None, None, None)


def test_an_error_object_is_made_from_an_exception_or_a_message() -> None:
    plain = ErrorObject.from_exception(ValueError("boom"))
    kept = ErrorObject.from_exception(StepError("failed", data='{"a": 1}', stack_trace=["frame"]))

    assert (plain.message, plain.type, plain.data, plain.stack_trace) == ("boom", "ValueError", None, None)
    assert (kept.type, kept.data, kept.stack_trace) == ("StepError", '{"a": 1}', ["frame"])
    assert ErrorObject.from_message("only this").to_dict() == {"ErrorMessage": "only this"}


def test_a_delay_is_finalized_to_whole_seconds() -> None:
    assert [JitterStrategy.NONE.finalize_delay(seconds) for seconds in (0.2, 1, 2.5)] == [1, 1, 3]
    assert 1 <= JitterStrategy.FULL.finalize_delay(10) <= 10


def test_delays_of_strategies_are_read_in_seconds() -> None:
    retries, linear = RetryStrategyConfig(initial_delay=timedelta(minutes=1)), LinearRetryStrategyConfig()
    waits = WaitStrategyConfig[int](should_continue_polling=bool)

    assert (retries.initial_delay_seconds, retries.max_delay_seconds) == (60, 300)
    assert (linear.initial_delay_seconds, linear.increment_seconds, linear.max_delay_seconds) == (1, 1, 300)
    assert (waits.initial_delay_seconds, waits.max_delay_seconds) == (5, 300)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("UnrecoverableError", exceptions.DurableExecutionsError),
        ("ExecutionError", exceptions.UnrecoverableError),
        ("NonDeterministicExecutionError", exceptions.ExecutionError),
        ("InvocationError", exceptions.UnrecoverableError),
        ("StepInterruptedError", exceptions.InvocationError),
        ("RetryableSerDesError", exceptions.InvocationError),
        ("ValidationError", exceptions.DurableExecutionsError),
        ("InvalidStateError", exceptions.DurableExecutionsError),
        ("SerDesError", exceptions.DurableExecutionsError),
        ("DurableOperationError", exceptions.DurableExecutionsError),
        ("StepError", exceptions.DurableOperationError),
        ("InvokeError", exceptions.DurableOperationError),
        ("ChildContextError", exceptions.DurableOperationError),
        ("WaitForConditionError", exceptions.DurableOperationError),
        ("BatchCompletionError", exceptions.DurableOperationError),
        ("CallbackError", exceptions.DurableOperationError),
        ("CallbackExternalError", exceptions.CallbackError),
        ("CallbackTimeoutError", exceptions.CallbackError),
        ("CallbackSubmitterError", exceptions.CallbackError),
    ],
)
def test_exceptions_stand_below_those_they_stand_below_in_aws(name: str, base: type[Exception]) -> None:
    assert issubclass(getattr(exceptions, name), base)


def test_what_is_never_raised_here_can_be_named_in_an_except_clause() -> None:
    assert issubclass(theirs.BotoClientError, exceptions.InvocationError)
    assert issubclass(theirs.CheckpointError, theirs.BotoClientError)
    assert issubclass(theirs.GetExecutionStateError, theirs.BotoClientError)
    assert issubclass(theirs.OrderedLockError, exceptions.DurableExecutionsError)
    assert issubclass(theirs.TimedSuspendExecution, exceptions.SuspendExecution)
    for control in (exceptions.SuspendExecution, exceptions.OrphanedChildException, theirs.BackgroundThreadError):
        assert not issubclass(control, Exception)
    assert exceptions.TerminationReason.STEP_INTERRUPTED == "STEP_INTERRUPTED"


def test_an_operation_error_is_rebuilt_from_its_fields() -> None:
    error = exceptions.DurableOperationError.from_error_fields("CallbackTimeoutError", "late", "Callback.Timeout", "{}")

    assert type(error) is exceptions.CallbackTimeoutError
    assert (error.message, error.error_type, error.data) == ("late", "Callback.Timeout", "{}")


def test_clients_of_the_service_of_aws_are_for_annotations_only() -> None:
    assert "DurableServiceClient" in lambda_service.__all__
    for make in (lambda_service.LambdaClient, lambda_service.LambdaClient.initialize_client):
        with pytest.raises(NotImplementedError, match=r"no LambdaClient.*boto3\.client"):
            make()


def test_the_wire_model_can_be_named_in_annotations() -> None:
    event = root.DurableExecutionInvocationInput("arn", "token", {})
    answer = root.DurableExecutionInvocationOutput(InvocationStatus.PENDING)

    assert (event.durable_execution_arn, answer.status, answer.result) == ("arn", "PENDING", None)
    assert OperationIdentifier("1", name="pay").name == "pay"
    assert lambda_service.OperationAction.RETRY == "RETRY"
