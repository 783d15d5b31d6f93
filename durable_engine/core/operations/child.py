"""Child contexts: a function with operations of its own, whose result is recorded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from durable_engine.core import payloads
from durable_engine.core.errors import error_text, operation_error
from durable_engine.core.history import FAILED, NEW, SUCCEEDED, OperationState
from durable_engine.core.operations.base import Scope, recorded_error
from durable_engine.core.ports import EventType
from durable_engine.sdk.config import ChildConfig
from durable_engine.sdk.context import DurableContext
from durable_engine.sdk.exceptions import ChildContextError, InvocationError
from durable_engine.sdk.serdes import SerDes

T = TypeVar("T")
Body = Callable[[DurableContext], T]


def run_child(scope: Scope, state: OperationState, func: Body[T], config: ChildConfig[T]) -> T:
    """Return the recorded result, or run the body over what is recorded of it.

    Raises:
        ChildContextError: the body raised.
    """
    invocation = scope.invocation
    serdes = invocation.serdes if config.serdes is None else config.serdes
    if state.status == FAILED:
        raise recorded_error(invocation, state, ChildContextError)
    if state.status == SUCCEEDED:
        if not state.replay_children:
            result: T = invocation.read(state, serdes)
            return result
        return _rebuild(scope, state, func, serdes)
    if state.status == NEW:
        invocation.check_release()
        invocation.defer(state, invocation.event(EventType.CONTEXT_STARTED, state))
    return _run(scope, state, func, config, serdes)


def run_virtual_child(scope: Scope, id: str, func: Body[T]) -> T:
    """Run a body whose operations are recorded as those of the context around it.

    Raises:
        ChildContextError: the body raised.
    """
    child = scope.child(id, scope.parent_id)
    label = f"the virtual child context {id}"
    try:
        with scope.running(_refusal(label)):
            value = func(child)
    except InvocationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the body raises is its outcome
        failure = error
    else:
        _check_ended(child, label)
        return value
    _check_ended(child, label)
    raise operation_error(ChildContextError, error_text(failure))


def _run(scope: Scope, state: OperationState, func: Body[T], config: ChildConfig[T], serdes: SerDes[Any] | None) -> T:
    invocation = scope.invocation
    child = scope.child(state.id, state.id)
    label = str(state)
    try:
        with scope.running(_refusal(label)):
            value = func(child)
        _check_ended(child, label)
        text, read_back = payloads.encoded(value, serdes, state.id, invocation.arn, payloads.result_of(state))
        text, details = _fitted(text, read_back, config)
    except InvocationError:  # not the body's outcome: another invocation runs it again
        raise
    except Exception as error:  # noqa: BLE001 - whatever the body raises is its outcome
        failure = error
    else:
        event = invocation.event(EventType.CONTEXT_SUCCEEDED, state, payload=text, details=details)
        invocation.checkpoint(state, [event], progress=True)
        checked: T = read_back
        return checked
    _check_ended(child, label)
    event = invocation.event(EventType.CONTEXT_FAILED, state, error=error_text(failure))
    invocation.checkpoint(state, [event], progress=True)
    raise recorded_error(invocation, state, ChildContextError)


def _rebuild(scope: Scope, state: OperationState, func: Body[T], serdes: SerDes[Any] | None) -> T:
    """Run the body of a completed context again over the recorded results of its operations; nothing is written."""
    invocation = scope.invocation
    child = scope.child(state.id, state.id, is_closed=True)
    label = str(state)
    with scope.running(_refusal(label)):
        value = func(child)
    _check_ended(child, label)
    read_back: T = payloads.encoded(value, serdes, state.id, invocation.arn, payloads.result_of(state))[1]
    return read_back


def _refusal(label: str) -> str:
    return (
        f"a durable operation was called on the outer context inside the body of {label}. "
        "Call it on the context that the body was given"
    )


def _check_ended(child: Scope, label: str) -> None:
    # A body that swallowed the suspend signal has not ended, whatever it returned.
    if child.invocation.signal is not None:
        raise child.invocation.signal
    child.check_all_reached(label)


def _fitted(text: str, value: Any, config: ChildConfig[Any]) -> tuple[str, dict[str, object] | None]:
    limit = payloads.MAX_INLINE_CONTEXT_BYTES
    if payloads.size_of(text) <= limit:
        return text, None
    summary = config.summary_generator(value) if config.summary_generator else ""
    return (summary if payloads.size_of(summary) <= limit else ""), {"replay_children": True}
