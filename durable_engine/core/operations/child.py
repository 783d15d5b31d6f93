"""Child contexts: a function with operations of its own, whose result is recorded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from durable_engine.core import payloads
from durable_engine.core.errors import error_text, failure_of
from durable_engine.core.history import FAILED, NEW, SUCCEEDED, OperationState
from durable_engine.core.operations.base import Scope, calling, recorded_failure, speaking
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
        raise recorded_failure(scope.strand, state, ChildContextError)
    if state.status == SUCCEEDED:
        if not state.replay_children:
            result: T = scope.strand.read(state, serdes)
            return result
        return rebuild(scope, state, func, serdes)
    if state.status == NEW:
        scope.strand.check_release()
        scope.strand.defer(state, scope.strand.event(EventType.CONTEXT_STARTED, state))
    return _run(scope, state, func, config, serdes)


def run_virtual_child(scope: Scope, id: str, func: Body[T], config: ChildConfig[T]) -> T:
    """Run a body whose operations are recorded as those of the context around it.

    Its result is not stored, and can be anything; a serdes that was chosen is applied all the same.

    Raises:
        ChildContextError: the body raised.
    """
    invocation = scope.invocation
    serdes = invocation.serdes if config.serdes is None else config.serdes
    child = scope.child(id, scope.parent_id)
    label = f"the virtual child context {id}"
    try:
        with scope.running(_refusal(label)), speaking(child):
            value = func(child)
        if serdes is not None:
            value = payloads.encoded(value, serdes, id, invocation.arn, f"the result of {label}")[1]
    except InvocationError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the body raises is its outcome
        failure = error
    else:
        check_ended(child, label)
        return value
    check_ended(child, label)
    raise failure_of(ChildContextError, error_text(failure))


def _run(scope: Scope, state: OperationState, func: Body[T], config: ChildConfig[T], serdes: SerDes[Any] | None) -> T:
    strand = scope.strand
    child = scope.child(state.id, state.id)
    label = str(state)
    try:
        with scope.running(_refusal(label)), speaking(child), calling(scope, state):
            value = func(child)
        check_ended(child, label)
        text, read_back = payloads.encoded(value, serdes, state.id, strand.invocation.arn, payloads.result_of(state))
        text, details = fitted(text, read_back, config.summary_generator)
    except InvocationError:  # not the body's outcome: another invocation runs it again
        raise
    except Exception as error:  # noqa: BLE001 - whatever the body raises is its outcome
        failure = error
    else:
        event = strand.event(EventType.CONTEXT_SUCCEEDED, state, payload=text, details=details)
        strand.checkpoint(state, [event], progress=True)
        checked: T = read_back
        return checked
    check_ended(child, label)
    event = strand.event(EventType.CONTEXT_FAILED, state, error=error_text(failure))
    strand.checkpoint(state, [event], progress=True)
    raise recorded_failure(strand, state, ChildContextError)


def rebuild(scope: Scope, state: OperationState, func: Body[T], serdes: SerDes[Any] | None) -> T:
    """Run the body of a completed context again over the recorded results of its operations; nothing is written."""
    child = scope.child(state.id, state.id, is_closed=True)
    label = str(state)
    with scope.running(_refusal(label)), speaking(child), calling(scope, state, is_replay_children=True):
        value = func(child)
    check_ended(child, label)
    read_back: T = payloads.encoded(value, serdes, state.id, scope.invocation.arn, payloads.result_of(state))[1]
    return read_back


def check_ended(child: Scope, label: str) -> None:
    """Called when a body has ended: it must have let its signal pass, and reached all that is recorded of it."""
    child.strand.check_unsignalled()
    child.check_all_reached(label)


def fitted(
    text: str, value: Any, summary_generator: Callable[[Any], str] | None
) -> tuple[str, dict[str, object] | None]:
    """Return what a context stores of its result, and the details that say whether that is all of it."""
    limit = payloads.MAX_INLINE_CONTEXT_BYTES
    if payloads.size_of(text) <= limit:
        return text, None
    summary = summary_generator(value) if summary_generator else ""
    return (summary if payloads.size_of(summary) <= limit else ""), {"replay_children": True}


def _refusal(label: str) -> str:
    return (
        f"a durable operation was called on the outer context inside the body of {label}. "
        "Call it on the context that the body was given"
    )
