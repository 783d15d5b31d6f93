"""Callbacks: opened here, completed by somebody outside, asked for when their result is needed."""

from __future__ import annotations

from typing import Any

from durable_engine.core.history import NEW, STARTED, SUCCEEDED, TIMED_OUT, OperationState
from durable_engine.core.operations.base import Scope, recorded_error, refuse_in_step, whole
from durable_engine.core.ports import EventType, NewCallback
from durable_engine.sdk.config import CallbackConfig
from durable_engine.sdk.context import Callback
from durable_engine.sdk.exceptions import CallbackError, CallbackExternalError, CallbackTimeoutError
from durable_engine.sdk.serdes import PASS_THROUGH_SERDES

DEFAULT_CONFIG = CallbackConfig()


def open_callback(scope: Scope, state: OperationState, config: CallbackConfig | None) -> Callback:
    """Return the callback, opened durably. Its failure shows only when its result is asked for."""
    options = config or DEFAULT_CONFIG
    if state.status == NEW:
        _record_start(scope, state, options)
    elif scope.invocation.history.clean_passes_since(state):
        # An earlier invocation came at least as far as asking for the result.
        scope.is_rereading = True
    return OpenedCallback(scope, state, options)


class OpenedCallback(Callback):
    """A callback of this invocation."""

    def __init__(self, scope: Scope, state: OperationState, config: CallbackConfig) -> None:
        self._scope = scope
        self._state = state
        self._serdes = config.serdes or PASS_THROUGH_SERDES
        self._callback_id: str | None = None

    @property
    def callback_id(self) -> str:
        """The opaque id under which the outside completes it."""
        if self._callback_id is None:
            self._callback_id = self._scope.invocation.store.callback_id(self._state.id)
        return self._callback_id

    @property
    def operation_id(self) -> str:
        """The id of the operation in the history."""
        return self._state.id

    def result(self) -> Any:
        """Return what the outside sent; suspends the execution until it has."""
        invocation, state = self._scope.invocation, self._state
        if invocation.signal is not None:
            raise invocation.signal
        refuse_in_step()
        self._scope.is_rereading = False
        if state.status == SUCCEEDED:
            return invocation.read(state, self._serdes)
        if state.status == STARTED:
            invocation.suspend(state)
        cls: type[CallbackError] = CallbackTimeoutError if state.status == TIMED_OUT else CallbackExternalError
        error = recorded_error(invocation, state, cls)
        # As in the AWS SDK: the type that the outside sent stays in the history, not on the exception.
        error.error_type = cls.__name__
        raise error


def _record_start(scope: Scope, state: OperationState, options: CallbackConfig) -> None:
    invocation = scope.invocation
    invocation.check_release()
    timeout, heartbeat = options.timeout_seconds or None, options.heartbeat_timeout_seconds or None
    details: dict[str, object] = {}
    if timeout is not None:
        details["timeout_seconds"] = whole(timeout)
    if heartbeat is not None:
        details["heartbeat_timeout_seconds"] = whole(heartbeat)
    event = invocation.event(EventType.CALLBACK_STARTED, state, details=details or None)
    row = NewCallback(state.id, state.parent_id, state.name, timeout, heartbeat)
    invocation.checkpoint(state, [event], callbacks=[row])
