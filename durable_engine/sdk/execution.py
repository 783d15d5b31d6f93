"""`@durable_execution`: what turns a function into a durable handler, and where its options are checked."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, overload

from durable_engine.sdk import registry, type_registry
from durable_engine.sdk.durations import Duration, seconds_of
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.inputs import check_input_type
from durable_engine.sdk.limits import ConcurrencyLimit, ConcurrencyScope
from durable_engine.sdk.plugin import checked_plugins
from durable_engine.sdk.registry import DurableHandler
from durable_engine.sdk.serdes import SerDes
from durable_engine.sdk.types import InvocationStatus

__all__ = ["DurableHandler", "InvocationStatus", "durable_execution"]

FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,140}")
QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@overload
def durable_execution(func: Callable[..., Any], /) -> DurableHandler: ...


@overload
def durable_execution(
    *,
    name: str | None = None,
    version: int = 1,
    execution_timeout: Duration | timedelta | None = None,
    invocation_timeout: Duration | timedelta | None = None,
    retention: Duration | timedelta | None = None,
    max_concurrency: int | None = None,
    concurrency_key: str | Callable[[Any], object] | None = None,
    concurrency_scope: ConcurrencyScope = ConcurrencyScope.INVOCATION,
    queue: str = "durable",
    serdes: SerDes[Any] | None = None,
    input: type | Mapping[str, Any] | None = None,
    masked_keys: Sequence[str] = (),
    plugins: Sequence[object] | None = None,
) -> Callable[[Callable[..., Any]], DurableHandler]: ...


def durable_execution(
    func: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    version: int = 1,
    execution_timeout: Duration | timedelta | None = None,
    invocation_timeout: Duration | timedelta | None = None,
    retention: Duration | timedelta | None = None,
    max_concurrency: int | None = None,
    concurrency_key: str | Callable[[Any], object] | None = None,
    concurrency_scope: ConcurrencyScope = ConcurrencyScope.INVOCATION,
    queue: str = "durable",
    serdes: SerDes[Any] | None = None,
    input: type | Mapping[str, Any] | None = None,
    masked_keys: Sequence[str] = (),
    plugins: Sequence[object] | None = None,
) -> DurableHandler | Callable[[Callable[..., Any]], DurableHandler]:
    """Register a function `(event, context)` as a durable handler; with or without parentheses.

    The name defaults to the function's own. An execution stays on the version it was started with, so several versions
    of a name may be registered at once. `invocation_timeout` (default 15 minutes) limits one pass of the handler,
    `execution_timeout` the whole execution, waits included; `retention` is how long one is kept after its end. `serdes`
    is used for the handler's result and for every operation that names none. `input` is a dataclass, a Pydantic model
    or a JSON Schema: it draws the start form and checks the input; with a class, the handler receives an instance of
    it.

    At most `max_concurrency` executions run at once; with `concurrency_key`, a place in the input such as `customer.id`
    or a function of it, so many of each key. One that waits takes no place, unless `concurrency_scope` is EXECUTION.

    `plugins` are told of everything that happens: `DurableInstrumentationPlugin`.

    Pages hide the values of `masked_keys` in inputs and results, at any depth, from people who may not reveal them.

    Raises:
        ValidationError: an option cannot be used; the message names it and the fix.
    """

    def decorate(function: Callable[..., Any]) -> DurableHandler:
        _check_function(function)
        handler = DurableHandler(
            name=checked_name(name if name is not None else function.__name__),
            version=checked_count("version", version),
            func=function,
            execution_timeout=optional_duration("execution_timeout", execution_timeout),
            invocation_timeout=optional_duration("invocation_timeout", invocation_timeout) or Duration.from_minutes(15),
            retention=optional_duration("retention", retention),
            limit=_limit(max_concurrency, concurrency_key, concurrency_scope),
            queue=checked_queue(queue),
            serdes=_checked_serdes(serdes),
            input=check_input_type(input),
            masked_keys=_checked_keys(masked_keys),
            plugins=checked_plugins(plugins),
            description=inspect.getdoc(function) or "",
            fingerprint=_fingerprint(function),
        )
        registry.register(handler)
        type_registry.learn_from_function(function, whole_module=True)
        if isinstance(input, type):
            type_registry.learn_from_type(input)
        return handler

    return decorate if func is None else decorate(func)


def _checked_keys(keys: Sequence[object]) -> tuple[str, ...]:
    names = [key for key in keys if isinstance(key, str) and key]
    if isinstance(keys, str) or len(names) != len(keys):
        raise ValidationError(f"masked_keys: {keys!r} must be a list of names of keys, for example ['card_number']")
    return tuple(names)


def _check_function(function: object) -> None:
    if not inspect.isfunction(function):
        raise ValidationError(f"@durable_execution decorates a function (event, context), not {function!r}")
    check_callable(function, f"{function.__module__}.{function.__qualname__}")


def check_callable(function: object, where: str) -> Callable[..., Any]:
    """Return what can be called with an event and a context.

    Raises:
        ValidationError: it cannot; says why, about `where`.
    """
    if not callable(function):
        raise ValidationError(f"{where} must be a function (event, context), not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ValidationError(f"{where} must be a plain function: write `def`, without `async` and `yield`")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise ValidationError(f"{where} must accept two arguments: (event, context)") from None
    return function


def checked_name(name: object) -> str:
    """Return the name of a function if it can be one."""
    if not isinstance(name, str) or not FUNCTION_NAME.fullmatch(name):
        raise ValidationError(f"name: {name!r} must be 1 to 140 letters, digits, '-' or '_'")
    return name


def _limit(
    max_concurrency: int | None, key: str | Callable[[Any], object] | None, scope: ConcurrencyScope
) -> ConcurrencyLimit | None:
    if max_concurrency is not None:
        return ConcurrencyLimit(max_concurrency, key, scope)
    if key is not None:
        raise ValidationError("concurrency_key: needs max_concurrency, the number that may run at once under one key")
    return None


def checked_queue(queue: object) -> str:
    """Return a queue's name after checking its form."""
    if not isinstance(queue, str) or not QUEUE_NAME.fullmatch(queue):
        raise ValidationError(f"queue: {queue!r} must be 1 to 64 letters, digits, '-', '_' or '.'")
    return queue


def checked_count(option: str, value: object) -> int:
    """Return a whole number from 1 that was given as `option`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValidationError(f"{option}: {value!r} must be a whole number of 1 or more")
    return value


def _checked_serdes(serdes: object) -> SerDes[Any] | None:
    if serdes is None or isinstance(serdes, SerDes):
        return serdes
    raise ValidationError(f"serdes: {serdes!r} must be an instance of a SerDes subclass, for example JsonSerDes()")


def optional_duration(option: str, value: Duration | timedelta | None) -> Duration | None:
    """Return an option that is a duration of more than 0, or None."""
    return None if value is None else Duration(seconds_of(value, option, more_than_zero=True))


def _fingerprint(function: Callable[..., Any]) -> str:
    # The source when there is any, so that a changed constant or comment-free edit shows; else the byte code.
    try:
        content = inspect.getsource(function).encode()
    except (OSError, TypeError):
        content = function.__code__.co_code
    return hashlib.sha256(content).hexdigest()
