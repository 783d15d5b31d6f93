"""`wait_for_approval`, `create_approval` and `ask`: what handlers call. Plain functions over callbacks and steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from approvals.sdk.arguments import ApprovalArguments, AskArguments
from approvals.sdk.decision import Decision
from approvals.sdk.exceptions import (
    ApprovalError,
    ApprovalExpired,
    ApprovalNotOpened,
    ApprovalWithdrawn,
    InvalidApproval,
)
from approvals.sdk.opening import requests
from approvals.sdk.policy import Choice
from approvals.sdk.spec import ApprovalSpec, freeze
from durable_engine.sdk.config import CallbackConfig, StepConfig, WaitForCallbackConfig
from durable_engine.sdk.context import Callback, DurableContext
from durable_engine.sdk.exceptions import CallbackExternalError, CallbackSubmitterError, CallbackTimeoutError, StepError
from durable_engine.sdk.retries import RetryPresets
from durable_engine.sdk.types import RetryDecision, StepContext, WaitForCallbackContext


def wait_for_approval(context: DurableContext, name: str, **arguments: Unpack[ApprovalArguments]) -> Decision:
    """Ask people, suspend until they have decided, and return the decision.

    One request in the inbox is one call of this: chains, routing by amount and further rounds are ordinary Python. A
    rejection is an answer, not an error. See `ApprovalArguments` for what can be said.

    Raises:
        InvalidApproval: an argument can't be used; nothing was recorded.
        ApprovalNotOpened: the people don't exist, or could never reach the quorum.
        ApprovalExpired: nobody decided in time and `on_expire` is "raise".
        ApprovalWithdrawn: the question was taken back.
    """
    spec = freeze(**arguments)

    def submit(callback_id: str, submission: WaitForCallbackContext) -> None:
        requests().open(callback_id, name, spec)

    config = WaitForCallbackConfig(timeout=spec.backstop, retry_strategy=_retry_unless_refused)
    return _decision(lambda: context.wait_for_callback(submit, name=name, config=config), spec)


def ask(
    context: DurableContext, name: str, *, form: Any, button: str = "Send", **arguments: Unpack[AskArguments]
) -> Decision:
    """Ask somebody to fill in a form, and return what they wrote as `decision.data`.

    Raises:
        InvalidApproval, ApprovalNotOpened, ApprovalExpired, ApprovalWithdrawn: as `wait_for_approval`.
    """
    if form is None:
        raise InvalidApproval("form: ask() needs one; wait_for_approval() asks for yes or no without")
    arguments.setdefault("requester_may_decide", True)
    return wait_for_approval(context, name, form=form, choices=[Choice("answer", button)], **arguments)


class Approval:
    """An approval that was opened with `create_approval`: other work may go on before its decision is asked for."""

    def __init__(
        self, context: DurableContext, name: str, callback: Callback, request_id: str, spec: ApprovalSpec
    ) -> None:
        self._context = context
        self._name = name
        self._callback = callback
        self._spec = spec
        self.request_id = request_id

    def result(self) -> Decision:
        """Return the decision; suspends the execution until there is one.

        Raises:
            ApprovalExpired, ApprovalWithdrawn: as `wait_for_approval`.
        """
        return _decision(self._callback.result, self._spec)

    def withdraw(self, reason: str = "") -> None:
        """Take the question back, as a step; without effect once it is decided."""

        def body(step: StepContext) -> None:
            requests().withdraw(self._callback.callback_id, reason)

        self._context.step(body, f"{self._name} withdraw")


def create_approval(context: DurableContext, name: str, **arguments: Unpack[ApprovalArguments]) -> Approval:
    """Ask people and go on: several approvals can be open at once, and decided in any order.

    Recorded as the callback `name create callback id` and the step `name submitter`, as `wait_for_approval` is.

    Raises:
        InvalidApproval, ApprovalNotOpened: as `wait_for_approval`.
    """
    spec = freeze(**arguments)
    callback = context.create_callback(f"{name} create callback id", CallbackConfig(spec.backstop))

    def submit(step: StepContext) -> str:
        return requests().open(callback.callback_id, name, spec)

    try:
        request_id = context.step(submit, f"{name} submitter", StepConfig(_retry_unless_refused))
    except StepError as error:
        raise ApprovalNotOpened(error.message) from error
    return Approval(context, name, callback, request_id, spec)


def _decision(wait: Callable[[], Any], spec: ApprovalSpec) -> Decision:
    try:
        decision = Decision.from_text(wait())
    except CallbackSubmitterError as error:
        raise ApprovalNotOpened(error.message) from error
    except CallbackTimeoutError:
        # Nobody was there to apply the request's own end: apply it here.
        decision = expired_decision(spec)
    except CallbackExternalError as error:
        raise ApprovalWithdrawn(error.message) from error
    if decision.outcome == "expired" and spec.policy["on_expire"]["kind"] == "raise":
        raise ApprovalExpired("nobody decided in time")
    return decision


def expired_decision(spec: ApprovalSpec) -> Decision:
    """Return what `on_expire` says, as a decision of nobody's."""
    return expiry_decision(spec.policy["on_expire"], digest=spec.digest)


def expiry_decision(on_expire: dict[str, Any], **facts: Any) -> Decision:
    """Return the decision that an `on_expire` policy makes."""
    match on_expire["kind"]:
        case "approve":
            return Decision("approved", is_expired=True, **facts)
        case "reject":
            return Decision("rejected", is_expired=True, **facts)
        case "value":
            return Decision("answered", value=on_expire["value"], is_expired=True, **facts)
        case _:
            return Decision("expired", is_expired=True, **facts)


def _retry_unless_refused(error: Exception, attempts: int) -> RetryDecision:
    """A database that is away is worth another attempt; a question to nobody stays one."""
    if isinstance(error, ApprovalError | InvalidApproval):
        return RetryDecision.no_retry()
    return RetryPresets.default()(error, attempts)
