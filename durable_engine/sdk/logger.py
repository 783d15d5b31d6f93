"""`context.logger`: a logger that stays silent while history is replayed, so each line appears once."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Protocol

from durable_engine.sdk.types import LoggerInterface

Sink = Callable[[str, str, Mapping[str, object]], None]
"""Takes down a record: its level, its message, its extra fields. Must not raise."""


class HasLogger(Protocol):
    """A context of a handler, or of the body of a step."""

    @property
    def logger(self) -> LoggerInterface:
        """The logger of the code that was given the context."""
        ...


SPEAKER: ContextVar[HasLogger | None] = ContextVar("durable_engine_speaker", default=None)
"""The context of the code that runs here. None outside handlers."""

# Set while a record that the sinks have had is on its way through the logger behind ours.
_is_taken_down: ContextVar[bool] = ContextVar("durable_engine_is_taken_down", default=False)
_sinks: list[Sink] = []


def add_sink(sink: Sink) -> None:
    """Have every record of every handler of this process taken down."""
    _sinks.append(sink)


def remove_sink(sink: Sink) -> None:
    """Take a sink away again."""
    _sinks.remove(sink)


def speaker() -> ReplayAwareLogger | None:
    """Return the logger that what is printed here counts as given to; None outside handlers."""
    context = SPEAKER.get()
    logger = None if context is None else context.logger
    return logger if isinstance(logger, ReplayAwareLogger) else None


def is_taken_down() -> bool:
    """Whether the record that is being logged has been given to the sinks already."""
    return _is_taken_down.get()


class ReplayAwareLogger:
    """Adds the execution's fields to every record and drops records of replayed code.

    Extras, as in the AWS SDK: `executionArn`, and where known `parentId`, `operationId`, `operationName`, `attempt`.
    """

    def __init__(
        self,
        logger: LoggerInterface,
        extra: Mapping[str, object],
        is_replaying: Callable[[], bool] | None = None,
    ) -> None:
        self._logger = logger
        self._extra = dict(extra)
        self._is_replaying = is_replaying

    def with_is_replaying(self, is_replaying: Callable[[], bool] | None) -> ReplayAwareLogger:
        """Return the same logger with another rule of when to be silent; None means never."""
        return ReplayAwareLogger(self._logger, self._extra, is_replaying)

    def debug(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level DEBUG."""
        self._log(logging.DEBUG, self._logger.debug, msg, args, extra)

    def info(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level INFO."""
        self._log(logging.INFO, self._logger.info, msg, args, extra)

    def warning(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level WARNING."""
        self._log(logging.WARNING, self._logger.warning, msg, args, extra)

    def error(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level ERROR."""
        self._log(logging.ERROR, self._logger.error, msg, args, extra)

    def exception(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level ERROR with the traceback of the exception being handled."""
        stack = {"exception": traceback.format_exc()} if sys.exc_info()[0] is not None else {}
        self._log(logging.ERROR, self._logger.exception, msg, args, extra, stack)

    def speaks(self) -> bool:
        """Whether a record given to it now is logged: not while history is replayed."""
        return self._is_replaying is None or not self._is_replaying()

    def take_down(self, level: str, message: str, more: Mapping[str, object]) -> None:
        """Give the sinks a record of code that speaks by other means than this logger; dropped while it replays."""
        if _sinks and self.speaks():
            self._tell(level, message, {**self._extra, **more})

    def _log(
        self,
        level: int,
        log: Callable[..., None],
        msg: object,
        args: tuple[object, ...],
        extra: Mapping[str, object] | None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        if not self.speaks():
            return
        merged = {**self._extra, **(extra or {})}
        if not _sinks:
            log(msg, *args, extra=merged)
            return
        if not isinstance(self._logger, logging.Logger) or self._logger.isEnabledFor(level):
            self._tell(logging.getLevelName(level), _text(msg, args), {**merged, **(more or {})})
        token = _is_taken_down.set(True)
        try:
            log(msg, *args, extra=merged)
        finally:
            _is_taken_down.reset(token)

    @staticmethod
    def _tell(level: str, message: str, fields: Mapping[str, object]) -> None:
        for sink in _sinks:
            sink(level, message, fields)


def _text(msg: object, args: tuple[object, ...]) -> str:
    """Put a message together as `logging` does; one that does not fit its arguments is kept with them."""
    values: object = args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args
    try:
        return str(msg) % values if args else str(msg)
    except (TypeError, ValueError, KeyError):
        return f"{msg} {args}"
