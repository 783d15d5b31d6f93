"""`wait_for_callback`: a callback, its submitter and its result, composed from public operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from durable_engine.sdk.config import CallbackConfig, ChildConfig, StepConfig, WaitForCallbackConfig
from durable_engine.sdk.context import DurableContext, original_name
from durable_engine.sdk.exceptions import (
    CallbackExternalError,
    CallbackKeyTakenError,
    CallbackSubmitterError,
    CallbackTimeoutError,
    ChildContextError,
    DurableOperationError,
)
from durable_engine.sdk.types import OperationSubType, StepContext, WaitForCallbackContext

Submitter = Callable[[str, WaitForCallbackContext], None]

# By the recorded type of the child's error, so that the first run and every replay raise the same.
TRANSLATED: dict[str, type[DurableOperationError]] = {
    "CallbackExternalError": CallbackExternalError,
    "CallbackTimeoutError": CallbackTimeoutError,
    "CallbackKeyTakenError": CallbackKeyTakenError,
    "StepError": CallbackSubmitterError,
}


def wait_for_callback(
    context: DurableContext, submitter: Submitter, name: str | None = None, config: WaitForCallbackConfig | None = None
) -> Any:
    """Run the submitter with the id of a new callback and return what the outside sends.

    Recorded as a child context `name` holding the callback `name create callback id` and the step `name submitter`.

    Raises:
        CallbackExternalError: completed with a failure.
        CallbackTimeoutError: its timeout or heartbeat timeout passed.
        CallbackKeyTakenError: another open callback of the function has its key.
        CallbackSubmitterError: the submitter failed after its last attempt.
    """
    options = config or WaitForCallbackConfig()
    name = name or original_name(submitter)
    prefix = f"{name} " if name else ""

    def body(child: DurableContext) -> Any:
        callback = child.create_callback(
            f"{prefix}create callback id",
            CallbackConfig(options.timeout, options.heartbeat_timeout, options.serdes, options.key),
        )

        def submit(step: StepContext) -> None:
            submitter(callback.callback_id, WaitForCallbackContext(step.logger, step.idempotency_key))

        child.step(submit, f"{prefix}submitter", StepConfig(options.retry_strategy, serdes=options.serdes))
        return callback.result()

    try:
        return context.run_in_child_context(body, name, ChildConfig(sub_type=OperationSubType.WAIT_FOR_CALLBACK))
    except ChildContextError as error:
        translated = TRANSLATED.get(error.error_type or "")
        if translated is None:
            raise
        raise translated(error.message, error.error_type, error.data, error.stack_trace) from error.__cause__
