"""Error objects, the form in which a history keeps an exception, and exceptions made from them again."""

from __future__ import annotations

import builtins
import itertools
import json
import sysconfig
import traceback
from pathlib import Path
from typing import Any, TypeVar

from durable_engine.sdk import exceptions, extended_types, type_registry
from durable_engine.sdk.exceptions import (
    OPERATION_ERRORS,
    DurableExecutionsError,
    DurableOperationError,
    SerDesError,
)

E = TypeVar("E", bound=DurableOperationError)

# The whole object fits what AWS allows for one.
MAX_OBJECT_BYTES = 32_768
MAX_MESSAGE_CHARACTERS = 6_000
MAX_DATA_CHARACTERS = 8_000
MAX_CAUSES = 3

_ENGINE = str(Path(__file__).resolve().parent.parent)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


class RecordedError(Exception):
    """Stands in for an exception whose class is not registered. `error_type` is its class name."""

    def __init__(self, message: str, error_type: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def error_object(error: BaseException) -> dict[str, Any]:
    """Return the error object of an exception, at most 32 KiB as JSON.

    The stack lists the exception's notes, then the application's frames, then those of libraries. An error of an
    operation below keeps the data and the stack that were recorded with it.
    """
    result: dict[str, Any] = {"ErrorType": type(error).__name__, "ErrorMessage": shortened(_message(error))}
    if isinstance(error, DurableOperationError | SerDesError):
        data, stack = error.data, error.stack_trace
    else:
        data, stack = _data(error), None
    if data is not None and len(data) <= MAX_DATA_CHARACTERS:
        result["ErrorData"] = data
    notes = [f"Note: {shortened(note)}" for note in getattr(error, "__notes__", ())]
    result["StackTrace"] = _fitted(notes + (stack or stack_of(error)), MAX_OBJECT_BYTES - len(json.dumps(result)) - 64)
    return result


def error_text(error: BaseException) -> str:
    """Return the error object of an exception as JSON text."""
    return json.dumps(error_object(error))


def failure_of(cls: type[DurableOperationError], text: str | None) -> DurableExecutionsError:
    """Build what an operation raises that ran the author's code: a `SerDesError`, or an error of its own class.

    Raises:
        ValueError: the text is not an error object.
    """
    error = operation_error(cls, text)
    if error.error_type != SerDesError.__name__:
        return error
    unstorable = SerDesError(error.message, error.error_type, error.data, error.stack_trace)
    unstorable.__cause__ = error.__cause__
    return unstorable


def operation_error(cls: type[E], text: str | None) -> E:
    """Build the exception that an operation raises from its recorded error object, with a rebuilt cause.

    Raises:
        ValueError: the text is not an error object.
    """
    recorded = json.loads(text) if text else {}
    if not isinstance(recorded, dict):
        raise ValueError(f"not an error object: {str(recorded)[:80]}")
    message = str(recorded.get("ErrorMessage") or "")
    error_type, data, stack = recorded.get("ErrorType"), recorded.get("ErrorData"), recorded.get("StackTrace")
    error = cls(message, error_type, data, stack if isinstance(stack, list) else None)
    if error_type:
        error.__cause__ = _cause(message, error_type, data)
    return error


def stack_of(error: BaseException) -> list[str]:
    """Return one text a frame, the application's own frames first, then those of its causes."""
    frames = _frames(error)
    seen = {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and id(cause) not in seen and len(seen) <= MAX_CAUSES:
        seen.add(id(cause))
        frames.append(f"Caused by {type(cause).__name__}: {_message(cause)[:500]}")
        frames += _frames(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return frames


def storable(text: str) -> str:
    """Return a text without what Postgres or UTF-8 cannot hold."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def shortened(text: str) -> str:
    """Return a message that can be stored, with its middle cut out when it is long."""
    text = storable(text)
    if len(text) <= MAX_MESSAGE_CHARACTERS:
        return text
    half = MAX_MESSAGE_CHARACTERS // 2
    return f"{text[:half]} … {len(text) - 2 * half} characters cut … {text[-half:]}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error it describes
        return f"<{type(error).__name__} whose message cannot be shown>"


def _data(error: BaseException) -> str | None:
    if type_registry.name_of(type(error)) is None:
        return None
    try:
        return extended_types.encode(error)
    except SerDesError:
        return None


def _frames(error: BaseException) -> list[str]:
    own: list[str] = []
    library: list[str] = []
    # The engine's own plumbing above the author's function says nothing.
    frames = itertools.dropwhile(
        lambda frame: frame.filename.startswith(_ENGINE), traceback.extract_tb(error.__traceback__)
    )
    for frame in frames:
        source = f"\n    {frame.line}" if frame.line else ""
        text = f'File "{frame.filename}", line {frame.lineno}, in {frame.name}{source}'
        (library if _is_library(frame.filename) else own).append(text)
    return own + library


def _is_library(filename: str) -> bool:
    return filename.startswith((_ENGINE, *_LIBRARIES, "<frozen")) or "site-packages" in filename


def _fitted(frames: list[str], limit: int) -> list[str]:
    if len(json.dumps(frames)) <= limit:
        return frames
    head: list[str] = []
    tail: list[str] = []
    room = limit - 80
    # From both ends inwards: the frames that raised and those that called matter most.
    for index in range(len(frames)):
        frame = frames[index // 2] if index % 2 == 0 else frames[-1 - index // 2]
        room -= len(json.dumps(frame)) + 2
        if room < 0:
            break
        (head if index % 2 == 0 else tail).append(frame)
    return [*head, f"… {len(frames) - len(head) - len(tail)} frames cut …", *reversed(tail)]


def _cause(message: str, error_type: str, data: object) -> Exception:
    if isinstance(data, str) and data.startswith('{"t": "ex"'):
        try:
            restored = extended_types.decode(data)
        except SerDesError:
            restored = None
        if isinstance(restored, Exception):
            return restored
    if error_type in OPERATION_ERRORS:
        return OPERATION_ERRORS[error_type](message, data=data if isinstance(data, str) else None)
    known = getattr(exceptions, error_type, None) or getattr(builtins, error_type, None)
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(message)
        except TypeError:  # UnicodeDecodeError and its like need more than a message
            pass
    return RecordedError(message, error_type)
