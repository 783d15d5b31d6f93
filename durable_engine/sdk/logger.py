"""`context.logger`: a logger that stays silent while history is replayed, so each line appears once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from durable_engine.sdk.types import LoggerInterface


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
        if self._speaks():
            self._logger.debug(msg, *args, extra=self._merged(extra))

    def info(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level INFO."""
        if self._speaks():
            self._logger.info(msg, *args, extra=self._merged(extra))

    def warning(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level WARNING."""
        if self._speaks():
            self._logger.warning(msg, *args, extra=self._merged(extra))

    def error(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level ERROR."""
        if self._speaks():
            self._logger.error(msg, *args, extra=self._merged(extra))

    def exception(self, msg: object, *args: object, extra: Mapping[str, object] | None = None) -> None:
        """Log at level ERROR with the traceback of the exception being handled."""
        if self._speaks():
            self._logger.exception(msg, *args, extra=self._merged(extra))  # noqa: LOG004 - the caller is in a handler

    def _speaks(self) -> bool:
        return self._is_replaying is None or not self._is_replaying()

    def _merged(self, extra: Mapping[str, object] | None) -> dict[str, object]:
        return {**self._extra, **(extra or {})}
