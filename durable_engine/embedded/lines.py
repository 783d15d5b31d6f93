"""The output of several services on one terminal: whole lines, each with the time and the name of the service."""

import os
import sys
import time
from typing import TextIO

WIDTH = 9
COLOURS = {"perdure": 36, "postgres": 34, "broker": 33, "web": 32, "worker": 35, "scheduler": 94}
# A child that never ends its line must not fill our memory.
LONGEST_LINE = 64 * 1024


class Printer:
    """Collects what each service writes and prints it line by line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream: TextIO | None = stream or sys.stdout
        self._coloured = self._stream is not None and self._stream.isatty() and "NO_COLOR" not in os.environ
        self._unfinished: dict[str, bytes] = {}

    def feed(self, name: str, chunk: bytes) -> list[str]:
        """Take bytes of a service, print the lines that are complete and return them."""
        *complete, rest = (self._unfinished.pop(name, b"") + chunk).split(b"\n")
        lines = [line.decode(errors="replace").rstrip() for line in complete]
        for line in lines:
            self.line(name, line)
        if len(rest) > LONGEST_LINE:
            self.line(name, rest.decode(errors="replace"))
        elif rest:
            self._unfinished[name] = rest
        return lines

    def line(self, name: str, text: str) -> None:
        """Print one line; once nobody reads any more, print nothing."""
        head = f"{time.strftime('%H:%M:%S')} {name:<{WIDTH}} |"
        if self._coloured:
            head = f"\x1b[{COLOURS.get(name, 37)}m{head}\x1b[0m"
        self.raw(f"{head} {text}\n")

    def raw(self, text: str) -> None:
        """Print text without a prefix."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (BrokenPipeError, ValueError, OSError):
            self._stream = None
