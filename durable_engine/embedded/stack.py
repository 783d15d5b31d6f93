"""The services of one machine: how each is started and when it counts as ready."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from durable_engine.embedded import process
from durable_engine.embedded.broker import Broker
from durable_engine.embedded.postgres import PostgresCluster
from durable_engine.embedded.supervisor import Service

HOST = "127.0.0.1"
PORTS = range(8000, 8100)
# Nine lines at each start; on one person's machine, often a container, root is no mistake.
NO_ROOT_WARNING = "ignore:You're running the worker with superuser privileges"
# More than the grace that Celery gives running invocations (worker_soft_shutdown_timeout).
WORKER_PATIENCE = 30.0


class PortTaken(Exception):
    """The port that was asked for belongs to another program, or none of the usual ones is free."""


def listen(port: int | None) -> socket.socket:
    """Return a listening socket on `port`, or on the first free port from 8000 up.

    The supervisor keeps it open and lends it to the web server, so no other program can take the port between check and
    use, and requests wait instead of failing while the web server is restarted.

    Raises:
        PortTaken: with the number.
    """
    for number in [port] if port else PORTS:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, number))
            listener.listen(128)
        except OSError as problem:
            listener.close()
            if port:
                example = f"PORT={min(port + 1, 65534)}"
                raise PortTaken(
                    f"PORT: {port} cannot be used ({problem.strerror}). Choose another. Example: {example}"
                ) from None
        else:
            return listener
    raise PortTaken(f"PORT: none of {PORTS.start} to {PORTS.stop - 1} is free. Choose another. Example: PORT=9000")


def postgres_service(cluster: PostgresCluster) -> Service:
    """Return the embedded Postgres as a service."""

    def spawn(output: int) -> subprocess.Popen[bytes]:
        cluster.output = output
        return cluster.spawn()

    return Service("postgres", spawn, cluster.answers, stop_signal=signal.SIGINT, patience=30.0)


def broker_service(broker: Broker) -> Service:
    """Return the embedded broker as a service."""

    def spawn(output: int) -> subprocess.Popen[bytes]:
        broker.output = output
        return broker.spawn()

    return Service("broker", spawn, broker.answers)


def web_service(listener: socket.socket, cwd: Path) -> Service:
    """Return the web server as a service: one process with threads, which is what one machine and the ORM want."""
    command = [
        *"gunicorn durable_engine.config.wsgi --worker-class gthread --workers 1 --threads 8".split(),
        # A control socket would be a file in the user's home directory.
        *"--graceful-timeout 5 --log-level warning --no-control-socket".split(),
        *("--bind", f"fd://{listener.fileno()}"),
    ]
    return _python_service("web", command, cwd, lambda: _healthy(listener), pass_fds=[listener.fileno()])


def worker_service(cwd: Path, ready: Callable[[], bool]) -> Service:
    """Return the worker as a service."""
    command = [
        *"celery --quiet -A durable_engine.config worker -O fair --loglevel INFO".split(),
        *"--without-gossip --without-mingle --without-heartbeat".split(),
    ]
    return _python_service("worker", command, cwd, ready, patience=WORKER_PATIENCE)


def scheduler_service(cwd: Path) -> Service:
    """Return the scheduler as a service; it says when it is ready."""
    return _python_service("scheduler", ["django", "run_scheduler"], cwd, "scheduler ready")


def _python_service(
    name: str,
    command: Sequence[str],
    cwd: Path,
    ready: Callable[[], bool] | str,
    *,
    patience: float = 10.0,
    pass_fds: Sequence[int] = (),
) -> Service:
    env = {
        "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        # The pool's children leave SIGTERM to their parent, which lets them suspend. Some senders signal them all.
        "REMAP_SIGTERM": "SIGQUIT",
        # Celery's: `manage.py up` has just run Django's checks, which are half of a worker's start.
        "SKIP_CHECKS": "1",
    }

    def spawn(output: int) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-W", NO_ROOT_WARNING, "-m", *command]
        return process.spawn(program, output=output, env=env, cwd=cwd, pass_fds=pass_fds)

    return Service(name, spawn, ready, patience=patience)


def _healthy(listener: socket.socket) -> bool:
    with closing(http.client.HTTPConnection(HOST, listener.getsockname()[1], timeout=1)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
