"""`@durable_execution`: what turns a function into a durable handler, and where its options are checked."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, overload

from durable_engine.sdk import registry, type_registry
from durable_engine.sdk.durations import Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.inputs import check_input_type
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.serdes import SerDes

__all__ = ["DurableHandler", "InvocationStatus", "durable_execution"]

FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,140}")
QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class InvocationStatus(StrEnum):
    """How an execution stands after an invocation, as the AWS SDK names it."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    PENDING = "PENDING"


@overload
def durable_execution(func: Callable[..., Any], /) -> DurableHandler: ...


@overload
def durable_execution(
    *,
    name: str | None = None,
    version: int = 1,
    execution_timeout: Duration | timedelta | None = None,
    invocation_timeout: Duration | timedelta | None = None,
    queue: str = "durable",
    serdes: SerDes[Any] | None = None,
    input: type | Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Any]], DurableHandler]: ...


def durable_execution(
    func: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: int = 1,
    execution_timeout: Duration | timedelta | None = None,
    invocation_timeout: Duration | timedelta | None = None,
    queue: str = "durable",
    serdes: SerDes[Any] | None = None,
    input: type | Mapping[str, Any] | None = None,
) -> DurableHandler | Callable[[Callable[..., Any]], DurableHandler]:
    """Register a function `(event, context)` as a durable handler; with or without parentheses.

    The name defaults to the function's own. An execution stays on the version it was started with, so several versions
    of a name may be registered at once. `invocation_timeout` (default 15 minutes) limits one pass of the handler,
    `execution_timeout` the whole execution, waits included. `serdes` is used for the handler's result and for every
    operation that names none. `input` is a dataclass, a Pydantic model or a JSON Schema: it draws the start form and
    checks the input; with a class, the handler receives an instance of it.

    Raises:
        ValidationError: an option cannot be used; the message names it and the fix.
    """

    def decorate(function: Callable[..., Any]) -> DurableHandler:
        _check_function(function)
        handler = DurableHandler(
            name=_checked_name(name if name is not None else function.__name__),
            version=_checked_count("version", version),
            func=function,
            execution_timeout=_optional_duration("execution_timeout", execution_timeout),
            invocation_timeout=_optional_duration("invocation_timeout", invocation_timeout)
            or Duration.from_minutes(15),
            queue=_checked_queue(queue),
            serdes=_checked_serdes(serdes),
            input=check_input_type(input),
            description=inspect.getdoc(function) or "",
            fingerprint=_fingerprint(function),
        )
        registry.register(handler)
        type_registry.learn_from_function(function, whole_module=True)
        if isinstance(input, type):
            type_registry.learn_from_type(input)
        return handler

    return decorate if func is None else decorate(func)


def _check_function(function: object) -> None:
    if not inspect.isfunction(function):
        raise ValidationError(f"@durable_execution decorates a function (event, context), not {function!r}")
    where = f"{function.__module__}.{function.__qualname__}"
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ValidationError(f"{where} must be a plain function: write `def`, without `async` and `yield`")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise ValidationError(f"{where} must accept two arguments: (event, context)") from None


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not FUNCTION_NAME.fullmatch(name):
        raise ValidationError(f"name: {name!r} must be 1 to 140 letters, digits, '-' or '_'")
    return name


def _checked_queue(queue: object) -> str:
    if not isinstance(queue, str) or not QUEUE_NAME.fullmatch(queue):
        raise ValidationError(f"queue: {queue!r} must be 1 to 64 letters, digits, '-', '_' or '.'")
    return queue


def _checked_count(option: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValidationError(f"{option}: {value!r} must be a whole number of 1 or more")
    return value


def _checked_serdes(serdes: object) -> SerDes[Any] | None:
    if serdes is None or isinstance(serdes, SerDes):
        return serdes
    raise ValidationError(f"serdes: {serdes!r} must be an instance of a SerDes subclass, for example JsonSerDes()")


def _optional_duration(option: str, value: Duration | timedelta | None) -> Duration | None:
    return None if value is None else Duration(seconds_of(value, option, more_than_zero=True))


def _fingerprint(function: Callable[..., Any]) -> str:
    # The source when there is any, so that a changed constant or comment-free edit shows; else the byte code.
    try:
        content = inspect.getsource(function).encode()
    except (OSError, TypeError):
        content = function.__code__.co_code
    return hashlib.sha256(content).hexdigest()
