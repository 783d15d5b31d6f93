"""Values to text and back, at the border between the handler and its history."""

from __future__ import annotations

import inspect
from typing import Any

from durable_engine.core.history import OperationState
from durable_engine.sdk import extended_types
from durable_engine.sdk.exceptions import InvocationError, PayloadTooLargeError, SerDesError
from durable_engine.sdk.serdes import SerDes, SerDesContext

# As AWS has them, in bytes of UTF-8.
MAX_STEP_BYTES = 262_144
MAX_INLINE_CONTEXT_BYTES = 262_144
MAX_RESULT_BYTES = 6_291_456


def encoded(value: Any, serdes: SerDes[Any] | None, operation_id: str, arn: str, what: str) -> tuple[str, Any]:
    """Return the text of a value and the value that replay will make of it. No serdes means extended types.

    Raises:
        SerDesError: it cannot be stored; names `what`, the type, its place and the fix.
    """
    text = written(value, serdes, operation_id, arn, what)
    if serdes is None and type(value) in extended_types.PLAIN:
        return text, value  # what nobody can change comes back as it is
    try:
        return text, decoded(text, serdes, operation_id, arn)
    except InvocationError:  # the serdes asks for another invocation
        raise
    except Exception as error:
        raise _not_storable(what, error) from error


def written(value: Any, serdes: SerDes[Any] | None, operation_id: str, arn: str, what: str) -> str:
    """Return the text of a value that this handler will not read back.

    Raises:
        SerDesError: as `encoded`.
    """
    try:
        if serdes is None:
            return extended_types.encode(value)
        text = serdes.serialize(value, SerDesContext(operation_id, arn))
        _check_text(text)
    except InvocationError:
        raise
    except Exception as error:
        raise _not_storable(what, error) from error
    return text


def decoded(text: str, serdes: SerDes[Any] | None, operation_id: str, arn: str) -> Any:
    """Return the value of a recorded text. Whatever the serdes raises comes out."""
    if serdes is None:
        return extended_types.decode(text)
    return serdes.deserialize(text, SerDesContext(operation_id, arn))


def size_of(text: str) -> int:
    """Return the bytes a text takes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def check_size(text: str, limit: int, what: str, fix: str) -> None:
    """Refuse a text above a limit.

    Raises:
        PayloadTooLargeError: names `what`, its size, the limit and the fix.
    """
    # No character takes more than four bytes: most texts are passed without being counted.
    if len(text) * 4 > limit and (size := size_of(text)) > limit:
        raise PayloadTooLargeError(f"{what} has {size:,} bytes; the limit is {limit:,}. {fix}")


def check_no_coroutine(value: Any, what: str) -> None:
    """Refuse what an `async def` returns, and let it not complain that nobody awaited it.

    Raises:
        SerDesError: says how to call it.
    """
    if inspect.iscoroutine(value):
        value.close()
        raise SerDesError(f"{what} is a coroutine: the body must be a plain function; call asyncio.run() inside it")


def result_of(state: OperationState) -> str:
    """Return how messages call an operation's result."""
    return f"the result of {state}"


def _not_storable(what: str, error: Exception) -> SerDesError:
    problem = error if isinstance(error, SerDesError) else f"{type(error).__name__}: {error}"
    return SerDesError(f"{what} cannot be stored: {problem}")


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise SerDesError(f"serialize() must return a string, not {type(text).__name__}")
    if "\x00" in text:
        raise SerDesError("serialize() returned a string with a NUL character, which Postgres cannot store")
    text.encode()  # a lone surrogate is not UTF-8
