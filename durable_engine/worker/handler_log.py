"""What handlers of this process log and print: a line each in a file, and a record each for the pages.

A line is in the file when the call that logged it returns, so the last words before a crash are there. The records for
the pages are written by a thread of their own, see `log_store`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings

from durable_engine.sdk import logger as handler_logger
from durable_engine.sdk.logger import ReplayAwareLogger
from durable_engine.worker.log_store import LogStore

# What the engine and its libraries say of themselves while a handler runs is not the handler's.
NOT_OF_HANDLERS = ("durable_engine", "celery", "kombu", "billiard", "perdure.plugins")
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

logger = logging.getLogger(__name__)


class HandlerLog:
    """Takes down what handlers say. `file` None writes no file, `store` None keeps nothing for the pages."""

    def __init__(self, file: Path | None, store: LogStore | None) -> None:
        # Lines stand in the file in the order of their times. A signal handler may print while its thread holds it.
        self._lock = threading.RLock()
        self._descriptor = _opened(file)
        self._store = store
        self._others = _OtherLoggers()
        self._streams: list[_Tee] = []

    @classmethod
    def of_settings(cls) -> HandlerLog:
        """Return the one that the installation asks for."""
        most = settings.DURABLE_LOG_RECORDS
        return cls(settings.DURABLE_HANDLER_LOG, LogStore(most) if most else None)

    def install(self) -> None:
        """Begin: from now on every record of a handler, and every line that one prints, is taken down."""
        handler_logger.add_sink(self.take)
        logging.getLogger().addHandler(self._others)
        self._streams = [_Tee("stdout", "INFO"), _Tee("stderr", "ERROR")]

    def uninstall(self) -> None:
        """End, and write what is left. Once is enough, more does no harm."""
        if not self._streams:
            return
        for stream in self._streams:
            stream.remove()
        self._streams = []
        logging.getLogger().removeHandler(self._others)
        handler_logger.remove_sink(self.take)
        if self._store is not None:
            self._store.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def end_of_invocation(self) -> None:
        """Take down a line that was begun and not ended, and let the records be written now."""
        self.end_of_thread()
        if self._store is not None:
            self._store.hurry()

    def end_of_thread(self) -> None:
        """Take down the lines that this thread has begun and not ended."""
        for stream in self._streams:
            stream.end_line()

    def take(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        """Take down one record. Never raises: a full disk must not end an execution."""
        try:
            with self._lock:
                now = time.time()
                if self._descriptor is not None:
                    _write(self._descriptor, _line(now, level, message, fields))
                if self._store is not None:
                    self._store.put(now, level, message, fields)
        except Exception:
            logger.exception("a record of a handler could not be taken down")


class _OtherLoggers(logging.Handler):
    """Takes down what handlers log by other loggers than `context.logger`, as if that one had been given it."""

    def emit(self, record: logging.LogRecord) -> None:
        speaker = handler_logger.speaker()
        if speaker is None or handler_logger.is_taken_down() or record.name.startswith(NOT_OF_HANDLERS):
            return
        try:
            extra: dict[str, object] = {k: v for k, v in vars(record).items() if k not in STANDARD_FIELDS}
            extra["logger"] = record.name
            if record.exc_info and record.exc_info[0] is not None:
                extra["exception"] = logging.Formatter().formatException(record.exc_info)
            if speaker.speaks():
                speaker.take_down(record.levelname, record.getMessage(), extra)
        except Exception:  # noqa: BLE001 - as every handler of `logging` does it
            self.handleError(record)


class _Begun(threading.local):
    """The line that a thread has begun to print, and whose it is."""

    speaker: ReplayAwareLogger | None = None
    text = ""


class _Tee:
    """Stands in for `sys.stdout` or `sys.stderr`: passes everything on, and takes down the lines of handlers."""

    def __init__(self, name: str, level: str) -> None:
        self._name = name
        self._level = level
        self._stream: TextIO = getattr(sys, name)
        self._begun = _Begun()
        setattr(sys, name, self)

    def remove(self) -> None:
        if getattr(sys, self._name) is self:
            setattr(sys, self._name, self._stream)

    def write(self, text: str) -> int:
        # Passed on first: a stream that is closed raises, as it would without us.
        self._stream.write(text)
        self._take(text)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._stream.flush()
        self.end_line()

    def end_line(self) -> None:
        begun = self._begun
        speaker, text = begun.speaker, begun.text
        begun.speaker, begun.text = None, ""
        if speaker is not None and text:
            speaker.take_down(self._level, text, {"stream": self._name})

    def _take(self, text: str) -> None:
        speaker, begun = handler_logger.speaker(), self._begun
        if begun.speaker is not speaker:
            self.end_line()
        # Asked when a line begins: the code that prints it replays or does not.
        if speaker is None or (not begun.text and not speaker.speaks()):
            return
        begun.speaker = speaker
        *lines, begun.text = (begun.text + text).split("\n")
        for line in lines:
            if line:
                speaker.take_down(self._level, line, {"stream": self._name})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _opened(file: Path | None) -> int | None:
    if file is None:
        return None
    try:
        # Appending is what lets several processes share the file: each line is written at its end, in one piece.
        return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as problem:
        logger.error("DURABLE_HANDLER_LOG=%s can't be written, and nothing is: %s", file, problem)  # noqa: TRY400
        return None


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


def _line(now: float, level: str, message: str, fields: Mapping[str, object]) -> bytes:
    record = {**fields, "timestamp": int(now * 1000), "level": level, "message": message}
    first = ("timestamp", "level", "message", "executionArn")
    ordered = {key: record.pop(key) for key in first if key in record} | record
    return json_text(ordered).encode() + b"\n"


def json_text(fields: Mapping[str, object]) -> str:
    """Return the JSON of fields whose values may be anything: what JSON can't hold is written as its text."""
    try:
        return json.dumps(fields, default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return json.dumps({str(key): _plain(value) for key, value in fields.items()})


def _plain(value: object) -> object:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)[:4000]
    return value
