"""`run.json`: what a running `manage.py up` tells scripts and other commands of the same home."""

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

FILE = "run.json"
LOCK = "up.lock"


class AlreadyRunning(Exception):
    """Another supervisor holds the home directory."""


@dataclass
class RunFile:
    """The content of run.json.

    `admin_password` is None when the person has changed it, the API key when it was revoked; a pid is None for a
    server that is not ours.
    """

    url: str
    admin_user: str
    admin_password: str | None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    region: str | None = None
    pids: dict[str, int | None] = field(default_factory=dict)

    def write(self, home: Path) -> None:
        """Replace the file in one step, readable by this user only."""
        write_private(home / FILE, json.dumps(asdict(self), indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read; a reader sees the old or the new text, never half of one."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def remove(home: Path) -> None:
    """Remove run.json, as an orderly stop does."""
    (home / FILE).unlink(missing_ok=True)


def lock_home(home: Path) -> IO[Any]:
    """Take the home for this process until it ends or closes the file that is returned.

    Raises:
        AlreadyRunning: with the pid of the process that holds it.
    """
    file = (home / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise AlreadyRunning(
            f"perdure is running already in {home} (process {holder}). "
            "Stop that one, or set PERDURE_HOME to another directory"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
