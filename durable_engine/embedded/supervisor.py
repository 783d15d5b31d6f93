"""Keeps services running on one machine: starts them in order, shows output, restarts what dies, stops in reverse.

One thread. Every child has a session of its own, so Ctrl-C reaches only the supervisor. When the supervisor is killed,
each child gets its parent-death signal from the kernel, and the guardian ends what is left of them.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from durable_engine.embedded import process
from durable_engine.embedded.lines import Printer

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
# A child that ran this long before it died begins again with the shortest pause.
STEADY_SECONDS = 60.0
START_SECONDS = 60.0
# A closing terminal or a service manager may send the same request twice at once; only a later one means "at once".
SECOND_SIGNAL_SECONDS = 1.0


class StopRequested(Exception):
    """Someone asked to stop while things were starting."""


class StartFailed(Exception):
    """A service did not come up; the message says which and why."""


@dataclass
class Service:
    """A child to keep running.

    `spawn` starts it, writing to the given file descriptor. `ready` tells whether it does its work: a question, or
    the line it prints then. `patience` is how long an orderly stop may take.
    """

    name: str
    spawn: Callable[[int], subprocess.Popen[bytes]]
    ready: Callable[[], bool] | str
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 10.0
    child: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    restart_at: float | None = None
    pause: float = FIRST_PAUSE
    output: int = -1
    has_said_ready: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether it does its work, as far as can be seen now."""
        return self.has_said_ready if isinstance(self.ready, str) else self.ready()


class Supervisor:
    """Owns the services. For the main thread only, because a parent-death signal belongs to the thread that spawned."""

    def __init__(self, printer: Printer, on_change: Callable[[Mapping[str, int | None]], None]) -> None:
        self._printer = printer
        self._on_change = on_change
        self._services: list[Service] = []
        self._selector = selectors.DefaultSelector()
        self._stop_requests: list[float] = []
        self._guardian = subprocess.Popen(
            [sys.executable, "-S", str(Path(__file__).with_name("guardian.py"))],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._watch_signals()

    @property
    def pids(self) -> dict[str, int | None]:
        """The process id of each service that runs now."""
        return {service.name: service.child.pid if service.child else None for service in self._services}

    def start(self, services: Iterable[Service]) -> None:
        """Start services together and wait until each is ready.

        Raises:
            StartFailed: one ended or was not ready in time.
            StopRequested: a signal came first.
        """
        starting = list(services)
        for service in starting:
            self._add(service)
            self._spawn(service)
        for service in starting:
            self._wait_until_ready(service)

    def run(self) -> None:
        """Show output and restart what dies, until a signal asks to stop."""
        while not self._stop_requests:
            self._pump(0.5)
            self._reap()
            self._restart_due()

    def say(self, text: str) -> None:
        """Print a line of the supervisor's own."""
        self._printer.line("perdure", text)

    def check_stop(self) -> None:
        """Raise StopRequested when a signal has come."""
        if self._stop_requests:
            raise StopRequested

    def stop(self) -> None:
        """Stop the services in reverse order; a second signal kills what is left. Ends the guardian."""
        for service in reversed(self._services):
            self._stop(service)
        assert self._guardian.stdin
        with suppress(BrokenPipeError):
            self._guardian.stdin.close()
        self._guardian.wait()
        self._drain()

    def _watch_signals(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ, None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._request_stop)
        # The handler does nothing; a child's end wakes the loop through the descriptor.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def _request_stop(self, number: int, frame: object) -> None:
        self._stop_requests.append(time.monotonic())

    @property
    def _must_hurry(self) -> bool:
        return bool(self._stop_requests) and self._stop_requests[-1] - self._stop_requests[0] > SECOND_SIGNAL_SECONDS

    def _add(self, service: Service) -> None:
        reader, service.output = os.pipe()
        os.set_blocking(reader, False)
        self._selector.register(reader, selectors.EVENT_READ, service)
        self._services.append(service)

    def _spawn(self, service: Service) -> None:
        service.restart_at = None
        service.has_said_ready = False
        service.child = service.spawn(service.output)
        service.started_at = time.monotonic()
        self._tell_guardian(f"+{service.child.pid} {int(service.stop_signal)}")
        self._on_change(self.pids)

    def _wait_until_ready(self, service: Service) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not service.is_ready:
            self._pump(0.05)
            self.check_stop()
            if service.child is None or service.child.poll() is not None:
                self._drain()
                raise StartFailed(
                    f"{service.name} {_how_it_ended(service)} while starting; its reason is in the lines above"
                )
            if time.monotonic() > deadline:
                raise StartFailed(f"{service.name} was not ready within {START_SECONDS:g} s")

    def _reap(self) -> None:
        for service in self._services:
            if service.child is None or service.child.poll() is None:
                continue
            self._drain()
            if time.monotonic() - service.started_at > STEADY_SECONDS:
                service.pause = FIRST_PAUSE
            self.say(f"{service.name} {_how_it_ended(service)}; starting it again in {service.pause:g} s")
            self._forget(service)
            service.restart_at = time.monotonic() + service.pause
            service.pause = min(service.pause * 2, LONGEST_PAUSE)
            self._on_change(self.pids)

    def _restart_due(self) -> None:
        for service in self._services:
            if service.restart_at is None or service.restart_at > time.monotonic():
                continue
            try:
                self._spawn(service)
            except Exception as problem:  # noqa: BLE001 (whatever it is, the other services go on and this one is tried again)
                self.say(f"{service.name} cannot be started: {problem}; trying again in {service.pause:g} s")
                service.restart_at = time.monotonic() + service.pause
                service.pause = min(service.pause * 2, LONGEST_PAUSE)
            else:
                self.say(f"{service.name} started again")

    def _stop(self, service: Service) -> None:
        if service.child is None:
            return
        with suppress(ProcessLookupError):
            service.child.send_signal(service.stop_signal)
        began = time.monotonic()
        told = False
        while service.child.poll() is None and time.monotonic() - began < service.patience and not self._must_hurry:
            self._pump(0.1)
            if not told and time.monotonic() - began > 2:
                told = True
                self.say(f"waiting for {service.name} to finish what it is doing (again Ctrl-C to stop at once)")
        if service.child.poll() is None:
            self.say(f"killing {service.name}")
        self._forget(service)

    def _forget(self, service: Service) -> None:
        """Remove every trace of a child: what is left of its group, and its entry at the guardian."""
        assert service.child
        process.kill_group(service.child.pid)
        service.child.wait()
        self._tell_guardian(f"-{service.child.pid}")
        service.child = None

    def _tell_guardian(self, line: str) -> None:
        assert self._guardian.stdin
        with suppress(BrokenPipeError):
            self._guardian.stdin.write(f"{line}\n".encode())
            self._guardian.stdin.flush()

    def _pump(self, timeout: float) -> bool:
        """Print what the children wrote, waiting up to `timeout` seconds or for a due restart; False: nothing came."""
        due = [service.restart_at - time.monotonic() for service in self._services if service.restart_at]
        events = self._selector.select(max(0.0, min([timeout, *due])))
        for key, _ in events:
            self._read(key.fd, key.data)
        return bool(events)

    def _drain(self) -> None:
        while self._pump(0):
            pass

    def _read(self, descriptor: int, service: Service | None) -> None:
        with suppress(BlockingIOError):
            chunk = os.read(descriptor, 65536)
            if service is not None:
                lines = self._printer.feed(service.name, chunk)
                service.has_said_ready |= service.ready in lines


def _how_it_ended(service: Service) -> str:
    status = service.child.returncode if service.child else None
    if status is None:
        return "did not start"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
