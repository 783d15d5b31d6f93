"""Callbacks: opened here, completed by somebody outside, asked for when their result is needed."""

from __future__ import annotations

import json
from typing import Any

from durable_engine.core.history import NEW, STARTED, SUCCEEDED, TIMED_OUT, OperationState
from durable_engine.core.operations.base import Scope, recorded_error, refuse_in_step, whole
from durable_engine.core.ports import CallbackKeyTaken, EventType, NewCallback
from durable_engine.core.strand import CURRENT
from durable_engine.sdk.config import CallbackConfig
from durable_engine.sdk.context import Callback
from durable_engine.sdk.exceptions import (
    CallbackError,
    CallbackExternalError,
    CallbackKeyTakenError,
    CallbackTimeoutError,
)
from durable_engine.sdk.serdes import PASS_THROUGH_SERDES

DEFAULT_CONFIG = CallbackConfig()


def open_callback(scope: Scope, state: OperationState, config: CallbackConfig | None) -> Callback:
    """Return the callback, opened durably. Its failure shows only when its result is asked for.

    Raises:
        CallbackKeyTakenError: it was not opened.
    """
    options = config or DEFAULT_CONFIG
    is_new = state.status == NEW
    if is_new:
        _record_start(scope, state, options)
    if state.is_refused:
        error = recorded_error(scope.strand, state, CallbackKeyTakenError)
        error.error_type = CallbackKeyTakenError.__name__
        raise error
    if not is_new and (scope.strand.is_resumed or scope.invocation.history.clean_passes_since(state)):
        # An earlier pass came at least as far as asking for the result.
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
        # A branch may ask for the result of a callback that was opened around it; then it is the branch that waits.
        strand, state = CURRENT.get() or self._scope.strand, self._state
        strand.check()
        refuse_in_step()
        if strand is self._scope.strand:
            self._scope.is_rereading = False
        if state.status == SUCCEEDED:
            return strand.read(state, self._serdes)
        if state.status == STARTED:
            strand.suspend(state)
        cls: type[CallbackError] = CallbackTimeoutError if state.status == TIMED_OUT else CallbackExternalError
        error = recorded_error(strand, state, cls)
        # As in the AWS SDK: the type that the outside sent stays in the history, not on the exception.
        error.error_type = cls.__name__
        raise error


def _record_start(scope: Scope, state: OperationState, options: CallbackConfig) -> None:
    strand = scope.strand
    strand.check_release()
    timeout, heartbeat = options.timeout_seconds or None, options.heartbeat_timeout_seconds or None
    details: dict[str, object] = {}
    if timeout is not None:
        details["timeout_seconds"] = whole(timeout)
    if heartbeat is not None:
        details["heartbeat_timeout_seconds"] = whole(heartbeat)
    if options.key is not None:
        details["key"] = options.key
    event = strand.event(EventType.CALLBACK_STARTED, state, details=details or None)
    row = NewCallback(state.id, state.parent_id, state.name, timeout, heartbeat, options.key)
    try:
        strand.checkpoint(state, [event], callbacks=[row])
    except CallbackKeyTaken as taken:
        # Durably: that the key is free again later must not change what replay sees.
        error = json.dumps({"ErrorType": "Callback.KeyTaken", "ErrorMessage": str(taken)})
        failed = strand.event(EventType.CALLBACK_FAILED, state, error=error, details={"refused": True})
        strand.checkpoint(state, [event, failed])
