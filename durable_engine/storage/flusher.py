"""One thread a process that records deferred step starts, so that a step which takes its time is seen running."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol

FLUSH_AFTER_SECONDS = 0.02


class _Deferring(Protocol):
    def flush_deferred(self, older_than: float) -> bool: ...


class _Flusher:
    """Looks at the invocations that deferred something, every 10 ms, and sleeps when there are none."""

    def __init__(self) -> None:
        self._pid = 0
        self._changed = threading.Condition()
        self._watched: set[_Deferring] = set()
        self._thread: threading.Thread | None = None

    def watch(self, invocation: _Deferring) -> None:
        """See to it that what this invocation deferred is recorded about 20 ms from now, unless it does so itself."""
        if self._pid != os.getpid():
            self._start_over()  # threads do not survive a fork
        with self._changed:
            if not self._watched:
                self._changed.notify()
            self._watched.add(invocation)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deferred-starts", daemon=True)
                self._thread.start()

    def forget(self, invocation: _Deferring) -> None:
        """Stop looking at an invocation that has ended."""
        with self._changed:
            self._watched.discard(invocation)

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._watched = set()
        self._thread = None

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._watched:
                    self._changed.wait()
                watched = list(self._watched)
            time.sleep(FLUSH_AFTER_SECONDS / 2)
            for invocation in watched:
                # The invocation takes its own lock inside: never hold ours around it.
                if not invocation.flush_deferred(time.monotonic() - FLUSH_AFTER_SECONDS):
                    self.forget(invocation)
                    # What was deferred between the look and the forgetting.
                    if invocation.flush_deferred(time.monotonic() - FLUSH_AFTER_SECONDS):
                        self.watch(invocation)


FLUSHER = _Flusher()
